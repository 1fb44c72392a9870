"""What holds for every defense: no trace of crafting, gradients where they belong, clear words for wrong use."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.defenses import DEFENSES, AdversarialQuerying, Defense, MoreShots
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner

AROUND = {name: "transfer" if name == "at" else "protonet" for name in DEFENSES}
EVERY = [*AROUND.items(), *((name, "maml") for name in DEFENSES if name != "at")]
ATTACK = PGD(0.1, steps=2)


@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_nothing_but_the_loss_remains(learner, episodes, defended, name, kind) -> None:
    batch = episodes(queries=4).batch([0, 1])
    wrapped = defended(name, learner(kind, "running"), ATTACK)
    plain = learner(kind, "running")
    posed = MoreShots(plain, shots=3).regrouped(batch) if name == "its" else batch
    plain.loss(posed)
    random, images = torch.get_rng_state(), (batch.support_x.clone(), batch.query_x.clone())
    loss = wrapped.loss(batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(batch.support_x, images[0])
    assert torch.equal(batch.query_x, images[1])
    assert all(parameter.grad is None and parameter.requires_grad for parameter in wrapped.parameters())
    assert all(part.training for part in wrapped.modules())
    if name not in ("as", "adml"):  # which adapt to other images too
        for key, value in plain.state_dict().items():
            assert torch.equal(value, wrapped.base.state_dict()[key]), key
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in wrapped.parameters())
    assert sum(parameter.grad.abs().sum() > 0 for parameter in wrapped.parameters()) == len(list(wrapped.parameters()))


@pytest.mark.parametrize("kind", ["protonet", "maml"])
def test_crafting_the_support_leaves_its_statistics_behind(learner, batch, defended, shift, kind) -> None:
    """The running averages are those of the support that is adapted to, or of both, and of no crafting."""
    ours, plain = learner(kind, "running").double(), learner(kind, "running").double()
    defended("as", ours, shift).loss(batch)
    plain.loss(replace(batch, support_x=shift.held(batch.support_x)))
    crossed, both = learner(kind, "running").double(), learner(kind, "running").double()
    defended("adml", crossed, shift).loss(batch)
    both.loss(batch)
    both.loss(replace(batch, support_x=shift.held(batch.support_x)))
    for one, other in ((ours, plain), (crossed, both)):
        for key, value in other.state_dict().items():
            assert torch.equal(value, one.state_dict()[key]), key


@pytest.mark.parametrize("name", DEFENSES)
def test_a_defended_learner_stands_wherever_a_learner_does(learner, batch, defended, name) -> None:
    inner = learner(AROUND[name], "running").double().eval()
    wrapped = defended(name, inner, ATTACK).eval()
    ours, plain = (one.adapt(batch.support_x, batch.support_y)(batch.query_x) for one in (wrapped, inner))
    assert torch.equal(ours, plain)
    assert list(wrapped.parameters()) == list(inner.parameters())
    assert wrapped.base is inner
    assert wrapped.defense == (f"aq+{name}" if name in ("awp", "lcat") else name)
    again = copy.deepcopy(wrapped)
    assert again.base is not inner
    assert {id(part) for part in again.modules()}.isdisjoint({id(part) for part in wrapped.modules()})


@pytest.mark.parametrize("name", DEFENSES)
def test_the_same_batch_has_the_same_loss(learner, episodes, defended, name) -> None:
    batch = episodes(queries=4).batch([3, 1])
    losses = [defended(name, learner(AROUND[name], "running"), ATTACK).loss(batch) for _ in range(2)]
    assert torch.equal(*losses)


def test_a_ramp_that_is_no_share_is_refused(learner) -> None:
    for ramp in (-0.1, 1.5, float("nan")):
        with pytest.raises(RobustMetaError, match=r"ramp is .*; it is a share of training, 0 to 1"):
            Defense(learner(), ramp)


def test_a_ramp_needs_an_attack_that_can_be_scaled(learner, batch) -> None:
    class Fixed:
        threat = ATTACK.threat

        def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
            return images

    assert AdversarialQuerying(learner().double(), Fixed()).loss(batch).isfinite()
    with pytest.raises(RobustMetaError, match=r"ramp is 0.5, and the attack .* has no method scaled\(factor\)"):
        AdversarialQuerying(learner().double(), Fixed(), ramp=0.5).loss(batch)


@pytest.mark.parametrize("outer", [name for name in DEFENSES if name not in ("awp", "lcat", "at")])
@pytest.mark.parametrize("inner", ["aq", "trades-aq", "awp", "lcat", "free-aq"])
def test_a_defense_that_would_undo_the_one_inside_is_refused(learner, defended, inner, outer) -> None:
    with pytest.raises(RobustMetaError, match=r"around (aq\+)?.* would take the place of what that one trains for"):
        defended(outer, defended(inner, learner(), ATTACK), ATTACK)


def test_a_loss_that_reaches_no_parameter_is_refused(learner, batch) -> None:
    class Detached(Learner):
        def __init__(self) -> None:
            super().__init__()
            self.inner = learner().double()

        def adapt(self, support_x, support_y):
            return self.inner.adapt(support_x, support_y).detach()

    wrapped = AdversarialQuerying(Detached(), ATTACK)
    with pytest.raises(RobustMetaError, match=r"reaches no parameter of Detached: its adapt detaches the weights or"):
        wrapped.loss(batch)
    assert wrapped.eval().loss(batch).isfinite()
    with torch.no_grad():
        assert wrapped.train().loss(batch).isfinite()


def test_the_replays_of_an_inner_defense_are_the_trainers(learner, defended) -> None:
    free = defended("free-aq", learner(), None, replays=3)
    assert (free.replays, defended("aq", learner(), ATTACK).replays) == (3, 1)
    assert DEFENSES["lcat"](free).replays == 3


@pytest.mark.parametrize(
    ("inner", "outer", "lost"),
    [
        ("its", "as", "its"), ("its", "adml", "its"), ("as", "adml", "as"), ("as", "as", "as"), ("its", "its", "its"),
        ("label-smoothing", "mart-aq", "label-smoothing"), ("noise", "noise", "noise"),
    ],
)  # fmt: skip
def test_a_defense_that_would_lose_its_effect_is_refused(learner, defended, inner, outer, lost) -> None:
    with pytest.raises(RobustMetaError, match=f"{outer} around {inner} would leave {lost} without its effect, or have"):
        defended(outer, defended(inner, learner(), ATTACK), ATTACK)


def test_more_shots_around_an_attacked_support_are_attacked_too(learner, episodes, defended, shift) -> None:
    wrapped = defended("its", defended("as", learner(), shift), None)
    wrapped.loss(episodes(shots=1, queries=4).batch([0, 1]))
    assert shift.seen[0].shape[1] == 9  # 3 shots of 3 classes


@pytest.mark.parametrize("name", ["as", "adml", "its"])
def test_a_learner_that_adapts_to_no_support_in_training_is_refused(learner, defended, name) -> None:
    with pytest.raises(RobustMetaError, match=f"{name} changes the support, and Transfer adapts to none in training"):
        defended(name, learner("transfer", "running"), ATTACK)


def test_what_is_set_as_progress_holds_for_all_inside(learner, defended) -> None:
    inner = defended("aq", learner(), ATTACK, ramp=0.5)
    outer = defended("awp", inner, None)
    outer.progress = 0.25
    assert (inner.progress, inner.eps_share, outer.base.progress) == (0.25, 0.5, 0.25)
    assert copy.deepcopy(outer).learner.progress == 0.25


def test_queries_outside_the_pixel_range_are_not_attacked(learner, defended) -> None:
    noisy = defended("noise", learner(), None)
    with pytest.raises(
        RobustMetaError, match=r"AdversarialQuerying attacks images in \[0, 1\], which those of noise leave"
    ):
        AdversarialQuerying(noisy, ATTACK)
    assert AdversarialQuerying(defended("noise", learner(), None, clip=True), ATTACK).defense == "noise+aq"


def test_a_support_is_attacked_from_another_random_point_than_the_queries(learner, episodes, defended) -> None:
    seen: list[object] = []

    class Seeds:
        threat = ATTACK.threat

        def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
            seen.append(seeds)
            return images

    defended("adml", learner(), Seeds()).loss(episodes().batch([4, 7]))
    support, queries = seen
    assert tuple(queries) == (4, 7)
    assert not {*support} & {*queries}


@pytest.mark.parametrize("around", ["as", "its", "noise", "label-smoothing"])
def test_querying_goes_around_what_changes_task_or_loss(learner, batch, defended, around, shift) -> None:
    """Each keeps its own part: the attack meets the queries that the inner defense poses."""
    inner = defended(around, learner().double(), shift, **({"clip": True} if around == "noise" else {}))
    if around == "its":
        inner.shots, batch = 3, replace(batch, index=())
    querying = AdversarialQuerying(inner, shift)
    classifier, posed = inner.pose(batch)
    wanted = inner.outer_loss(classifier, posed.with_queries(shift.held(posed.query_x)))
    torch.testing.assert_close(querying.loss(batch), wanted)
    assert querying.defense == f"{around}+aq"
