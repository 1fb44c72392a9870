"""Outcomes -> the rows of results.csv, episodes.csv and curve.csv."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import Card, Suite
from robustmeta.audit import Finding, flags
from robustmeta.interval import mean_interval
from robustmeta.outcomes import Outcomes


@cache
def versions() -> dict[str, str]:
    """The versions of robustmeta and of what its numbers depend on."""
    return {name: version(name) for name in ("robustmeta", "torch", "torchattacks")}


def suite_columns(suite: Suite | None) -> dict[str, str]:
    """The columns of a row that name its suite; empty for attacks that are no suite's."""
    return {"suite": suite.name if suite else "", "suite_card": suite.hash if suite else ""}


def result_rows(
    outcomes: Outcomes,
    threat: Threat,
    about: Mapping[str, Any],
    cards: Mapping[str, Card],
    findings: Sequence[Finding] = (),
    targets: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """One row an attack, `clean` first and `worst` last, with intervals over episodes.

    about: what all rows share, as learner, defense, data and versions. cards: the card that ran under each
    attack's name; where it is another's, standing in, the row's flags say so, before the codes of those `findings`
    of the audit that warn or fail; the row `worst` has the flags of all attacks it is taken over. targets: what each
    attack moves, `query` where nothing else is said.
    Accuracies are fractions; `drop` is clean minus attacked accuracy, its interval paired episode by episode.
    `largest` is the largest perturbation that the caller measured, in the threat's norm. `seconds`, `forwards` and
    `backwards` are costs, the last two in images passed through the adapted classifiers (of a transfer, the twin's); an
    adaptation counts its support once, however many steps it takes inside.
    """
    targets = targets or {}
    elsewhere = [name for name, target in targets.items() if target != "query"]

    stood_in = {name: f"stand-in:{card.name}" for name, card in cards.items() if card.name != name}

    def raised(row: str) -> str:
        own = [flag for name, flag in stood_in.items() if name == row or (row == "worst" and name not in elsewhere)]
        return ",".join(filter(None, [*dict.fromkeys(own), flags(findings, row, elsewhere)]))

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
                "target": "" if name == "clean" else targets.get(name, "query"),
                "accuracy": accuracy,
                "ci95": ci95,
                "drop": drop,
                "drop_ci95": drop_ci95,
                "flags": raised(name),
                "card": cards[name].hash if name in cards else "",
                "largest": outcomes.largest[name],
                "forwards": outcomes.forwards[name],
                "backwards": outcomes.backwards[name],
                "seconds": outcomes.seconds[name],
            }
        )
    return pd.DataFrame(rows)


def audit_rows(findings: Sequence[Finding], about: Mapping[str, Any]) -> pd.DataFrame:
    """One row a check of the audit and attack it looked at: code, verdict, evidence and its threshold, in words too."""
    return pd.DataFrame([{**about, **asdict(finding)} for finding in findings])


def episode_rows(outcomes: Outcomes, about: Mapping[str, Any]) -> pd.DataFrame:
    """One row an episode: accuracy clean, under each attack, and in the worst case."""
    columns = {name: right.mean(1) for name, right in outcomes.right.items()}
    return pd.DataFrame({**about, "episode": np.arange(outcomes.episodes), **columns})


def curve_rows(outcomes: Outcomes, attack: str, eps_of: Mapping[str, float], about: Mapping[str, Any]) -> pd.DataFrame:
    """One row an eps: accuracy under one attack at that eps; `eps_of` maps names in `outcomes` to eps."""
    return pd.DataFrame([{**about, "attack": attack, "eps": eps, **_mean(outcomes, at)} for at, eps in eps_of.items()])


def step_rows(
    outcomes: Outcomes, attack: str, eps: float, steps: Sequence[int], about: Mapping[str, Any]
) -> pd.DataFrame:
    """One row a number of steps: accuracy under one attack of so many; 0 are the clean images."""
    shared = {**about, "attack": attack, "eps": eps}
    return pd.DataFrame([{**shared, "steps": n, **_mean(outcomes, str(n) if n else "clean")} for n in sorted(steps)])


def _mean(outcomes: Outcomes, name: str) -> dict[str, Any]:
    accuracy, ci95 = mean_interval(outcomes.right[name].mean(1))
    return {"episodes": outcomes.episodes, "accuracy": accuracy, "ci95": ci95}
