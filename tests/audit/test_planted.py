"""Planted fakes, each caught by the code named for it; and honest learners, which no check fails."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.projected_gradient import FGSM, PGD, cross_entropy
from robustmeta.audit import CODES
from robustmeta.episodes import Episodes
from robustmeta.evaluation import evaluate
from robustmeta.learners import Classifier, Learner

THREAT = Threat("Linf", 0.05)
ON_DEMAND = ("S01", "S02", "S04", "S06", "S09", "S10", "S12", "S13", "S14", "S17")
ATTACKS = {"pgd": PGD(0.05, steps=5), "margin": PGD(0.05, steps=5, loss="margin")}


class Fake(Classifier):
    """A classifier round an honest one, which is broken in the one place its subclass says."""

    def __init__(self, inner: Classifier) -> None:
        super().__init__()
        self.inner, self.ways = inner, inner.ways

    def forward(self, query_x: Tensor) -> Tensor:
        return self.inner(query_x)

    def remade(self, inner: Classifier) -> Classifier:
        return type(self)(inner)

    def detach(self) -> Classifier:
        return self.remade(self.inner.detach())

    def select(self, tasks) -> Classifier:
        return self.remade(self.inner.select(tasks))


class Faking(Learner):
    def __init__(self, learner: Learner, fake: Callable[[Classifier], Classifier]) -> None:
        super().__init__()
        self.learner, self.fake = learner, fake

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        return self.fake(self.learner.adapt(support_x, support_y))


class Softmax(Fake):
    def forward(self, query_x):
        return self.inner(query_x).softmax(-1)


class Thousandfold(Fake):
    def forward(self, query_x):
        return 1000 * self.inner(query_x)


class Reversed(Fake):
    def forward(self, query_x):
        masked = -query_x + 2 * query_x.detach()
        return self.inner(masked)


class Masked(Fake):
    def forward(self, query_x):
        return self.inner(query_x * 0 + query_x.detach())


class Noisy(Fake):
    def forward(self, query_x):
        return self.inner((query_x + 0.1 * torch.randn_like(query_x)).clamp(0, 1))


class NumpyNoisy(Fake):
    def forward(self, query_x):
        logits = self.inner(query_x)
        return logits * torch.from_numpy(np.random.uniform(0.9, 1.1, logits.shape)).to(logits)  # noqa: NPY002


class DropsOut(Fake):
    """Its task classifiers have a mode, and are handed out in that of training."""

    class Task(nn.Module):
        def __init__(self, classifier: Classifier) -> None:
            super().__init__()
            self.classifier, self.ways, self.dropout = classifier, classifier.ways, nn.Dropout(0.5)

        def forward(self, images):
            return self.dropout(self.classifier(images[None])[0])

    def task(self, index):
        return self.Task(self.select([index]))


class KinderUnderAttack(Fake):
    def forward(self, query_x):
        return self.inner(query_x) if query_x.requires_grad else self.inner(query_x.round(decimals=1))


class ClippedDetached(Fake):
    """Is another each time it is detached, as an attack does before it begins."""

    def __init__(self, inner, times=0):
        super().__init__(inner)
        self.times = times

    def forward(self, query_x):
        return self.inner(query_x) * 0.9**self.times

    def detach(self):
        return ClippedDetached(self.inner.detach(), self.times + 1)


class Transductive(Fake):
    """Centres its logits by the batch, and does not say so."""

    def forward(self, query_x):
        logits = self.inner(query_x)
        return logits - logits.mean(1, keepdim=True)


class Leaking(Fake):
    """Knows that queries come in the order of their classes."""

    def forward(self, query_x):
        number = query_x.shape[1]
        place = torch.arange(number) * self.ways // number
        return self.inner(query_x) + 1000 * nn.functional.one_hot(place, self.ways)


class Rounded(Fake):
    def forward(self, query_x):
        return self.inner((query_x * 4).round() / 4)


class StraightThrough(Fake):
    def forward(self, query_x):
        rounded = (query_x > 0.5).to(query_x)
        return self.inner(query_x + (rounded - query_x).detach())


class Numpy(Fake):
    """Leaves torch on the way: there is no graph, and under gradients not even an answer."""

    def forward(self, query_x):
        return self.inner(torch.from_numpy(np.sqrt(query_x.numpy())))


class Purified(Fake):
    """Blurs what it scores, with the gradient of the unblurred image."""

    def forward(self, query_x):
        blurred = nn.functional.avg_pool2d(query_x.flatten(0, 1), 5, stride=1, padding=2).view_as(query_x)
        return self.inner(query_x + (blurred.round() - query_x).detach())


class PurifiedInScoring(Fake):
    def forward(self, query_x):
        if torch.is_grad_enabled():
            return self.inner(query_x)
        return self.inner(nn.functional.avg_pool2d(query_x.flatten(0, 1), 3, stride=1, padding=1).view_as(query_x))


class Adapting(Fake):
    """Moves each query to where it is surer of its answer, before it answers."""

    def forward(self, query_x):
        with torch.enable_grad():
            x = query_x.detach().requires_grad_()
            logits = self.inner(x)
            (gradient,) = torch.autograd.grad(cross_entropy(logits, logits.argmax(-1)).sum(), x)
        return self.inner(query_x - 0.01 * gradient.sign())


class Guessing(Fake):
    def forward(self, query_x):
        logits = self.inner(query_x) * 0
        return logits + torch.tensor([1.0] + [0.0] * (self.ways - 1))


FAKES = [
    (Softmax, "G05"),
    (Thousandfold, "G02"),
    (Reversed, "G10"),
    (Masked, "G01"),
    (Noisy, "G06"),
    (NumpyNoisy, "G06"),
    (DropsOut, "G08"),
    (KinderUnderAttack, "G08"),
    (ClippedDetached, "G08"),
    (Transductive, "G07"),
    (Leaking, "G07"),
    (Rounded, "G01"),
    (StraightThrough, "G10"),
    (Numpy, "G01"),
    (Numpy, "B04"),
    (Purified, "G10"),
    (PurifiedInScoring, "G08"),
    (Guessing, "R01"),
]


@dataclass
class Own:
    """An attack of a user's own, round a sound one, which is broken in the one place its subclass says."""

    threat: Threat = THREAT
    inner: PGD = field(default_factory=lambda: PGD(0.05, steps=5))

    traits = Traits(loss="ce", steps=5)

    def __call__(self, classifier, images, labels, seeds=None) -> Tensor:
        return self.inner(classifier, images, labels, seeds)

    def scaled(self, factor: float) -> "Own":
        return replace(self, threat=self.threat.scaled(factor), inner=self.inner.scaled(factor))


