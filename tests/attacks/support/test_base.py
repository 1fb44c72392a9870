"""What an attack on the support may do, and the folds that judge it."""

import pytest
import torch
from torch import Tensor

from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.support import craft_support, folds, with_columns
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError

MASK = torch.tensor([[True, False, False, True, False, False], [False, True, False, False, False, True]])


class Returns:
    """A support attack that places its own mask and returns the placed support plus a number."""

    threat, traits, then = Threat("Linf", 0.1), Traits(target="support"), None

    def __init__(self, added: float, mask: Tensor = MASK) -> None:
        self.added, self.mask = added, mask

    def place(self, known: EpisodeBatch, seeds: object = None) -> tuple[Tensor, Tensor]:
        return 0.25 + known.support_x / 2, self.mask

    def __call__(self, learner: object, placed: EpisodeBatch, mask: Tensor, seeds: object = None) -> Tensor:
        assert torch.is_grad_enabled()
        return placed.support_x + self.added * mask[..., None, None, None]


class Spills(Returns):
    def __call__(self, learner: object, placed: EpisodeBatch, mask: Tensor, seeds: object = None) -> Tensor:
        moved = placed.support_x.clone()
        moved[0, 1] += 0.04
        moved[1, 1] = torch.nan
        return moved.requires_grad_()


def test_an_honest_attack_is_taken_as_it_is(trained, halves) -> None:
    known, _ = halves()
    with torch.no_grad():
        made = craft_support(Returns(0.1), trained("protonet"), known)
    assert torch.equal(made.base, 0.25 + known.support_x / 2)
    assert torch.allclose(made.images - made.base, 0.1 * MASK[..., None, None, None])
    assert torch.equal(made.mask, MASK)
    assert made.overshoot.max() < 1e-6
    assert not made.outside.any()


def test_an_attack_that_overstates_itself_is_held_to_ball_and_mask(trained, halves) -> None:
    known, _ = halves()
    made = craft_support(Returns(0.3), trained("protonet"), known)
    assert torch.allclose(made.images - made.base, 0.1 * MASK[..., None, None, None], atol=1e-6)
    torch.testing.assert_close(made.overshoot, torch.tensor([0.2, 0.2]))
    made = craft_support(Spills(0.0), trained("protonet"), known)
    assert torch.equal(made.images, made.base)
    torch.testing.assert_close(made.overshoot, torch.tensor([0.04, 0.0]))  # off the mask the budget is 0
    assert made.outside.tolist() == [0, 1]
    assert not made.images.requires_grad


def test_wrong_shapes_and_training_mode_are_refused(trained, halves) -> None:
    known, _ = halves()
    learner = trained("protonet")
    with pytest.raises(RobustMetaError, match=r"placed .* with a mask of \[2, 3\]; both must keep"):
        craft_support(Returns(0.1, MASK[:, :3]), learner, known)
    learner.train()
    with pytest.raises(RobustMetaError, match=r"call learner.eval\(\) first"):
        craft_support(Returns(0.1), learner, known)
    learner.eval()


def test_folds_are_every_other_query_of_each_class() -> None:
    labels = torch.tensor([[0, 0, 0, 1, 1, 2, 2, 2, 2], [2, 1, 2, 0, 2, 0, 1, 0, 2]])
    first, second = folds(labels)
    assert first.tolist() == [[0, 2, 3, 5, 7], [0, 1, 3, 4, 7]]
    assert second.tolist() == [[1, 4, 6, 8], [2, 5, 6, 8]]


def test_folds_are_disjoint_balanced_and_together_everything(halves, episodes) -> None:
    batch = episodes(ways=5, shots=1, queries=7).batch(range(3))
    first, second = folds(batch.query_y)
    assert torch.equal(torch.cat([first, second], 1).sort(1).values, torch.arange(35).expand(3, -1))
    for columns, number in ((first, 4), (second, 3)):
        part = with_columns(batch, columns)
        assert torch.equal(part.query_y, torch.arange(5).repeat_interleave(number).expand(3, -1))
        for task in range(3):
            assert torch.equal(part.query_x[task], batch.query_x[task, columns[task]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([[0, 0, 1, 1], [0, 0, 0, 1]], "task 1 has 1 queries of class 1; a support attack needs 2 or more"),
        ([[0, 0, 2, 2]], "task 0 has 0 queries of class 1"),
        ([[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1]], "classes of different numbers of queries"),
    ],
)
def test_queries_that_cannot_be_halved_are_refused(labels, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        folds(torch.tensor(labels))
