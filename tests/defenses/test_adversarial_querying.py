"""Adversarial querying against its formula, and against any trace that crafting could leave."""

import copy
from dataclasses import dataclass, field, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import FGSM, PGD
from robustmeta.backbones import POLICIES
from robustmeta.defenses import DEFENSES, AdversarialQuerying
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner

LEARNERS = ("protonet", "maml")


@dataclass
class Fixed:
    """Always moves every pixel by the same pattern; notes what it was told."""

    threat: Threat = field(default_factory=lambda: Threat("Linf", 0.2))
    by: float = 0.03
    factors: list[float] = field(default_factory=list)
    seeds: list[object] = field(default_factory=list)

    def scaled(self, factor: float) -> "Fixed":
        self.factors.append(factor)
        return self

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        self.seeds.append(seeds)
        self.logits = classifier(images)
        return images + self.pattern(images)

    def pattern(self, images: Tensor) -> Tensor:
        return self.by * (-1.0) ** torch.arange(images.shape[-1]).to(images)


@dataclass
class Dtypes:
    """Notes the type of what the backbone's convolutions make while it crafts, and moves nothing."""

    threat: Threat = field(default_factory=Threat)
    dtype: torch.dtype | None = None

    def scaled(self, factor: float) -> "Dtypes":
        return self

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        assert torch.autograd.grad(classifier(images.requires_grad_()).sum(), images)[0].isfinite().all()
        self.dtype = F.conv2d(images[0], torch.ones(1, images.shape[2], 3, 3)).dtype
        return images


@pytest.fixture
def crafted(monkeypatch) -> list[Tensor]:
    """The query images that outer losses are taken on, as they are taken."""
    seen: list[Tensor] = []
    original = Learner.outer_loss

    def spy(self, classifier, batch):
        seen.append(batch.query_x)
        return original(self, classifier, batch)

    monkeypatch.setattr(Learner, "outer_loss", spy)
    return seen


@pytest.mark.parametrize("name", LEARNERS)
def test_the_loss_is_cross_entropy_on_the_moved_queries(learner, batch, name) -> None:
    inner, attack = learner(name).double(), Fixed()
    loss = AdversarialQuerying(inner, attack).loss(batch)
    moved = (batch.query_x + attack.pattern(batch.query_x)).clamp(0, 1)
    logits = inner.adapt(batch.support_x, batch.support_y)(moved)
    torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()))
    assert not attack.logits.requires_grad
    assert attack.seeds == [(0, 1, 2)]


@pytest.mark.parametrize("name", LEARNERS)
def test_one_step_of_fgsm_worked_by_hand(learner, batch, crafted, name) -> None:
    inner = learner(name).double()
    AdversarialQuerying(inner, FGSM(0.04)).loss(batch)
    x = batch.query_x.clone().requires_grad_()
    classifier = inner.adapt(batch.support_x, batch.support_y)
    losses = F.cross_entropy(classifier(x).flatten(0, 1), batch.query_y.flatten(), reduction="sum")
    (gradient,) = torch.autograd.grad(losses, x)
    moved = (batch.query_x + 0.04 * gradient.sign()).clamp(0, 1)
    kept = [torch.equal(crafted[0][t, q], batch.query_x[t, q]) for t in range(3) for q in range(9)]
    for t in range(3):
        for q in range(9):
            if not kept[9 * t + q]:  # the better of the two iterates is taken; one step nearly always is
                torch.testing.assert_close(crafted[0][t, q], moved[t, q])
    assert sum(kept) <= 5


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("attack", [PGD(0.07, steps=3), PGD(0.9, steps=3, norm="L2"), PGD(1.0, steps=2, loss="margin")])
def test_crafted_queries_stay_in_the_ball_and_in_the_pixel_range(learner, episodes, crafted, name, attack) -> None:
    task = episodes().batch([0, 1])
    AdversarialQuerying(learner(name), attack).loss(task)
    (moved,) = crafted
    sizes = attack.threat.size(moved - task.query_x)
    assert sizes.max() <= attack.threat.eps * (1 + 1e-5)
    assert sizes.min() > 0
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert not moved.requires_grad


def test_an_attack_that_leaves_its_ball_is_put_back(learner, batch, crafted) -> None:
    AdversarialQuerying(learner().double(), Fixed(Threat("Linf", 0.01), by=0.5)).loss(batch)
    assert (crafted[0] - batch.query_x).abs().max() <= 0.01 + 1e-12
    AdversarialQuerying(learner().double(), Fixed(by=float("nan"))).loss(batch)
    assert torch.equal(crafted[1], batch.query_x)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("norm", ["running", "support", "group"])
def test_without_a_budget_loss_and_gradient_are_the_natural_ones(learner, batch, name, norm) -> None:
    natural, defended = learner(name, norm).double(), learner(name, norm).double()
    wrapped = AdversarialQuerying(defended, PGD(0.0, steps=2))
    loss, expected = wrapped.loss(batch), natural.loss(batch)
    assert torch.equal(loss, expected)
    loss.backward()
    expected.backward()
    for got, wanted in zip(defended.parameters(), natural.parameters(), strict=True):
        assert torch.equal(got.grad, wanted.grad)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("norm", ["running", "support"])
