"""Outcomes -> the rows of results.csv, episodes.csv and curve.csv."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import Card
from robustmeta.interval import mean_interval
from robustmeta.outcomes import Outcomes


@cache
def versions() -> dict[str, str]:
    """The versions of robustmeta and of what its numbers depend on."""
    return {name: version(name) for name in ("robustmeta", "torch", "torchattacks")}


def result_rows(
    outcomes: Outcomes, threat: Threat, about: Mapping[str, Any], cards: Mapping[str, Card]
) -> pd.DataFrame:
    """One row an attack, `clean` first and `worst` last, with intervals over episodes.

    about: what all rows share, as learner, defense, data and versions. cards: the card that ran under each
    attack's name; where it is another's, standing in, the row's flags say so. Accuracies are fractions; `drop` is clean
    minus attacked accuracy, its interval paired episode by episode. `largest` is the largest perturbation that
    the caller measured, in the threat's norm.
    """
    clean = outcomes.right["clean"].mean(1)
    rows = []
    for name, right in outcomes.right.items():
        accuracy, ci95 = mean_interval(right.mean(1))
        drop, drop_ci95 = mean_interval(clean - right.mean(1))
        rows.append(
            {
                **about,
                **versions(),
                "episodes": outcomes.episodes,
                "threat_norm": threat.norm,
                "eps": 0.0 if name == "clean" else threat.eps,
                "attack": name,
                "accuracy": accuracy,
                "ci95": ci95,
                "drop": drop,
                "drop_ci95": drop_ci95,
                "flags": f"stand-in:{cards[name].name}" if name in cards and cards[name].name != name else "",
                "card": cards[name].hash if name in cards else "",
                "largest": outcomes.largest[name],
                "seconds": outcomes.seconds[name],
            }
        )
    return pd.DataFrame(rows)


def episode_rows(outcomes: Outcomes, about: Mapping[str, Any]) -> pd.DataFrame:
    """One row an episode: accuracy clean, under each attack, and in the worst case."""
    columns = {name: right.mean(1) for name, right in outcomes.right.items()}
    return pd.DataFrame({**about, "episode": np.arange(outcomes.episodes), **columns})


def curve_rows(outcomes: Outcomes, attack: str, eps_of: Mapping[str, float], about: Mapping[str, Any]) -> pd.DataFrame:
    """One row an eps: accuracy under one attack at that eps; `eps_of` maps names in `outcomes` to eps."""
    rows = []
    for name, eps in eps_of.items():
        accuracy, ci95 = mean_interval(outcomes.right[name].mean(1))
        shared = {"attack": attack, "eps": eps, "episodes": outcomes.episodes}
        rows.append({**about, **shared, "accuracy": accuracy, "ci95": ci95})
    return pd.DataFrame(rows)
