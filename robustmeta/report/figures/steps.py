"""Accuracy against the steps of an attack, one line a learner and defense."""

from typing import TYPE_CHECKING

import pandas as pd

from robustmeta.attacks.card import card, names
from robustmeta.report.figures.curves import curves
from robustmeta.report.picture import Picture
from robustmeta.report.rows import STEPS
from robustmeta.report.setting import Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def accuracy_against_steps(steps: pd.DataFrame, setting: Setting) -> Picture:
    """Accuracy against attack steps with its 95% intervals as bands (see `curves`), on an axis that is linear to 1.

    steps: rows of (learner, defense, attack, eps, steps, episodes, accuracy, ci95); 0 steps are clean accuracy.
    Raises `RobustMetaError` for missing columns, no rows, or two rows of one point.
    """

    def frame(axes: "Axes", panel: pd.DataFrame) -> None:
        from matplotlib.ticker import NullLocator

        at = sorted(panel["steps"].unique())
        axes.set_xscale("symlog", linthresh=1, linscale=0.5)
        axes.set_xticks(at, [f"{number:g}" for number in at])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(0, max(1, at[-1]) * 1.05)
        axes.set_xlabel(f"steps of the attack, at ε = {setting.eps_text}")

    figure = curves(steps, "steps", STEPS, setting, frame)
    attacks = list(steps["attack"].unique())
    caption = (
        f"Accuracy under {', '.join(attacks)} as it is given more steps, one line a learner, with 95% intervals over "
        "episodes; 0 steps are clean, natural training is dashed. A line that is flat at its end says that more steps "
        f"of this attack would find no more. {' '.join(map(_length, attacks))}"
    )
    return Picture("steps", "Accuracy against attack steps", caption, figure)


def _length(attack: str) -> str:
    """How long the steps of a card are, in words."""
    size = card(attack).parameters.get("step_size_over_eps") if attack in names() else None
    if size is None:
        return f"How long a step of {attack} is, its card says."
    return f"A step of {attack} is {size:g} ε long, however many there are."