def test_the_gradient_takes_the_crafted_queries_as_constants(learner, batch, crafted, name, norm) -> None:
    """For MAML it runs through the inner loop: it is the second-order gradient on the moved queries."""
    inner, plain = learner(name, norm).double(), learner(name, norm).double()
    AdversarialQuerying(inner, PGD(0.1, steps=3)).loss(batch).backward()
    plain.loss(batch.with_queries(crafted[0])).backward()
    assert not torch.equal(crafted[0], batch.query_x)
    for got, wanted in zip(inner.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(got.grad, wanted.grad, rtol=1e-9, atol=1e-12)
        assert got.grad.abs().sum() > 0
    assert batch.query_x.grad is None


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("norm", ["running", "support", "group", "transductive"])
@pytest.mark.parametrize("training", [True, False])
def test_crafting_leaves_no_trace(learner, batch, name, norm, training) -> None:
    inner, untouched = learner(name, norm).double().train(training), learner(name, norm).double().train(training)
    wrapped = AdversarialQuerying(inner, PGD(0.1, steps=2)).train(training)
    untouched.loss(batch)
    images, random = batch.query_x.clone(), torch.get_rng_state()
    wrapped.loss(batch)
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(batch.query_x, images)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in wrapped.parameters())
    assert all(part.training == training for part in wrapped.modules())
    for key, value in inner.state_dict().items():
        assert torch.equal(value, untouched.state_dict()[key])  # running averages moved as a natural step moves them


def test_the_same_task_is_attacked_alike_whenever_it_comes(learner, batch, crafted) -> None:
    wrapped = AdversarialQuerying(learner().double(), PGD(0.1, steps=2))
    wrapped.loss(batch)
    torch.rand(7)
    wrapped.loss(batch)
    assert torch.equal(crafted[0], crafted[1])


@pytest.mark.parametrize(
    ("ramp", "progress", "factor"),
    [
        (0.3, 0.0, 0.0),
        (0.3, 0.15, 0.5),
        (0.3, 0.3, 1.0),
        (0.3, 0.9, 1.0),
        (1.0, 0.25, 0.25),
    ],
)
def test_eps_grows_along_the_ramp(learner, batch, ramp, progress, factor) -> None:
    attack = Fixed()
    wrapped = AdversarialQuerying(learner().double(), attack, ramp)
    wrapped.progress = progress
    wrapped.loss(batch)
    assert attack.factors == [pytest.approx(factor)]


def test_the_ramp_bounds_what_is_crafted(learner, batch, crafted) -> None:
    wrapped = AdversarialQuerying(learner().double(), PGD(0.1, steps=3), ramp=0.5)
    for progress, eps in ((0.0, 0.0), (0.25, 0.05), (1.0, 0.1)):
        wrapped.progress = progress
        wrapped.loss(batch)
        assert (crafted[-1] - batch.query_x).abs().max() == pytest.approx(eps)


@pytest.mark.parametrize("ramp", [-0.1, 1.5, float("nan")])
def test_a_ramp_that_is_no_share_is_refused(learner, ramp) -> None:
    with pytest.raises(RobustMetaError, match=r"ramp is .*; it is a share of training, 0 to 1"):
        AdversarialQuerying(learner(), PGD(0.1), ramp)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_defended_learner_stands_wherever_a_learner_does(learner, batch, name) -> None:
    inner = learner(name).double().eval()
    wrapped = AdversarialQuerying(inner, PGD(0.1)).eval()
    assert torch.equal(
        wrapped.adapt(batch.support_x, batch.support_y)(batch.query_x),
        inner.adapt(batch.support_x, batch.support_y)(batch.query_x),
    )
    assert list(wrapped.parameters()) == list(inner.parameters())
    assert wrapped.base is inner
    assert (wrapped.defense, inner.defense) == ("aq", "natural")
    assert copy.deepcopy(wrapped).loss(batch).isfinite()
    assert DEFENSES["aq"] is AdversarialQuerying


def test_no_gradient_runs_back_into_the_crafting(learner, batch, crafted) -> None:
    """Whatever graph the queries or the attack's result hang on."""

    class Attached(Fixed):
        def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
            return images.clone().requires_grad_() + self.pattern(images)

    for attack in (Fixed(), Attached()):
        batch.query_x.requires_grad_()
        AdversarialQuerying(learner().double(), attack).loss(batch).backward()
        assert batch.query_x.grad is None
        assert not crafted[-1].requires_grad


@pytest.mark.parametrize("name", LEARNERS)
def test_in_bfloat16_only_the_crafting_is_rounded(learner, batch, crafted, name) -> None:
    inner = learner(name).float()
    floats = replace(batch, support_x=batch.support_x.float(), query_x=batch.query_x.float())
    seen = Dtypes()
    loss = AdversarialQuerying(inner, seen, precision="bfloat16").loss(floats)
    assert seen.dtype == torch.bfloat16
    assert loss.dtype == crafted[0].dtype == torch.float32
    logits = inner.adapt(floats.support_x, floats.support_y)(crafted[0])
    torch.testing.assert_close(loss, F.cross_entropy(logits.flatten(0, 1), floats.query_y.flatten()))


@pytest.mark.parametrize("norm", POLICIES)
@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("name", LEARNERS)
def test_bfloat16_goes_with_every_policy_and_loss(learner, batch, name, norm, loss) -> None:
    inner = learner(name, norm).float().train()
    floats = replace(batch, support_x=batch.support_x.float(), query_x=batch.query_x.float())
    AdversarialQuerying(inner, PGD(0.05, steps=2, loss=loss), precision="bfloat16").loss(floats).backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in inner.parameters())


def test_an_unknown_precision(learner) -> None:
    with pytest.raises(RobustMetaError, match="did you mean 'bfloat16'"):
        AdversarialQuerying(learner("protonet"), PGD(0.1), precision="bfloat")
