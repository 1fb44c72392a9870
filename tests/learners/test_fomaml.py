"""First-order MAML: the gradient at the adapted weights."""

import inspect

import torch
import torch.nn.functional as F

from robustmeta.learners import FOMAML
from tests.learners.unrolled import descend, plain, weights_of


def test_the_outer_gradient_is_that_of_the_adapted_weights(learner, batch) -> None:
    made = learner("fomaml", "group", steps=3, inner_lr=0.2).double()
    made.loss(batch).backward()
    total = None
    for t in range(batch.tasks):
        start = weights_of(made.network)
        adapted = descend(start, batch.support_x[t], batch.support_y[t], 3, lambda *_: 0.2, second_order=False)[-1]
        adapted = [weight.detach().requires_grad_() for weight in adapted]
        loss = F.cross_entropy(plain(adapted, batch.query_x[t]), batch.query_y[t]) / batch.tasks
        slopes = torch.autograd.grad(loss, adapted)
        total = slopes if total is None else [a + b for a, b in zip(total, slopes, strict=True)]
    named = dict(made.network.named_parameters())
    torch.testing.assert_close(named["backbone.blocks.0.conv.weight"].grad, total[0])
    torch.testing.assert_close(named["linear.weight"].grad, total[12])


def test_it_is_mamls_of_first_order_and_has_no_such_setting(learner, batch) -> None:
    ours, theirs = learner("fomaml").double(), learner("maml", first_order=True).double()
    gradients = [torch.autograd.grad(made.loss(batch), list(made.parameters())) for made in (ours, theirs)]
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    wanted = inspect.signature(type(theirs)).parameters
    assert set(inspect.signature(FOMAML).parameters) == set(wanted) - {"first_order"}
    assert all(wanted[name].default == p.default for name, p in inspect.signature(FOMAML).parameters.items())
