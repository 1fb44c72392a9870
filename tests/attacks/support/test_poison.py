"""Poisoning against gradients worked by hand, noise of the same size, and the learners it must go through."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.ascent import random_start
from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import LOSSES, PGD
from robustmeta.attacks.support import Joint, Poison, Swap, craft_support
from robustmeta.backbones import POLICIES, Backbone, Conv4, Embedding
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses import AdversarialQuerying
from robustmeta.errors import RobustMetaError
from robustmeta.learners import MAML, Learner, ProtoNet
from robustmeta.learners.embedding import EmbeddingClassifier
from robustmeta.learners.protonet import Prototypes


class Pixels(Backbone):
    """A backbone whose features are the pixels."""

    norm = "group"

    def forward(self, images: Tensor, statistics: object = None) -> Embedding:
        return Embedding(images.flatten(2), None)


def accuracy(learner: Learner, support: Tensor, judged: EpisodeBatch) -> float:
    with torch.no_grad():
        logits = learner.adapt(support, judged.support_y)(judged.query_x)
    return (logits.argmax(-1) == judged.query_y).float().mean().item()


def test_one_step_on_prototypes_is_the_gradient_worked_by_hand(batch) -> None:
    """d loss / d x_i = (1 / n_c) mean_q 2 (softmax_c(q) - [y_q = c]) (q - p_c), for image i of class c."""
    learner = ProtoNet(Pixels()).eval()
    wide = EpisodeBatch(0.2 + 0.6 * batch.support_x, batch.support_y, batch.query_x, batch.query_y, batch.index)
    made = craft_support(Poison(Threat("L2", 0.05), 1.0, 1, 0.05, random_start=False), learner, wide)
    for task in range(3):
        support, query = wide.support_x[task].flatten(1), wide.query_x[task].flatten(1)
        means = support.view(3, 2, -1).mean(1)
        surprise = (-(query[:, None] - means).square().sum(-1)).softmax(-1) - F.one_hot(wide.query_y[task])
        gradient = torch.einsum("qc,qcd->cd", surprise, 2 * (query[:, None] - means)) / (2 * len(query))
        for image in range(6):
            own = gradient[wide.support_y[task, image]]
            expected = 0.05 * own / own.norm()
            moved = (made.images - made.base)[task, image].flatten()
            torch.testing.assert_close(moved, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kind", [Poison, Swap, Joint])
@pytest.mark.parametrize(("norm", "eps"), [("Linf", 0.3), ("L2", 1.5), ("Linf", 0.0)])
def test_no_more_than_the_fraction_moves_and_no_further_than_eps(trained, halves, kind, norm, eps) -> None:
    known, _ = halves(tasks=3)
    threat = Threat(norm, eps)
    made = craft_support(kind(threat, 1 / 3, 3), trained("protonet"), known, [4, 5, 6])
    assert made.mask.sum(1).tolist() == [2, 2, 2]
    size = threat.size(made.images - made.base)
    assert size.max() <= eps + 1e-6
    assert (size[made.mask] > 0.5 * eps).all() or not eps
    assert not size[~made.mask].any()
    assert made.images.min() >= 0
    assert made.images.max() <= 1
    assert made.overshoot.max() < 1e-6
    assert not made.outside.any()


@pytest.mark.parametrize(("name", "eps", "fraction"), [("protonet", 0.3, 1 / 3), ("maml", 0.4, 1.0)])
def test_it_costs_held_out_accuracy_that_noise_of_its_size_does_not(trained, halves, name, eps, fraction) -> None:
    known, judged = halves(tasks=6, queries=6)
    learner, threat = trained(name), Threat("Linf", eps)
    made = craft_support(Poison(threat, fraction, 4), learner, known, range(6))
    noisy = torch.where(made.mask[..., None, None, None], random_start(threat, made.base, range(6)), made.base)
    assert accuracy(learner, noisy, judged) > 0.9
    assert accuracy(learner, made.images, judged) < accuracy(learner, noisy, judged) - 0.1


@pytest.mark.parametrize("kind", [Poison, Swap, Joint])
def test_a_tasks_poison_does_not_depend_on_the_tasks_beside_it(trained, halves, kind) -> None:
    known, _ = halves(tasks=3)
    attack = kind(Threat("L2", 0.5), 1 / 3, 2)
    together = craft_support(attack, trained("protonet"), known, [7, 8, 9])
    alone = EpisodeBatch(known.support_x[1:2], known.support_y[1:2], known.query_x[1:2], known.query_y[1:2])
    apart = craft_support(attack, trained("protonet"), alone, [8])
    assert torch.equal(apart.mask, together.mask[1:2])
    assert torch.allclose(apart.images, together.images[1:2], atol=1e-5)
    other = craft_support(attack, trained("protonet"), known, [1, 2, 3])
    assert not torch.allclose(other.images, together.images, atol=1e-3)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_poison_is_the_support_of_highest_loss_met(trained, halves, loss) -> None:
    known, _ = halves()
    met: list[Tensor] = []

    class Watched(ProtoNet):
        def adapt(self, support_x: Tensor, support_y: Tensor) -> object:
            met.append(support_x.detach().clone())
            return super().adapt(support_x, support_y)

    learner = Watched(trained("protonet").backbone).eval()
    # Steps of twice the budget jump from side to side, so that the last is not the best.
    made = craft_support(Poison(Threat("Linf", 0.2), 0.5, 4, 0.4, loss), learner, known, [0, 1])
    iterates = torch.stack(met)
    assert len(iterates) == 5
    assert torch.equal(iterates[:, ~made.mask], made.base[~made.mask].expand(5, -1, -1, -1, -1))
    with torch.no_grad():
        logits = [learner.adapt(support, known.support_y)(known.query_x) for support in iterates]
    best = torch.stack([LOSSES[loss](each, known.query_y).mean(1) for each in logits]).argmax(0)
    for task in range(2):
        assert torch.equal(made.images[task], iterates[best[task], task])
    assert (best < 4).any()
    assert (best > 0).any()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_a_gradient_that_is_not_a_number_moves_nothing(trained, halves, norm) -> None:
    class Breaks(ProtoNet):
        def adapt(self, support_x: Tensor, support_y: Tensor) -> EmbeddingClassifier:
            classifier = super().adapt(support_x, support_y)
            classifier.state = Prototypes(classifier.state.means * torch.nan)
            return classifier

    known, _ = halves()
    attack = Poison(Threat(norm, 0.1), steps=2, random_start=False)
    made = craft_support(attack, Breaks(trained("protonet").backbone).eval(), known)
    assert torch.equal(made.images, known.support_x)


def test_it_goes_through_every_learner_policy_and_defense(halves) -> None:
    known, _ = halves(tasks=1)
    for norm, kind in product(POLICIES, (ProtoNet, MAML)):
        torch.manual_seed(0)
        inner = kind(Conv4(size=16, width=4, norm=norm), **({"ways": 3, "steps": 1} if kind is MAML else {}))
        learner = AdversarialQuerying(inner, PGD()).eval()
        before = {key: value.clone() for key, value in learner.state_dict().items()}
        for attack in (Poison, Joint):
            made = craft_support(attack(Threat("Linf", 0.1), 1.0, 1, 0.1, random_start=False), learner, known, [0])
            assert made.images.sub(made.base).abs().amax((2, 3, 4)).min() > 0.01
        assert all(torch.equal(value, before[key]) for key, value in learner.state_dict().items())
        assert all(parameter.grad is None for parameter in learner.parameters())


@pytest.mark.parametrize("kind", [Poison, Joint])
def test_a_learner_that_cuts_the_graph_of_the_support_is_named(trained, halves, kind) -> None:
    class Cuts(ProtoNet):
        def adapt(self, support_x: Tensor, support_y: Tensor) -> object:
            return super().adapt(support_x, support_y).detach()

    known, _ = halves()
    learner = Cuts(trained("protonet").backbone).eval()
    with pytest.raises(RobustMetaError, match="the adapt of Cuts does not keep the graph of the support") as error:
        craft_support(kind(), learner, known)
    assert "\n" not in str(error.value)
    craft_support(Swap(Threat(), steps=1), learner, known)  # needs no gradient through the adaptation
