"""Rows of a small made-up evaluation, as evaluation.py makes them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

LEARNERS = {("maml", "natural"): 0.05, ("maml", "aq"): 0.16, ("protonet", "natural"): 0.035, ("protonet", "aq"): 0.2}
ATTACKS = {"fgsm": 0.7, "pgd-20": 1.0, "pgd-20-margin": 1.05}


def accuracy_at(eps: float, half: float) -> float:
    return 0.93 / (1 + (eps / half) ** 3)


@pytest.fixture
def episodes() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = []
    for (learner, defense), half in LEARNERS.items():
        for episode in range(40):
            clean = generator.binomial(75, accuracy_at(0, half)) / 75
            row = {"learner": learner, "defense": defense, "episode": episode, "clean": clean}
            for attack, strength in ATTACKS.items():
                row[attack] = min(clean, generator.binomial(75, accuracy_at(0.1 * strength, half)) / 75)
            rows.append(row | {"worst": min(row[attack] for attack in ATTACKS)})
    return pd.DataFrame(rows)


def interval(values: pd.Series) -> float:
    return float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))


@pytest.fixture
def results(episodes: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (learner, defense), group in episodes.groupby(["learner", "defense"], sort=False):
        for attack in ["clean", *ATTACKS, "worst"]:
            drop = group["clean"] - group[attack]
            rows.append(
                {
                    "learner": learner, "defense": defense, "backbone": "conv4", "norm_policy": "running",
                    "dataset": "glyphs", "split": "test", "ways": 5, "shots": 1, "queries": 15, "episodes": 40,
                    "seed": 1, "threat_norm": "Linf", "eps": 0.1, "attack": attack,
                    "accuracy": group[attack].mean(), "ci95": interval(group[attack]),
                    "drop": drop.mean(), "drop_ci95": interval(drop), "flags": "",
                    "train_ways": 5, "train_shots": 1, "train_steps": 300,
                    "order": "second" if learner == "maml" else "", "card": "" if attack == "clean" else "12e4567",
                    "config": "0012345", "seconds": 1.25, "torch": "2.13", "torchattacks": "3.5.1",
                    "robustmeta": "0.1.0", "audit": "always",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def curve() -> pd.DataFrame:
    rows = []
    for (learner, defense), half in LEARNERS.items():
        for eps in (0.0, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3):
            row = {"learner": learner, "defense": defense, "attack": "pgd-20", "eps": eps, "episodes": 40}
            rows.append(row | {"accuracy": accuracy_at(eps, half), "ci95": 0.02 if eps < 0.2 else 0.01})
    return pd.DataFrame(rows)
