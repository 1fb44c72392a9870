"""Adversarial weight perturbation, its step and its gradient worked by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.defenses import ADML, AdversarialQuerying, LongTermCross, TradesQuerying, WeightPerturbation
from robustmeta.errors import RobustMetaError
from robustmeta.robustify import robustify


def cross_entropy(learner, batch, queries):
    logits = learner.adapt(batch.support_x, batch.support_y)(queries)
    return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())


@pytest.mark.parametrize("name", ["protonet", "maml"])
def test_the_gradient_is_taken_at_the_moved_weights_and_moves_the_old_ones(learner, batch, shift, name) -> None:
    inner = learner(name).double()
    wrapped = WeightPerturbation(inner, shift, gamma=0.02)
    attacked = shift.held(batch.query_x)
    there = copy.deepcopy(inner)  # the same network, its weights put at theta + v by hand
    loss = cross_entropy(there, batch, attacked)
    gradients = torch.autograd.grad(loss, list(there.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(there.parameters(), gradients, strict=True):
            if weight.dim() > 1:
                weight += 0.02 * weight.norm() / gradient.norm() * gradient
    wanted = cross_entropy(there, batch, attacked)
    assert wanted > loss  # the weights were moved against the loss
    wanted.backward()
    found = wrapped.loss(batch)
    torch.testing.assert_close(found, wanted)
    found.backward()
    for weight, other in zip(inner.parameters(), there.parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad)
    assert len(shift.seen) == 1  # the queries are attacked once, at theta
    torch.testing.assert_close(shift.logits[0], inner.adapt(batch.support_x, batch.support_y)(batch.query_x).detach())


def test_it_goes_around_other_losses(learner, batch, shift) -> None:
    inner = learner().double()
    plain = TradesQuerying(inner, shift)
    assert WeightPerturbation(plain, gamma=0.1).loss(batch) > plain.loss(batch)
    assert torch.equal(WeightPerturbation(plain, gamma=0.0).loss(batch), plain.loss(batch))


def test_before_its_time_it_is_the_inner_defense(learner, batch) -> None:
    querying = AdversarialQuerying(learner().double(), PGD(0.1, steps=2))
    wrapped = WeightPerturbation(querying, after=0.5)
    wrapped.progress = 0.4
    assert torch.equal(wrapped.loss(batch), querying.loss(batch))
    wrapped.progress = 0.5
    assert wrapped.loss(batch) > querying.loss(batch)


def test_a_weight_without_gradient_stays(learner, batch) -> None:
    """One that nothing hangs on, and one that is frozen."""
    inner = learner().double()
    inner.unused = torch.nn.Parameter(torch.ones(2, 2, dtype=torch.float64))
    frozen = next(iter(inner.parameters()))
    frozen.requires_grad_(False)
    WeightPerturbation(inner, PGD(0.1, steps=1)).loss(batch).backward()
    assert inner.unused.grad is None
    assert frozen.grad is None


def test_batch_normalization_in_training_mode(batch) -> None:
    """Running averages of a network of somebody else's move once, and none is changed under a graph that holds it."""
    single = batch.__class__(
        batch.support_x.float(), batch.support_y, batch.query_x.float(), batch.query_y, batch.index
    )

    def network():
        torch.manual_seed(0)
        return torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(196, 3)
        )

    attack = PGD(0.1, steps=1)
    ours, plain = robustify(network(), defense="awp", attack=attack), robustify(network(), attack=attack)
    ours.loss(single).backward()
    plain.loss(single)
    for name, buffer in plain.named_buffers():
        assert torch.equal(buffer, dict(ours.learner.named_buffers())[name])
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_a_defense_with_more_than_one_attack_is_refused(learner, shift) -> None:
    with pytest.raises(RobustMetaError, match="awp goes around a defense with one attack on the queries, not adml"):
        WeightPerturbation(ADML(learner(), shift))
    with pytest.raises(
        RobustMetaError, match=r"awp goes around a defense with one attack on the queries, not aq\+lcat"
    ):
        WeightPerturbation(LongTermCross(learner(), shift))


def test_settings_that_cannot_be(learner, shift) -> None:
    with pytest.raises(RobustMetaError, match="gamma is -1 and after 0; the one must be at least 0, the other a share"):
        WeightPerturbation(learner(), shift, gamma=-1.0)
    with pytest.raises(RobustMetaError, match="awp needs an attack, or a defense with one inside it, as aq"):
        WeightPerturbation(learner())
    with pytest.raises(RobustMetaError, match="awp goes around aq, which has an attack and a ramp of its own"):
        WeightPerturbation(AdversarialQuerying(learner(), shift), shift)
