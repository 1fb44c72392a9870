"""Free adversarial querying against its update, worked by hand over three replays."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.ascent import random_start
from robustmeta.attacks.base import Threat
from robustmeta.defenses import DEFENSES, FreeAdversarialQuerying
from robustmeta.errors import RobustMetaError


def cross_entropy_at(learner, batch, queries: Tensor) -> Tensor:
    logits = learner.adapt(batch.support_x, batch.support_y)(queries)
    return F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())


@pytest.mark.parametrize("name", ["protonet", "maml"])
def test_three_replays_worked_by_hand(learner, batch, name) -> None:
    threat, inner = Threat("Linf", 0.08), learner(name).double().train()
    free = FreeAdversarialQuerying(inner, threat, replays=3, step_size_over_eps=0.5).train()
    queries = random_start(threat, batch.query_x, batch.index)
    for _ in range(3):
        expected = cross_entropy_at(inner, batch, queries.requires_grad_())
        (gradient,) = torch.autograd.grad(expected, queries)
        loss = free.loss(batch)
        torch.testing.assert_close(loss, expected)
        loss.backward()
        moved = queries.detach() + 0.04 * gradient.sign()
        low, high = (batch.query_x - 0.08).clamp_min(0), (batch.query_x + 0.08).clamp_max(1)
        queries = torch.maximum(torch.minimum(moved, high), low)


def test_the_backward_pass_gives_the_learner_its_ordinary_gradient(learner, batch) -> None:
    inner = learner("protonet").double().train()
    free = FreeAdversarialQuerying(inner, Threat("Linf", 0.05))
    free.loss(batch).backward()
    found = [parameter.grad.clone() for parameter in inner.parameters()]
    start = random_start(free.threat, batch.query_x, batch.index)
    for ours, plain in zip(
        found, torch.autograd.grad(cross_entropy_at(inner, batch, start), list(inner.parameters())), strict=True
    ):
        torch.testing.assert_close(ours, plain)


def test_after_its_replays_and_on_other_queries_it_begins_at_a_random_point(learner, batch) -> None:
    free = FreeAdversarialQuerying(learner("protonet").double().train(), Threat("Linf", 0.05), replays=2).train()
    by_hand = replace(batch, index=())  # as of a training loop of one's own
    others = by_hand.with_queries(batch.query_x.flip(1))
    torch.manual_seed(0)
    first = [met(free, by_hand) for _ in range(2)]
    assert first[0] != first[1]
    torch.manual_seed(0)
    assert [met(free, by_hand) for _ in range(2)] == first  # a third meeting is a first one
    met(free, by_hand)
    torch.manual_seed(1)
    after_another = met(free, others)
    torch.manual_seed(1)
    alone = met(FreeAdversarialQuerying(free.learner, free.threat, replays=2).train(), others)
    assert after_another == alone


def met(free: FreeAdversarialQuerying, batch) -> float:
    loss = free.loss(batch)
    loss.backward()
    return loss.item()


def test_nothing_is_kept_of_batches_that_were_met_often_enough(learner, batch) -> None:
    free = FreeAdversarialQuerying(learner("protonet").double().train(), Threat("Linf", 0.05), replays=3)
    for _ in range(3):
        assert not free._replayed or batch.index in free._replayed
        met(free, batch)
    assert not free._replayed


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.2, 0.5), (0.4, 1.0), (0.9, 1.0)])
def test_eps_grows_over_the_ramp(learner, batch, progress, share) -> None:
    inner = learner("protonet").double().train()
    free = FreeAdversarialQuerying(inner, Threat("Linf", 0.05), ramp=0.4)
    free.progress = progress
    start = random_start(Threat("Linf", 0.05 * share), batch.query_x, batch.index)
    torch.testing.assert_close(free.loss(batch), cross_entropy_at(inner, batch, start))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replays": 1}, "replays is 1; the queries move between replays, so there must be 2 or more"),
        ({"step_size_over_eps": 0.0}, "step_size_over_eps is 0; it must be above 0"),
        ({"ramp": 1.5}, "ramp is 1.5; .* a share of training, 0 to 1"),
    ],
)
def test_settings_that_cannot_be(learner, settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        FreeAdversarialQuerying(learner("protonet"), Threat(), **settings)


def test_it_is_registered_and_names_itself_in_rows(learner) -> None:
    inner = learner("protonet")
    free = DEFENSES["free-aq"](inner, Threat())
    assert (free.defense, free.base, free.replays) == ("free-aq", inner, 4)
