"""The outer loop against a loop in plain torch, and a killed run against one that was never interrupted."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.checkpoint import Checkpoint
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner, ProtoNet
from robustmeta.training import Training, accuracy_of, train


class KilledError(Exception):
    """Stands for a kill."""


def killed_after(steps: int) -> Callable[[int, dict[str, float]], None]:
    def report(step: int, measures: dict[str, float]) -> None:
        if step == steps:
            raise KilledError

    return report


@pytest.mark.parametrize("name", ["protonet", "maml"])
def test_the_loss_falls_on_an_easy_data_set(learner, episodes, name) -> None:
    made = learner(name, width=8)
    log = train(made, episodes(), steps=40, tasks=2, lr=5e-3)
    assert [entry["step"] for entry in log] == list(range(2, 41, 2))
    first, last = (sum(entry["loss"] for entry in part) for part in (log[:5], log[-5:]))
    assert last < 0.5 * first
    assert not made.training
    assert made.progress == 1.0


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_it_is_adam_on_tasks_in_order_with_clipped_gradients(learner, episodes, schedule) -> None:
    trained, by_hand = learner(), learner()
    log = train(trained, episodes(), steps=6, tasks=2, lr=0.01, schedule=schedule, clip=0.5)

    optimizer = torch.optim.Adam(by_hand.parameters(), lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
    losses = []
    for step in range(6):
        loss = by_hand.loss(episodes().batch([2 * step, 2 * step + 1]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(by_hand.parameters(), 0.5)
        optimizer.step()
        if schedule == "cosine":
            scheduler.step()
        losses.append(loss.item())
    for got, expected in zip(trained.parameters(), by_hand.parameters(), strict=True):
        torch.testing.assert_close(got, expected)
    assert [entry["loss"] for entry in log] == pytest.approx(losses)


def test_progress_and_measures_are_reported_and_the_log_holds_mean_losses(learner, episodes) -> None:
    made, seen, progress = learner(), [], []

    def validation(learner: Learner) -> dict[str, float]:
        progress.append(learner.progress)
        return {"clean": 0.25 * len(progress)}

    log = train(made, episodes(), steps=40, tasks=1, validation=validation, report=lambda *now: seen.append(now))
    assert [step for step, _ in seen] == list(range(1, 41))
    assert seen[0][1] == {}
    assert seen[2][1] is log[0]
    assert len(progress) == len(log) == 20
    assert progress[:2] == [1 / 40, 3 / 40]
    assert [entry["clean"] for entry in log[:2]] == [0.25, 0.5]


def test_a_batch_is_met_as_often_as_it_is_replayed_with_an_update_each(learner, episodes) -> None:
    met, progress = [], []

    class Noting(ProtoNet):
        replays = 3

        def loss(self, batch):
            met.append(batch.index)
            progress.append(self.progress)
            return super().loss(batch)

    made, by_hand = Noting(learner().backbone), learner()
    log = train(made, episodes(), 2, tasks=2, chunk=2, lr=0.01, schedule="constant")
    assert met == [(0, 1)] * 3 + [(2, 3)] * 3
    assert progress == [0.0] * 3 + [0.5] * 3
    optimizer, losses = torch.optim.Adam(by_hand.parameters(), lr=0.01), []
    for index in met:
        loss = by_hand.loss(episodes().batch(index))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(by_hand.parameters(), 10.0)
        optimizer.step()
        losses.append(loss.item())
    for got, expected in zip(made.parameters(), by_hand.parameters(), strict=True):
        assert torch.equal(got, expected)
    assert [entry["loss"] for entry in log] == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])


def test_what_it_ends_with_and_what_is_measured_on_the_way_are_averages_of_the_weights(learner, episodes) -> None:
    def run(made: Learner, steps: int, average: float) -> list[dict[str, torch.Tensor]]:
        seen: list[dict[str, torch.Tensor]] = []

        def measured(learner: Learner) -> dict[str, float]:
            seen.append(state_of(learner))
            return {}

        train(made, episodes(), steps, tasks=1, lr=0.01, schedule="constant", average=average, validation=measured)
        return [*seen, state_of(made)]

    last = run(learner(), 6, 0.0)  # after each step, then at the end
    mean = run(learner(), 6, 0.5)
    by_hand = last[0]
    for step, (weights, got) in enumerate(zip(last[:6], mean[:6], strict=True), start=1):
        share = {1: 1.0, 2: 1.0, 3: 2 / 3, 4: 1 / 2, 5: 2 / 5, 6: 1 / 3}[step]
        by_hand = {
            name: (1 - share) * by_hand[name] + share * weight if weight.is_floating_point() else weight
            for name, weight in weights.items()
        }
        for name, weight in got.items():
            torch.testing.assert_close(weight, by_hand[name])
    assert all(torch.equal(weight, mean[5][name]) for name, weight in mean[6].items())
    assert not any(torch.equal(mean[6][name], last[6][name]) for name, _ in learner().named_parameters())


@pytest.mark.parametrize("average", [0.0, 0.4])
def test_training_stops_for_now_and_goes_on_to_the_same_weights(learner, episodes, tmp_path, average) -> None:
    def run(made: Learner, **more: object) -> list[dict[str, float]]:
        return train(made, episodes(), 8, tasks=2, lr=0.01, average=average, recipe={"name": "x"}, **more)

    whole, path = learner("protonet-aq"), tmp_path / "checkpoint.pt"
    log = run(whole)
    for until in (3, 2, 6):  # at 2, where it is past already, nothing is done
        stopped = learner("protonet-aq")
        run(stopped, checkpoint=path, until=until)
        state = Checkpoint.load(path)
        assert state.step == max(3, until)
        assert stopped.progress == state.step / 8
        for name, weight in state_of(stopped).items():
            assert torch.equal(weight, state.tested[name])
    torch.manual_seed(5)
    resumed = learner("protonet-aq")
    assert untimed(run(resumed, checkpoint=path, until=9)) == untimed(log)
    assert all(torch.equal(value, state_of(whole)[key]) for key, value in state_of(resumed).items())


def untimed(log: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{key: value for key, value in entry.items() if key != "core_seconds"} for entry in log]


class Noisy(ProtoNet):
    """Draws from torch's global generator in every step."""

    def loss(self, batch):
        return super().loss(batch) * torch.rand(())


