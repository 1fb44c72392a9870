"""The loop of torchattacks over episodes scores what robustmeta's evaluation scores."""

from collections.abc import Callable

import pytest
import torch

from benchmarks.attack_suite import rows_of
from benchmarks.peers.standard_suite import STANDARD, MarginPGD, SuiteLoop
from robustmeta.attacks.card import resolve
from robustmeta.attacks.projected_gradient import FGSM
from robustmeta.backbones import Conv4
from robustmeta.episodes import Episodes
from robustmeta.evaluation import measure
from robustmeta.learners import ProtoNet


def test_the_loop_has_the_suites_attacks() -> None:
    assert set(STANDARD) == {card.name for card in resolve("standard")}


EPS = 0.01


@pytest.mark.parametrize("norm", ["running", "support", "group"])
def test_clean_and_fgsm_are_those_of_the_evaluation(norm: str, episodes: Callable[..., Episodes]) -> None:
    tasks = episodes(ways=5, shots=1)
    torch.manual_seed(0)
    learner = ProtoNet(Conv4(size=16, width=8, norm=norm))
    learner.train()
    learner.adapt(*(getattr(tasks.batch([9]), name) for name in ("support_x", "support_y")))
    found = measure(learner, tasks, {"fgsm": FGSM(EPS)}, 3, probed=0)
    loop = SuiteLoop(learner.state_dict(), norm, 5, EPS).standing(tasks.batch(range(3)), ["fgsm"])
    for name in ("clean", "fgsm"):
        assert (found.right[name] == loop[name].numpy()).all()
    assert 0 < found.right["fgsm"].mean() < found.right["clean"].mean() < 1


def test_the_margin_is_climbed_inside_the_ball() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 3))
    images, labels = torch.rand(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    moved = MarginPGD(model, eps=0.1, alpha=0.05, steps=20)(images, labels)
    weights = model[1].weight
    # Against a linear model the best point is the corner of the ball that the margin's gradient points at.
    logits = model(moved)
    wrong = logits.scatter(1, labels[:, None], -torch.inf).argmax(1)
    corner = (images + 0.1 * (weights[wrong] - weights[labels]).sign().view_as(images)).clamp(0, 1)
    torch.testing.assert_close(moved, corner)


def test_rows_of_contenders_and_what_is_refused() -> None:
    from click import ClickException

    runs = {"ours": lambda first, number: (8.0, 6.0), "theirs": lambda first, number: (8.0, 6.0)}
    rows = rows_of(runs, episodes=3, each=1, queries=10)
    assert [(row["contender"], row["worst"], row["rounds"]) for row in rows] == [("ours", 0.6, 3), ("theirs", 0.6, 3)]
    with pytest.raises(ClickException, match=r"ours 60\.00%, theirs 50\.00%"):
        rows_of({**runs, "theirs": lambda first, number: (8.0, 5.0)}, episodes=2, each=1, queries=10)