class AlwaysLarge(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        return PGD(0.3, steps=5)(classifier, images, labels, seeds)


class AlwaysTiny(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        return PGD(0.001, steps=2)(classifier, images, labels, seeds)


class Leaving(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        return images + 1.5 * self.threat.eps


class Idle(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        return images


class NotANumber(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        return images / 0 - images / 0


class Raising(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        raise IndexError("target 7 is out of bounds")


class Reseeding(Own):
    def __call__(self, classifier, images, labels, seeds=None):
        torch.manual_seed(0)
        return super().__call__(classifier, images, labels, seeds)


class LastIterate(Own):
    """Goes on after it has succeeded, and loses what it had."""

    def __call__(self, classifier, images, labels, seeds=None):
        PGD(0.05, steps=20, step_size=0.01)(classifier, images, labels, seeds)
        return images.clone()


OWN = [
    (AlwaysLarge, "B01"), (Leaving, "B01"), (Idle, "B08"), (NotANumber, "B02"), (Raising, "B04"), (Reseeding, "B06"),
    (LastIterate, "S08"),
]  # fmt: skip


def verdict(table: pd.DataFrame, code: str, attack: str = "worst") -> str:
    """What the flags of a row say of a code; empty where they are silent."""
    flags = table.set_index("attack").loc[attack, "flags"]
    return dict(part.split(":") for part in str(flags).split(",") if part).get(code, "")


def fails(table: pd.DataFrame) -> list[str]:
    return [f"{found.code} {found.text}" for found in table.attrs["findings"] if found.verdict == "fail"]


@pytest.mark.parametrize(("fake", "code"), FAKES, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_learner_is_caught(honest, episodes, fake, code) -> None:
    table = evaluate(Faking(honest(), fake), episodes(), ATTACKS, 4)
    assert verdict(table, code) == "fail"
    attack = "pgd" if code == "B04" else "clean"
    assert verdict(table, code, attack) == "fail"


def test_adaptation_while_scoring_is_caught(honest, episodes) -> None:
    assert verdict(evaluate(Faking(honest(), Adapting), episodes(), ATTACKS, 4), "G09") == "warn"


@pytest.mark.parametrize(("own", "code"), OWN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_attack_is_caught(honest, episodes, own, code) -> None:
    table = evaluate(honest(), episodes(), {"own": own(), "pgd": ATTACKS["pgd"]}, 4)
    assert verdict(table, code, "own") == "fail"
    assert verdict(table, code, "pgd") == ""


def test_repeated_episodes_are_caught(honest, episodes) -> None:
    class Repeated(Episodes):
        def drawn(self, index):
            return super().drawn(index % 3)

    source = episodes()
    source.__class__ = Repeated
    table = evaluate(honest(), source, ATTACKS, 4)
    assert verdict(table, "B07", "clean") == "fail"


HONEST = [
    ("protonet", "group"),
    ("protonet", "running"),
    ("protonet", "support"),
    ("protonet-aq", "group"),
    ("maml", "group"),
    ("maml-aq", "group"),
]


@pytest.mark.parametrize(("name", "norm"), HONEST)
def test_honest_learners_raise_no_failure(honest, episodes, name, norm) -> None:
    table = evaluate(honest(name, norm), episodes(), {"fgsm": FGSM(0.05), **ATTACKS}, 10)
    assert not fails(table)
    assert {found.code for found in table.attrs["findings"]} >= set(CODES) - set(ON_DEMAND) - {"S10", "S12"}
    accuracy = table.set_index("attack").accuracy
    assert accuracy["clean"] > 0.55
    assert accuracy["clean"] > accuracy["worst"] or name == "protonet-aq"


@pytest.fixture
def brief(monkeypatch) -> None:
    """A full audit of two episodes and fewer steps and queries."""
    fewer = {
        "full.AUDITED": 18, "inquiry.STEPS": 8, "exhaustion.STEPS": 8, "exhaustion.CORNERS": 16, "rivals.QUERIES": 40,
        "rivals.NOISES": 20, "sweep.FAR": 40,
    }  # fmt: skip
    for name, value in fewer.items():
        monkeypatch.setattr(f"robustmeta.audit.{name}", value)


@pytest.mark.parametrize("name", ["protonet", "maml-aq"])
def test_honest_learners_raise_no_failure_in_the_full_audit(honest, episodes, brief, name) -> None:
    strong = {"pgd": PGD(0.05, steps=20), "margin": PGD(0.05, steps=20, loss="margin", restarts=5)}
    table = evaluate(honest(name), episodes(), strong, 2, twin=honest(), audit="full")
    assert not fails(table)
    control = {"S13"} if "aq" in name else set()  # which is for undefended learners
    assert {found.code for found in table.attrs["findings"]} >= set(ON_DEMAND) - control


def test_an_attack_that_ignores_its_budget_is_caught_in_the_full_audit(honest, episodes, brief) -> None:
    table = evaluate(honest(), episodes(), {"own": AlwaysTiny(), **ATTACKS}, 2, audit="full")
    assert verdict(table, "S02", "own") == "fail"
    assert verdict(table, "S02", "pgd") == ""


def test_gradients_that_mislead_are_caught_in_the_full_audit_too(honest, episodes, brief) -> None:
    table = evaluate(Faking(honest(), Reversed), episodes(), {"pgd": PGD(0.3, steps=5)}, 2, audit="full")
    codes = ("S01", "S09", "S10", "S14")
    assert {code: verdict(table, code) for code in codes} == dict.fromkeys(codes, "fail")


@pytest.mark.parametrize("scales", [True, False])
def test_a_suite_too_weak_for_its_learner_is_caught_in_the_full_audit(honest, episodes, brief, scales) -> None:
    class Short(Own):
        """A sound attack whose steps end long before the budget does."""

        def __call__(self, classifier, images, labels, seeds=None):
            return PGD(0.05, steps=2, step_size=0.002, random_start=False)(classifier, images, labels, seeds)

        scaled = Own.scaled if scales else property()

    table = evaluate(honest(), episodes(), {"own": Short()}, 2, audit="full")
    assert verdict(table, "S17", "own") == "fail"
    strong = {"own": Short(), "margin": PGD(0.05, steps=20, loss="margin", restarts=5)}
    assert verdict(evaluate(honest(), episodes(), strong, 2, audit="full"), "S17") != "fail"
