"""UNICORN-MAML: one head vector for all classes, against the inner loop written out."""

import pytest
import torch

from robustmeta.backbones import Conv4
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.learners import UnicornMAML
from tests.learners.unrolled import check_slope, descend, plain, weights_of

LR = 0.3


def with_random_head(made):
    """What the paper has in place of zeros: of no matter, as the comparisons with it show."""
    generator = torch.Generator().manual_seed(1)
    for row in made.network.linear.buffers():
        row.copy_(torch.randn(row.shape, generator=generator, dtype=row.dtype))
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


@pytest.mark.parametrize("engine", ["loop", "vectorized"])
def test_any_other_vector_would_do_as_zero_does(learner, batch, engine) -> None:
    """A vector added to every row of a head leaves each softmax, and each step, as it was."""
    made = learner("unicorn-maml", "group", inner_lr=LR, engine=engine).double()
    by_zero = made.loss(batch)
    torch.testing.assert_close(with_random_head(made).loss(batch), by_zero)


def test_training_moves_the_backbone_and_leaves_the_head_at_zero(learner, batch) -> None:
    made = learner("unicorn-maml", inner_lr=LR).double()
    before = [weight.detach().clone() for weight in made.network.backbone.parameters()]
    optimizer = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        made.loss(batch).backward()
        optimizer.step()
    assert all(not torch.equal(*pair) for pair in zip(before, made.network.backbone.parameters(), strict=True))
    assert [weight.abs().max() for weight in made.network.linear.buffers()] == [0, 0]


@pytest.mark.parametrize("engine", ["loop", "vectorized"])
def test_a_linear_layer_of_the_backbone_is_not_taken_for_the_head(batch, engine) -> None:
    made = UnicornMAML(Conv4(size=16, width=4, norm="group", embedding=7), engine=engine).double()
    for tasks in (batch, of_two_ways(batch)):
        made.loss(tasks).backward()
    assert made.network.backbone.linear.weight.grad.abs().max() > 0


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
