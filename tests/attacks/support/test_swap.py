"""The swap attack: whose images it places, and that they are those of evasion."""

import pytest
import torch

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.support import Swap, craft_support, with_columns
from robustmeta.errors import RobustMetaError


def test_what_it_places_are_queries_of_the_attackers_and_of_the_same_class(halves) -> None:
    known, judged = halves(tasks=3)
    before = known.support_x.clone()
    support, mask = Swap(fraction=0.5).place(known, [1, 2, 3])
    assert torch.equal(known.support_x, before)
    assert mask.sum(1).tolist() == [3, 3, 3]
    assert torch.equal(support[~mask], known.support_x[~mask])
    for task in range(3):
        taken = []
        for image, label in zip(support[task][mask[task]], known.support_y[task][mask[task]], strict=True):
            (at,) = (known.query_x[task] == image).flatten(1).all(1).nonzero()[:, 0].tolist()
            assert known.query_y[task, at] == label
            assert not (judged.query_x[task] == image).flatten(1).all(1).any()
            taken.append(at)
        assert len(set(taken)) == 3


def test_more_places_than_queries_take_a_query_twice(halves) -> None:
    known, _ = halves()
    first = with_columns(known, torch.tensor([[0, 2, 4]] * 2))  # one query a class, two places
    support, mask = Swap(fraction=1.0).place(first, [1, 2])
    assert mask.all()
    assert torch.equal(support, first.query_x.repeat_interleave(2, dim=1))


def test_a_class_of_which_the_attacker_has_no_query_is_named(halves) -> None:
    known, _ = halves()
    with pytest.raises(RobustMetaError, match="has no query of class 0 in task 0 to swap into the support"):
        Swap(fraction=1.0).place(with_columns(known, torch.tensor([[2, 4]] * 2)), [1, 2])


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_it_moves_them_as_evasion_of_the_clean_classifier_does(trained, halves, loss) -> None:
    known, _ = halves()
    learner, threat = trained("protonet"), Threat("Linf", 0.2)
    made = craft_support(Swap(threat, 1.0, 3, 0.1, loss, random_start=False), learner, known, [1, 2])
    clean = learner.adapt(known.support_x, known.support_y)
    evade = ProjectedGradient(threat, 3, 0.1, loss, random_start=False)
    evading = craft(evade, clean, known.query_x, known.query_y)
    for task in range(2):
        for image, placed in zip(made.images[task], made.base[task], strict=True):
            (at,) = (known.query_x[task] == placed).flatten(1).all(1).nonzero()[:, 0].tolist()
            torch.testing.assert_close(image, evading[task, at], rtol=0, atol=1e-6)
    assert not torch.equal(made.images, made.base)
