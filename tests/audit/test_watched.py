"""What a watched classifier notes, on one that reads its answer from a pixel."""

import pytest
import torch

from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.audit import Watched
from robustmeta.learners import Classifier


class Bright(Classifier):
    """Class 1 where the mean pixel is above a half."""

    ways = 2

    def forward(self, query_x):
        above = query_x.flatten(-3).mean(-1) - 0.5
        return torch.stack([-above, above], -1)

    def detach(self):
        return self

    def select(self, tasks):
        return self


LEVELS = torch.tensor([[0.45, 0.40, 0.30, 0.60], [0.30, 0.48, 0.70, 0.55]])
PATTERNS = torch.tensor([[1.0, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1], [-1, 1, -1, 1]]).view(4, 1, 2, 2)
IMAGES = LEVELS[..., None, None, None] + 0.25 * PATTERNS
LABELS = (LEVELS > 0.5).long()
THREAT = Threat("Linf", 0.08)
WITHIN = (LEVELS - 0.5).abs() < 0.08


@pytest.fixture
def watched() -> Watched:
    return Watched(Bright(), IMAGES, LABELS, THREAT)


def toward(level: float) -> torch.Tensor:
    return IMAGES + (level - LEVELS).clamp(-0.08, 0.08)[..., None, None, None]


def test_it_answers_as_the_classifier_and_notes_what_fools_it_inside_the_threat(watched) -> None:
    assert torch.equal(watched(IMAGES), Bright()(IMAGES))
    assert not watched.fooled.any()
    assert watched.tried.tolist() == [0, 0]
    watched(toward(1.0))
    assert torch.equal(watched.fooled, WITHIN & (LABELS == 0))
    watched(toward(0.0))
    assert torch.equal(watched.fooled, WITHIN)
    assert watched.tried.tolist() == pytest.approx([0.08, 0.08])


@pytest.mark.parametrize("images", [IMAGES + 0.2, IMAGES - 0.2])
def test_images_outside_the_threat_or_on_the_boundary_are_no_success(watched, images) -> None:
    watched(images.clamp(0, 1))
    watched(IMAGES + (0.5 - LEVELS)[..., None, None, None])
    assert not watched.fooled.any()
    assert (watched.tried > 0.1).all()


def test_parts_of_the_tasks_and_queries_note_in_the_right_place(watched) -> None:
    watched.detach().task(1)(toward(1.0)[1, [1, 0]])
    assert watched.fooled.tolist() == [[False] * 4, [False, True, False, False]]
    watched.select([1, 0]).select([1])(toward(1.0)[[0]][:, [2, 0]])
    assert watched.fooled.tolist() == [[True, False, False, False], [False, True, False, False]]


@pytest.mark.parametrize(
    "attack",
    [
        PGD(0.08, steps=3),
        PGD(0.08, steps=3, until_fooled=True),
        TorchAttack("PGD", THREAT, {"steps": 3, "alpha": 0.08}),
        TorchAttack("APGD", THREAT, {"steps": 5}),
        TorchAttack("Square", THREAT, {"n_queries": 20, "loss": "margin"}),
    ],
    ids=lambda attack: getattr(attack, "method", "engine"),
)
def test_what_attacks_find_on_the_way_is_what_they_return(watched, attack) -> None:
    moved = attack(watched, IMAGES, LABELS, [0, 1])
    assert torch.equal(Bright()(moved).argmax(-1) != LABELS, watched.fooled)
    assert watched.fooled.any()
    if attack.traits.knowledge == "white-box":
        assert torch.equal(watched.fooled, WITHIN)
