"""The sections of a recipe that say what is measured: the test tasks, the curves, the certificates."""

from dataclasses import dataclass
from typing import Any

from robustmeta.certification.smoothing import Smoothing
from robustmeta.errors import RobustMetaError


def _enough(episodes: int) -> None:
    """Raise `RobustMetaError` for fewer episodes than an interval can be of."""
    if episodes < 2:
        raise RobustMetaError(f"episodes is {episodes}; an interval needs at least 2")


@dataclass(frozen=True)
class Test:
    """The episodes that every learner of a recipe is evaluated on.

    dataset: a mapping of a registered `name` and its settings, where it is another than the recipe's, on which learners
    are trained; its images are fitted to the shape of those (see `robustmeta.data.fitting.fitted`).
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    episodes: int = 600
    seed: int = 1
    split: str = "test"
    dataset: dict[str, Any] | None = None

    __test__ = False  # not a pytest class

    def __post_init__(self) -> None:
        _enough(self.episodes)
        if self.dataset is not None and not isinstance(self.dataset.get("name"), str):
            raise RobustMetaError("its dataset needs a 'name'; write {name: omniglot}, or leave it out")


@dataclass(frozen=True)
class Curve:
    """Accuracy against eps: one attack at each of `eps` (in [0, 1] pixel units), on the first `episodes`.

    Without `eps`, up to twice the recipe's (`Recipe.curve_eps`).
    """

    attack: str = "pgd-20-margin"
    eps: tuple[float, ...] = ()
    episodes: int = 50

    def __post_init__(self) -> None:
        _enough(self.episodes)


@dataclass(frozen=True)
class Certify(Smoothing):
    """Certified accuracy by randomized smoothing, on the first `episodes`; the other settings are `Smoothing`'s."""

    episodes: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        _enough(self.episodes)


@dataclass(frozen=True)
class Steps:
    """Accuracy against attack steps: one attack at each number of `steps`, on the first `episodes`; 0 is clean.

    A flat end says that more steps of this attack would find no more. The step size is the card's: where the card sets
    one, as a share of eps, it stays what it is however many steps there are. Raises `RobustMetaError` for no steps,
    steps below 0, or one number twice.
    """

    attack: str = "pgd-20-margin"
    steps: tuple[int, ...] = (0, 1, 2, 5, 10, 20, 50)
    episodes: int = 50

    def __post_init__(self) -> None:
        if not self.steps or min(self.steps) < 0 or len(set(self.steps)) < len(self.steps):
            raise RobustMetaError(
                f"steps is {list(self.steps)}; it must be different whole numbers from 0, as [0, 1, 10]"
            )
        _enough(self.episodes)
