"""What each class of torchattacks 3.5.1 is, and why some cannot be used on few-shot tasks."""

import inspect
from dataclasses import dataclass
from typing import Any

from robustmeta.errors import unknown

EPS = ("eps", "max_epsilon")
"""The names by which the classes call their budget."""


@dataclass(frozen=True)
class TorchClass:
    """What a class can do.

    norms: those it keeps to. loss: `ce`, `margin` or `other`, what it climbs by default. fewest_ways: of the tasks.
    channels: of the images, where it takes no others. knowledge: `white-box` or `black-box`. minimum_norm: it has no
    eps and looks for the smallest perturbation. refused: why it cannot be used; empty where it can.
    """

    norms: tuple[str, ...] = ("Linf",)
    loss: str = "ce"
    fewest_ways: int = 2
    channels: int | None = None
    knowledge: str = "white-box"
    minimum_norm: bool = False
    refused: str = ""


_BOTH = ("Linf", "L2")
_L0 = "changes few pixels by any amount, so it keeps to no Linf or L2 budget"
_SMALLEST = TorchClass(("L2",), "margin", minimum_norm=True)

CLASSES: dict[str, TorchClass] = {
    **dict.fromkeys(("FGSM", "BIM", "RFGSM", "PGD", "EOTPGD", "FFGSM", "PGDRS", "UPGD"), TorchClass()),
    **dict.fromkeys(("MIFGSM", "NIFGSM", "SINIFGSM", "VMIFGSM", "VNIFGSM", "DIFGSM"), TorchClass()),
    **dict.fromkeys(("TIFGSM", "PIFGSM", "PIFGSMPP"), TorchClass(channels=3)),
    **dict.fromkeys(("PGDL2", "PGDRSL2"), TorchClass(("L2",))),
    **dict.fromkeys(("CW", "DeepFool", "EADL1", "EADEN"), _SMALLEST),
    "TPGD": TorchClass(loss="other"),
    # It divides the logits by the largest: of two, what is left saturates its softmax, and its noise decides.
    "Jitter": TorchClass(loss="other", fewest_ways=3),
    "APGD": TorchClass(_BOTH),
    "APGDT": TorchClass(_BOTH, "margin", fewest_ways=4),
    "FAB": TorchClass(_BOTH, "margin"),
    "Square": TorchClass(_BOTH, "margin", knowledge="black-box"),
    "SPSA": TorchClass(loss="margin", knowledge="black-box"),
    "VANILA": TorchClass(refused="returns its input, which every table has as its row clean"),
    "GN": TorchClass(refused="adds noise that ignores eps; the card noise-100 searches the ball"),
    "JSMA": TorchClass(refused=_L0 + ", and takes class 10 for granted"),
    "OnePixel": TorchClass(refused=_L0),
    "Pixle": TorchClass(refused="swaps pixels, so it keeps to no Linf or L2 budget"),
    "SparseFool": TorchClass(refused=_L0),
    "AutoAttack": TorchClass(
        refused="runs its parts for 10 steps where the reference fixes 100; use the suite 'autoattack'"
    ),
    "MultiAttack": TorchClass(refused="joins other attacks: write a suite"),
    "LGV": TorchClass(refused="trains networks on a data loader of its own; the card transfer-pgd-50 transfers"),
}


def signature(method: str) -> dict[str, Any]:
    """The parameters of a class and their defaults; raises `RobustMetaError` if torchattacks has no such class."""
    import torchattacks

    if method not in torchattacks.__all__:
        raise unknown("torchattacks class", method, torchattacks.__all__)
    takes = inspect.signature(getattr(torchattacks, method).__init__).parameters
    return {name: parameter.default for name, parameter in takes.items() if name != "self"}


def about(method: str) -> TorchClass:
    """What a class can do; raises `RobustMetaError` if torchattacks has no such class.

    One that the table does not know, of another version of torchattacks, is taken by the rule: it must have an eps,
    it keeps to both norms where it takes a `norm`, else to L2 if its name ends so, else to Linf.
    """
    known = signature(method)
    if method in CLASSES:
        return CLASSES[method]
    if not any(name in known for name in EPS):
        return TorchClass(refused="has no eps, so it cannot be held to a threat")
    return TorchClass(_BOTH if "norm" in known else ("L2",) if method.endswith("L2") else ("Linf",), "other")


def reasons() -> dict[str, str]:
    """For every class of torchattacks, by its name, why it is refused; empty where it can be used."""
    import torchattacks

    return {method: about(method).refused for method in torchattacks.__all__}