def state_of(made: Learner) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in made.state_dict().items()}


@pytest.mark.parametrize(("name", "norm"), [("protonet", "running"), ("maml-aq", "support"), ("noisy", "running")])
def test_a_killed_run_goes_on_to_the_same_weights_and_log(learner, episodes, tmp_path, name, norm) -> None:
    def make() -> Learner:
        made = learner("protonet" if name == "noisy" else name, norm)
        return Noisy(made.backbone) if name == "noisy" else made

    def run(made: Learner, **more: object) -> list[dict[str, float]]:
        return train(
            made, episodes(), steps=12, tasks=2, lr=0.01, recipe={"name": name, "eps": [0.1, 1]}, save_every=0,
            validation=lambda learner: accuracy_of(learner, episodes(seed=5), PGD(0.05, steps=1), 2), **more,
        )  # fmt: skip

    whole = make()
    log = run(whole)
    spent = [entry["core_seconds"] for entry in log]
    assert spent[0] > 0
    assert spent == sorted(spent)

    path = tmp_path / "a" / "checkpoint.pt"
    for steps in (5, 6, 9):
        torch.manual_seed(77)  # whatever the new process begins with must not matter
        with pytest.raises(KilledError):
            run(make(), checkpoint=path, report=killed_after(steps))
        assert Checkpoint.load(path).step == steps
    resumed = make()
    torch.manual_seed(78)
    assert untimed(run(resumed, checkpoint=path)) == untimed(log)
    assert all(torch.equal(value, state_of(whole)[key]) for key, value in state_of(resumed).items())

    loaded = make()
    assert untimed(run(loaded, checkpoint=path, report=killed_after(1))) == untimed(log)  # finished: only loaded
    assert all(torch.equal(value, state_of(whole)[key]) for key, value in state_of(loaded).items())
    assert not loaded.training
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint.pt"]


