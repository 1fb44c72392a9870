"""The joint attack: a support poisoned for queries that move too."""

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.attacks.support import Joint, Poison, craft_support


def test_the_judged_queries_are_then_moved_by_the_margin_in_the_same_threat() -> None:
    attack = Joint(Threat("L2", 0.7), steps=9, step_size=0.2)
    assert attack.then == ProjectedGradient(attack.threat, 9, 0.2, "margin", until_fooled=True)
    assert Poison().then is None


def test_support_and_queries_climb_together(trained, halves) -> None:
    """Two steps written out; Poison, whose queries stay, takes another second step."""
    known, _ = halves()
    learner, threat = trained("protonet"), Threat("Linf", 0.1)

    def slopes(support: Tensor, queries: Tensor) -> tuple[Tensor, ...]:
        moving = [support.requires_grad_(), queries.requires_grad_()]
        logits = learner.adapt(support, known.support_y)(queries)
        return torch.autograd.grad(F.cross_entropy(logits.flatten(0, 1), known.query_y.flatten()), moving)

    def up(images: Tensor, slope: Tensor) -> Tensor:
        return (images + 0.04 * slope.sign()).clamp(0, 1).detach()

    support, queries = known.support_x.clone(), known.query_x.clone()
    along, across = slopes(support, queries)
    support, queries = up(support, along), up(queries, across)
    expected = up(support, slopes(support, queries)[0])
    joint, poison = (
        craft_support(kind(threat, 1.0, 2, 0.04, random_start=False), learner, known).images for kind in (Joint, Poison)
    )
    torch.testing.assert_close(joint, expected)
    assert not torch.allclose(joint, poison, atol=0.01)


def test_it_costs_more_than_evasion_alone(trained, halves) -> None:
    known, judged = halves(tasks=8)
    learner = trained("protonet")
    attack = Joint(Threat("Linf", 0.05), 1.0, 4)

    def right(support: Tensor) -> float:
        classifier = learner.adapt(support, known.support_y)
        moved = craft(attack.then, classifier, judged.query_x, judged.query_y, range(8))
        return (classifier(moved).argmax(-1) == judged.query_y).float().mean().item()

    assert right(craft_support(attack, learner, known, range(8)).images) < right(known.support_x) - 0.1
