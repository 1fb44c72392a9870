"""More training shots: which images change sides, and what is refused."""

import pytest
import torch

from robustmeta.batch import EpisodeBatch
from robustmeta.defenses import MoreShots
from robustmeta.errors import RobustMetaError


def test_the_first_queries_of_each_class_join_the_support(learner) -> None:
    """Images are named by their value; the queries of the two tasks stand in different orders."""
    names = torch.arange(2 * 8).reshape(2, 8, 1, 1, 1) / 100
    support = torch.tensor([[0.5, 0.6], [0.7, 0.8]]).reshape(2, 2, 1, 1, 1)
    labels = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0, 0, 1]])
    batch = EpisodeBatch(support, torch.tensor([[0, 1], [1, 0]]), names, labels, (4, 7))
    found = MoreShots(learner(), shots=3).regrouped(batch)
    values = lambda images: (images.flatten(1) * 100).round().int().tolist()  # noqa: E731
    assert values(found.support_x) == [[50, 60, 0, 1, 4, 5], [70, 80, 8, 9, 10, 11]]
    assert found.support_y.tolist() == [[0, 1, 0, 0, 1, 1], [1, 0, 1, 0, 1, 0]]
    assert values(found.query_x) == [[2, 3, 6, 7], [12, 13, 14, 15]]
    assert found.query_y.tolist() == [[0, 0, 1, 1], [1, 0, 0, 1]]
    assert found.index == (4, 7)


def test_the_loss_is_the_learners_on_the_larger_support(learner, episodes) -> None:
    """The same images as episodes of 3 shots and 2 queries have, where 1 and 4 are asked for."""
    few, more = episodes(shots=1, queries=4).batch([0, 1]), episodes(shots=3, queries=2).batch([0, 1])
    found, wanted = MoreShots(learner(), shots=3).loss(few), learner().loss(more)
    torch.testing.assert_close(found, wanted)


def test_batches_that_cannot_be_regrouped(learner, episodes) -> None:
    with pytest.raises(RobustMetaError, match="shots is 1; more shots in training are at least 2"):
        MoreShots(learner(), shots=1)
    with pytest.raises(RobustMetaError, match="with 2 shots, and the batch has 2 and 3 queries of each class; give it"):
        MoreShots(learner(), shots=2).loss(episodes().batch([0]))
    with pytest.raises(RobustMetaError, match=r"with 5 shots, .* 6 or more of both together"):
        MoreShots(learner(), shots=5).loss(episodes().batch([0]))
    batch = episodes().batch([0])
    uneven = EpisodeBatch(batch.support_x, batch.support_y, batch.query_x[:, :-1], batch.query_y[:, :-1])
    with pytest.raises(RobustMetaError, match="whose classes have equal queries; here they have 2 to 3"):
        MoreShots(learner(), shots=3).loss(uneven)