def test_the_checkpoint_is_saved_at_the_end_and_not_before_its_time(learner, episodes, tmp_path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(KilledError):
        train(learner(), episodes(), steps=3, checkpoint=path, save_every=1e9, report=killed_after(2))
    assert not path.exists()
    train(learner(), episodes(), steps=3, checkpoint=path, save_every=1e9)
    assert Checkpoint.load(path).step == 3


def test_the_checkpoint_of_another_recipe_or_learner_is_refused_and_kept(learner, episodes, tmp_path) -> None:
    path = tmp_path / "checkpoint.pt"
    train(learner(), episodes(), steps=1, tasks=1, checkpoint=path, recipe={"eps": 0.1})
    content = path.read_bytes()
    for made, recipe, message in (
        (
            learner(),
            {"eps": 0.2},
            r"another recipe \(its eps is 0.1, not 0.2\); choose another folder",
        ),
        (learner(), None, "is the checkpoint of another recipe"),
        (learner(width=8), {"eps": 0.1}, "is the checkpoint of another learner; its weights do not fit"),
        (learner("maml"), {"eps": 0.1}, "is the checkpoint of another learner"),
    ):
        with pytest.raises(RobustMetaError, match=message) as error:
            train(made, episodes(), steps=2, checkpoint=path, recipe=recipe)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)
        assert path.read_bytes() == content


def test_a_checkpoint_from_before_chunks_goes_on_as_steps_in_one_chunk(learner, episodes, tmp_path) -> None:
    path = tmp_path / "a.pt"
    settings = {"steps": 4, "tasks": 4, "chunk": 4, "checkpoint": path}
    train(learner(), episodes(), **settings)
    state = torch.load(path, weights_only=True)
    del state["recipe"]["training"]["chunk"]
    torch.save(state, path)
    assert Checkpoint.load(path).recipe["training"]["chunk"] == 4
    assert train(learner(), episodes(), **settings) == state["log"]
    with pytest.raises(RobustMetaError, match="is the checkpoint of another recipe"):
        train(learner(), episodes(), **{**settings, "chunk": 2})


def test_a_truncated_checkpoint_is_refused_and_kept(learner, episodes, tmp_path) -> None:
    path = tmp_path / "checkpoint.pt"
    train(learner(), episodes(), steps=1, tasks=1, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RobustMetaError, match="is truncated or not a checkpoint"):
        train(learner(), episodes(), steps=2, checkpoint=path)
    assert path.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_before_it_spoils_the_weights(learner, episodes, value) -> None:
    class Diverging(ProtoNet):
        steps = 0

        def loss(self, batch):
            self.steps += 1
            return super().loss(batch) * (value if self.steps > 2 else 1.0)

    made, healthy = Diverging(learner().backbone), learner()
    with pytest.raises(RobustMetaError, match=f"the outer loss is {value} at step 2; lower lr"):
        train(made, episodes(), steps=4, tasks=1, schedule="constant")
    train(healthy, episodes(), steps=2, tasks=1, schedule="constant")
    assert all(torch.equal(value, healthy.state_dict()[key]) for key, value in made.state_dict().items())


WRONG = [
    ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'"),
    ({"tasks": 0}, "tasks is 0 and steps"),
    ({"steps": -1}, "steps -1; they must be at least 1 and 0"),
    ({"lr": 0.0}, "lr is 0 and clip 10; both must be above 0"),
    ({"clip": -1.0}, "clip -1"),
    ({"chunk": 0}, "chunk is 0; it must be at least 1"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_settings_out_of_range_are_refused(learner, episodes, wrong, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        Training(**wrong)
    with pytest.raises(RobustMetaError, match=message):
        train(learner(), episodes(), **wrong)


def test_a_glance_at_accuracy_is_the_share_of_queries_right_clean_and_attacked(learner, episodes) -> None:
    made = learner("protonet", "running").train()
    before, random = state_of(made), torch.get_rng_state()
    measures = accuracy_of(made, episodes(), PGD(0.2, steps=3), tasks=4)
    assert made.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[key]) for key, value in state_of(made).items())
    batch = episodes().batch(range(4))
    right = made.eval().adapt(batch.support_x, batch.support_y)(batch.query_x).argmax(-1) == batch.query_y
    assert measures["clean"] == pytest.approx(right.float().mean().item())
    assert 0 <= measures["robust"] < measures["clean"]
    unmoved = accuracy_of(made, episodes(), PGD(0.0, steps=1), tasks=4)
    assert unmoved["robust"] == unmoved["clean"] == measures["clean"]
