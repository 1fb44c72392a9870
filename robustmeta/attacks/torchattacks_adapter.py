"""The attacks of torchattacks (Kim, 2020), run task by task on few-shot classifiers."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from robustmeta.attacks.base import Threat
from robustmeta.attacks.isolation import FrozenTask, isolated
from robustmeta.errors import RobustMetaError, unknown
from robustmeta.learners.base import Classifier

EPS = ("eps", "max_epsilon")
STEPS = ("steps", "n_queries", "nb_iter", "num_iter_set")
STEP_SIZE = ("alpha", "lr")
GIVEN = {
    "model": "the classifier", "attacks": "the classifier", "norm": "the threat", "n_classes": "the ways of the task",
    "seed": "the seeds of the call", "verbose": "this adapter, which is silent", **dict.fromkeys(EPS, "the threat"),
}  # fmt: skip
LOSSES = {"APGD": ("ce", "dlr"), "UPGD": ("ce", "dlr", "margin"), "Square": ("ce", "margin")}
COLOUR_ONLY = ("TIFGSM", "PIFGSM", "PIFGSMPP")


@dataclass(frozen=True)
class TorchAttack:
    """An attack of torchattacks by the name of its class, as `APGD`; the update is that of its own paper.

    threat: norm and eps, handed to the class under its own keyword. parameters: the class's own, by its own
    names; the number of steps or queries must be among them, and so must the step size where the class has one:
    `alpha` (or `lr`) in pixel units, or `step_size_over_eps` in units of eps.

    Deviates from torchattacks in what few-shot tasks need: `n_classes` is the task's, with 9 targets at most;
    logits are shifted by their row minimum; each task has its own seed; random numbers, modes, buffers and
    gradients outside are untouched; eps 0 returns the images.

    Raises `RobustMetaError` for an unknown class or parameter, a class without an eps, the class `AutoAttack`
    (whose parts run 10 steps where the reference fixes 100), a class of another norm, and a missing number of
    steps or step size; when called, for fewer ways than the attack needs, and for images that are not RGB
    where the class can do no other.
    """

    method: str
    threat: Threat = field(default_factory=Threat)
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", dict(self.parameters))
        known = _signature(self.method)
        for name, value in self.parameters.items():
            _check_parameter(self.method, name, value, known)
        steps, sizes = _present(STEPS, known), _present(STEP_SIZE, known)
        if steps and steps[0] not in self.parameters:
            raise RobustMetaError(f"torchattacks.{self.method} needs {steps[0]!r} among its parameters; say how many")
        if sizes and len({sizes[0], "step_size_over_eps"} & self.parameters.keys()) != 1:
            raise RobustMetaError(
                f"torchattacks.{self.method} needs its step size: give either {sizes[0]!r} in pixel units "
                "or 'step_size_over_eps'"
            )
        fixed = None if "norm" in known else "L2" if self.method.endswith("L2") else "Linf"
        if fixed and fixed != self.threat.norm:
            raise RobustMetaError(f"torchattacks.{self.method} is an {fixed} attack; the threat is {self.threat.norm}")

    @property
    def fewest_ways(self) -> int:
        """The fewest classes a task may have: DLR compares three logits, its targeted form four."""
        return 4 if self.method == "APGDT" else 3 if self.parameters.get("loss") == "dlr" else 2

    def scaled(self, factor: float) -> "TorchAttack":
        """The same attack with eps, and a step size given in pixel units, times `factor`."""
        sizes = {name: self.parameters[name] * factor for name in STEP_SIZE if name in self.parameters}
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
        if self.method in COLOUR_ONLY and images.shape[2] != 3:
            raise RobustMetaError(
                f"{self._title} works on images of 3 channels only, these have {images.shape[2]}; use MIFGSM"
            )
        images = images.detach()
        if self.threat.eps == 0:  # some classes divide by eps
            return images
        if seeds is None:
            seeds = torch.randint(2**31, (len(images),)).tolist()
        tasks = zip(range(len(images)), images, labels, seeds, strict=True)
        return torch.stack([self._task(FrozenTask(classifier, i, x.device), x, y, seed) for i, x, y, seed in tasks])

    def _task(self, model: FrozenTask, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        import torchattacks

        with isolated(model, seed):
            attack = getattr(torchattacks, self.method)(model, **self._arguments(model.ways, seed))
            moved: Tensor = attack(images.clone(), labels.clone())
        return moved.detach()

    def _arguments(self, ways: int, seed: int) -> dict[str, Any]:
        known = _signature(self.method)
        arguments = {name: value for name, value in self.parameters.items() if name in known}
        if "step_size_over_eps" in self.parameters:
            arguments[_present(STEP_SIZE, known)[0]] = self.parameters["step_size_over_eps"] * self.threat.eps
        given = {"norm": self.threat.norm, "n_classes": min(ways, 10), "seed": seed, "verbose": False}
        given[_present(EPS, known)[0]] = self.threat.eps
        return arguments | {name: value for name, value in given.items() if name in known}

    @property
    def _title(self) -> str:
        loss = self.parameters.get("loss")
        return f"torchattacks.{self.method}" + (f" with loss {loss}" if loss else "")


def _signature(method: str) -> dict[str, Any]:
    """The parameters of a torchattacks class and their defaults; raises `RobustMetaError` if it cannot be used."""
    import torchattacks

    if method not in torchattacks.__all__:
        raise unknown("torchattacks class", method, torchattacks.__all__)
    if method == "AutoAttack":
        raise RobustMetaError(
            "torchattacks.AutoAttack runs its parts for 10 steps where the reference fixes 100; use its parts, "
            "as the suite 'standard' does"
        )
    signature = inspect.signature(getattr(torchattacks, method).__init__).parameters
    known = {name: parameter.default for name, parameter in signature.items() if name != "self"}
    if not _present(EPS, known):
        raise RobustMetaError(f"torchattacks.{method} has no eps, so it cannot be held to a threat; use one that has")
    return known


def _present(names: Sequence[str], known: Mapping[str, Any]) -> list[str]:
    return [name for name in names if name in known]


def _check_parameter(method: str, name: str, value: object, known: Mapping[str, Any]) -> None:
    title = f"torchattacks.{method}"
    if name in GIVEN and name in known:
        raise RobustMetaError(f"{name!r} of {title} is given by {GIVEN[name]}; leave it out of the parameters")
    own = {key: default for key, default in known.items() if key not in GIVEN}
    if _present(STEP_SIZE, known):
        own["step_size_over_eps"] = 0.25
    if name not in own:
        raise unknown(f"parameter of {title}", name, own)
    wanted = (int, float) if isinstance(own[name], float) else type(own[name])
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(own[name], bool)):
        expected = type(own[name]).__name__
        raise RobustMetaError(f"{name!r} of {title} is {value!r}; it must be of type {expected}, as {own[name]!r}")
    if name in (*STEPS, *STEP_SIZE, "step_size_over_eps") and not value > 0:
        raise RobustMetaError(f"{name!r} of {title} is {value!r}; it must be above 0")
    if name == "loss" and value not in LOSSES[method]:
        raise unknown(f"loss of {title}", str(value), LOSSES[method])
