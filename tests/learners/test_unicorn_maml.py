"""UNICORN-MAML: one head vector for all classes, against the inner loop written out."""

import pytest
import torch

from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from tests.learners.unrolled import check_slope, descend, plain, weights_of

LR = 0.3


def with_random_head(made):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in made.network.linear.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return made


def start_of(made, ways):
    *backbone, head, bias = weights_of(made.network)
    return [*backbone, head.repeat(ways, 1), bias.repeat(ways)]


def of_two_ways(batch: EpisodeBatch) -> EpisodeBatch:
    support, queries = batch.support_y[0] < 2, batch.query_y[0] < 2
    return EpisodeBatch(
        batch.support_x[:, support],
        batch.support_y[:, support],
        batch.query_x[:, queries],
        batch.query_y[:, queries],
        batch.index,
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("engine", ["loop", "vectorized"])
@pytest.mark.parametrize("ways", [2, 3])
def test_it_descends_from_the_same_row_for_each_class_of_tasks_of_any_ways(
    learner, batch, training, engine, ways
) -> None:
    made = with_random_head(learner("unicorn-maml", "group", inner_lr=LR, engine=engine).double()).train(training)
    tasks = batch if ways == 3 else of_two_ways(batch)
    classifier = made.adapt(tasks.support_x, tasks.support_y)
    logits = classifier(tasks.query_x)
    assert classifier.ways == ways
    for t in range(tasks.tasks):
        path = descend(start_of(made, ways), tasks.support_x[t], tasks.support_y[t], made.steps, lambda i, _: LR)
        torch.testing.assert_close(logits[t], plain(path[-1], tasks.query_x[t]))


def test_the_first_step_leaves_the_backbone(learner, batch) -> None:
    made = with_random_head(learner("unicorn-maml", "group", steps=1).double())
    moved = made.adapt(batch.support_x, batch.support_y).weights
    for name, weight in made.network.backbone.named_parameters():
        torch.testing.assert_close(moved[f"backbone.{name}"], weight.expand(3, *weight.shape))
    assert (moved["linear.weight"] - made.network.linear.weight).abs().max() > 1e-3


@pytest.mark.parametrize("norm", ["group", "support"])
def test_weights_get_the_slope_of_the_outer_loss(learner, batch, norm) -> None:
    made = with_random_head(learner("unicorn-maml", norm, inner_lr=LR).double())
    check_slope(made.network.backbone, lambda: made.loss(batch))


def test_the_outer_loss_does_not_move_along_what_all_classes_share(learner, batch) -> None:
    """A vector added to every row of a head leaves each softmax, and each step, as it was: w itself is of no matter."""
    made = with_random_head(learner("unicorn-maml", "group", inner_lr=LR).double())
    before = made.loss(batch)
    with torch.no_grad():
        made.network.linear.weight += 1.0
        made.network.linear.bias -= 2.0
    torch.testing.assert_close(made.loss(batch), before)


@pytest.mark.parametrize("training", [True, False])
def test_the_order_of_the_classes_does_not_matter(learner, batch, training) -> None:
    made = with_random_head(learner("unicorn-maml", "support").double()).train(training)
    order = torch.tensor([2, 0, 1])
    renamed = order.argsort()[batch.support_y]
    plainly, permuted = (made.adapt(batch.support_x, labels)(batch.query_x) for labels in (batch.support_y, renamed))
    torch.testing.assert_close(permuted, plainly[..., order])


def test_a_negative_number_of_steps_is_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match="steps must be at least 0"):
        learner("unicorn-maml", steps=-1)
