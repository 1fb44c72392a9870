"""The attacks of torchattacks (Kim, 2020), run task by task on few-shot classifiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from robustmeta.attacks.base import Threat, Traits
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.isolation import FrozenTask, isolated
from robustmeta.attacks.torchattacks_classes import EPS, TorchClass, about, signature
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier

STEPS = ("steps", "n_queries", "nb_iter", "num_iter_set", "max_iterations")
STEP_SIZE = ("alpha", "lr")
GIVEN = {
    "model": "the classifier", "norm": "the threat", "n_classes": "the ways of the task",
    "seed": "the seeds of the call", "verbose": "this adapter, which is silent", **dict.fromkeys(EPS, "the threat"),
}  # fmt: skip
CHOICES = {
    ("APGD", "loss"): ("ce", "dlr"), ("UPGD", "loss"): ("ce", "dlr", "margin"), ("Square", "loss"): ("ce", "margin"),
    ("PGDRS", "noise_type"): ("guassian", "uniform"), ("PGDRSL2", "noise_type"): ("guassian", "uniform"),  # [sic]
    ("TIFGSM", "kernel_name"): ("gaussian", "linear", "uniform"),
}  # fmt: skip
REAL = ("c", "kappa", "scale")
"""Parameters that may be fractions although their defaults are whole."""
PULL = 1e-3
"""How far CW's images are kept from 0 and 1, whose hyperbolic arc tangent, in which it moves them, is infinite.

