"""Reptile: the outer gradient draws to where the steps lead."""

import pytest
import torch
import torch.nn.functional as F

from robustmeta.errors import RobustMetaError
from tests.learners.unrolled import descend, plain, weights_of

LR = 0.2


def ends(made, batch, query_steps: int) -> list[list[torch.Tensor]]:
    """phi of each task, by hand: two steps on the support, then one on every part of the queries."""
    found = []
    for t in range(batch.tasks):
        start = weights_of(made.network)
        weights = descend(start, batch.support_x[t], batch.support_y[t], 2, lambda *_: LR)[-1]
        for step in range(query_steps):
            part = slice(step, None, query_steps)
            weights = descend(weights, batch.query_x[t, part], batch.query_y[t, part], 1, lambda *_: LR)[-1]
        found.append([weight.detach() for weight in weights])
    return found


@pytest.mark.parametrize("engine", ["loop", "vectorized"])
@pytest.mark.parametrize("query_steps", [1, 3])
def test_the_gradient_is_theta_minus_phi_over_the_length_of_the_way(learner, batch, engine, query_steps) -> None:
    made = learner("reptile", "group", inner_lr=LR, query_steps=query_steps, engine=engine).double()
    made.loss(batch).backward()
    start, phi = weights_of(made.network), ends(made, batch, query_steps)
    expected = [
        (weight - torch.stack(parts).mean(0)) / (LR * (2 + query_steps))
        for weight, parts in zip(start, zip(*phi, strict=True), strict=True)
    ]
    named = dict(made.network.named_parameters())
    names = [f"backbone.blocks.{i}.{part}" for i in range(4) for part in ("conv.weight", "scale", "shift")]
    for name, gradient in zip((*names, "linear.weight", "linear.bias"), expected, strict=True):
        torch.testing.assert_close(named[name].grad, gradient.detach())


def test_the_loss_that_is_reported_is_the_cross_entropy_after_the_support(learner, batch) -> None:
    made = learner("reptile", "group", inner_lr=LR).double()
    losses = []
    for t in range(batch.tasks):
        start = weights_of(made.network)
        adapted = descend(start, batch.support_x[t], batch.support_y[t], 2, lambda *_: LR)[-1]
        losses.append(F.cross_entropy(plain(adapted, batch.query_x[t]), batch.query_y[t]))
    torch.testing.assert_close(made.loss(batch), torch.stack(losses).mean().detach(), check_stride=False)


def test_under_a_defense_later_steps_see_the_attacked_queries(learner, batch) -> None:
    aq = learner("reptile-aq", "group", inner_lr=LR, query_steps=3).double()
    attacked = []
    outer_loss = aq.learner.outer_loss

    def seen(classifier, posed):
        attacked.append(posed)
        return outer_loss(classifier, posed)

    aq.learner.outer_loss = seen
    aq.loss(batch).backward()
    (posed,) = attacked
    assert not torch.equal(posed.query_x, batch.query_x)
    phi = ends(aq.learner, posed, 3)
    head = aq.learner.network.linear.weight
    expected = (head - torch.stack([weights[12] for weights in phi]).mean(0)) / (LR * 5)
    torch.testing.assert_close(head.grad, expected.detach())


def test_queries_keep_a_gradient_for_defenses_that_move_them_by_it(learner, batch) -> None:
    free = learner("reptile-free", "group").double()
    free.loss(batch).backward()
    (replayed,) = free._replayed.values()
    assert not torch.equal(replayed.moved, replayed.clean)


def test_more_steps_than_queries_leave_no_step_empty(learner, batch) -> None:
    many = learner("reptile", "group", query_steps=20).double()
    assert many.loss(batch).isfinite()


def test_without_a_step_on_the_queries_it_is_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match="query_steps is 0; Reptile takes at least one step on the queries"):
        learner("reptile", query_steps=0)