From there 250 Adam steps of 0.01 reach 0.13; it costs at most PULL sqrt(C H W) of an L2 budget."""


@dataclass(frozen=True)
class TorchAttack:
    """An attack of torchattacks by the name of its class, as `APGD`; the update is that of its own paper.

    threat: norm and eps, handed to the class under its own keyword. parameters: the class's own, by its own
    names; the number of steps or queries must be among them, and so must the step size where the class has one:
    `alpha` (or `lr`) in pixel units, or `step_size_over_eps` in units of eps.

    The attacks that look for the smallest perturbation (`CW`, `DeepFool`, `EADL1`, `EADEN`) have no eps: under an L2
    threat, an image they moved further than eps is put back, as a failed attack; their `lr` is no distance.

    Deviates from torchattacks in what few-shot tasks need: `n_classes` is the task's, with 9 targets at most;
    logits are shifted so that the least is 1; CW's images are pulled from 0 and 1 by `PULL`; each task has a seed of
    its own; random numbers, modes, buffers and gradients outside are untouched; eps 0 returns the images.

    Raises `RobustMetaError` for an unknown class or parameter, a class that cannot be used (see
    `torchattacks_classes`), a class of another norm, and a missing number of steps or step size; when called, for
    fewer ways than the attack needs, and for images that are not RGB where the class can do no other.
    """

    method: str
    threat: Threat = field(default_factory=Threat)
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", dict(self.parameters))
        if refused := self._class.refused:
            raise RobustMetaError(f"torchattacks.{self.method} cannot be used: it {refused}")
        known = signature(self.method)
        for name, value in self.parameters.items():
            _check_parameter(self.method, name, value, known)
        steps, sizes = _present(STEPS, known), self._step_sizes
        if steps and steps[0] not in self.parameters:
            raise RobustMetaError(f"torchattacks.{self.method} needs {steps[0]!r} among its parameters; say how many")
        if sizes and len({sizes[0], "step_size_over_eps"} & self.parameters.keys()) != 1:
            raise RobustMetaError(
                f"torchattacks.{self.method} needs its step size: give either {sizes[0]!r} in pixel units "
                "or 'step_size_over_eps'"
            )
        if self.threat.norm not in self._class.norms:
            is_for = " and ".join(self._class.norms)
            raise RobustMetaError(f"torchattacks.{self.method} is an {is_for} attack; the threat is {self.threat.norm}")

    @property
    def fewest_ways(self) -> int:
        """The fewest classes a task may have: DLR compares three logits, its targeted form four."""
        return max(self._class.fewest_ways, 3 if self.parameters.get("loss") == "dlr" else 2)

    @property
    def channels(self) -> int | None:
        """The channels images must have; None where any will do."""
        return self._class.channels

    @property
    def traits(self) -> Traits:
        """Knowledge, loss and steps, for the audit."""
        steps = [self.parameters[name] for name in STEPS if name in self.parameters]
        loss = str(self.parameters.get("loss", self._class.loss))
        loss = "margin" if loss == "dlr" else loss
        return Traits(knowledge=self._class.knowledge, loss=loss, steps=steps[0] if steps else 1)

    def scaled(self, factor: float) -> "TorchAttack":
        """The same attack with eps, and a step size given in pixel units, times `factor`."""
        sizes = {name: self.parameters[name] * factor for name in self._step_sizes if name in self.parameters}
        return replace(self, threat=self.threat.scaled(factor), parameters={**self.parameters, **sizes})

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Images `[T, Q, C, H, W]` moved against `classifier`, for labels `[T, Q]`; `seeds[i]` is that of task i."""
        if classifier.ways < self.fewest_ways:
            raise RobustMetaError(
                f"{self._title} needs tasks of {self.fewest_ways} ways or more, these have {classifier.ways}; "
                "use a margin attack"
            )
        if self.channels not in (None, images.shape[2]):
            raise RobustMetaError(
                f"{self._title} works on images of {self.channels} channels only, these have {images.shape[2]}; "
                "use MIFGSM"
            )
        images = images.detach()
        if self.threat.eps == 0 or images.shape[1] == 0:  # some classes divide by eps, some by the number of images
            return images
        if seeds is None:
            seeds = torch.randint(2**31, (len(images),)).tolist()
        tasks = zip(range(len(images)), images, labels, seeds, strict=True)
        moved = torch.stack([self._task(FrozenTask(classifier, i, x.device), x, y, seed) for i, x, y, seed in tasks])
        if not self._class.minimum_norm:
            return moved
        moved = moved.clamp(0, 1)  # EAD leaves the range by a rounding of its own clamp
        beyond = self.threat.size(moved - images) > self.threat.eps
        return torch.where(beyond[..., None, None, None], images, moved)

    def _task(self, model: FrozenTask, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        import torchattacks

        start = images.clamp(PULL, 1 - PULL) if self.method == "CW" else images.clone()
        with isolated(model, seed):
            attack = getattr(torchattacks, self.method)(model, **self._arguments(model.ways, seed))
            moved: Tensor = attack(start, labels.clone())
        return moved.detach()

    def _arguments(self, ways: int, seed: int) -> dict[str, Any]:
        known = signature(self.method)
        arguments = {name: value for name, value in self.parameters.items() if name in known}
        if "step_size_over_eps" in self.parameters:
            arguments[self._step_sizes[0]] = self.parameters["step_size_over_eps"] * self.threat.eps
        given = {"norm": self.threat.norm, "n_classes": min(ways, 10), "seed": seed, "verbose": False}
        given |= dict.fromkeys(_present(EPS, known), self.threat.eps)
        return arguments | {name: value for name, value in given.items() if name in known}

    @property
    def _class(self) -> TorchClass:
        return about(self.method)

    @property
    def _step_sizes(self) -> list[str]:
        return _sizes(self.method, signature(self.method))

    @property
    def _title(self) -> str:
        loss = self.parameters.get("loss")
        return f"torchattacks.{self.method}" + (f" with loss {loss}" if loss else "")


@ENGINES.register("torchattacks.<Class>")
def torchattack(threat: Threat, *, method: str, **parameters: Any) -> TorchAttack:
    """The attack of a card whose engine is `torchattacks.<method>`; raises `RobustMetaError` as `TorchAttack` does."""
    return TorchAttack(method, threat, parameters)


def _sizes(method: str, known: Mapping[str, Any]) -> list[str]:
    """The parameters that are a length in pixels; those of the attacks without eps are rates of another kind."""
    return [] if about(method).minimum_norm else _present(STEP_SIZE, known)


def _present(names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    return [name for name in names if name in known]


def _check_parameter(method: str, name: str, value: object, known: Mapping[str, Any]) -> None:
    title = f"torchattacks.{method}"
    if name in GIVEN and name in known:
        raise RobustMetaError(f"{name!r} of {title} is given by {GIVEN[name]}; leave it out of the parameters")
    own = {key: default for key, default in known.items() if key not in GIVEN}
    if _sizes(method, known):
        own["step_size_over_eps"] = 0.25
    if name not in own:
        raise unknown(f"parameter of {title}", name, own)
    wanted = (int, float) if isinstance(own[name], float) or name in REAL else type(own[name])
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(own[name], bool)):
        expected = type(own[name]).__name__
        raise RobustMetaError(f"{name!r} of {title} is {value!r}; it must be of type {expected}, as {own[name]!r}")
    if name in (*STEPS, *STEP_SIZE, "step_size_over_eps") and not value > 0:
        raise RobustMetaError(f"{name!r} of {title} is {value!r}; it must be above 0")
    if name == "max_iterations" and not value >= 10:  # it divides by a tenth of them
        raise RobustMetaError(f"{name!r} of {title} is {value!r}; it must be at least 10")
    choices = CHOICES.get((method, name))
    if choices and value not in choices:
        raise unknown(f"{name} of {title}", str(value), choices)
