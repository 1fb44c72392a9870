"""Gains over adversarial querying, worked by hand over episodes and seeds."""

import numpy as np
import pandas as pd
import pytest

from robustmeta.report.paired import differences

WORST = {
    "p-aq": [0.5, 0.7, 0.6], "p-aq-1": [0.6, 0.6, 0.6], "p-new": [0.7, 0.8, 0.9], "p-new-1": [0.6, 0.8, 0.7],
    "p-new-2": [0.0, 0.0, 0.0], "m-aq": [0.4, 0.4, 0.4], "m-new": [0.5, 0.6, 0.4], "r-new": [0.1, 0.2, 0.3],
    "q-aq": [0.9, 0.9, 0.9], "q-new": [0.8, 0.8, 0.8],
}  # fmt: skip


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, episodes = [], []
    for name, worst in WORST.items():
        learner, defense, *seed = name.split("-")
        shared = {"row": name, "learner": learner, "defense": defense}
        about = {"variant": f"{learner}-{defense}", "train_seed": int(seed[0]) if seed else 0}
        about |= {"backbone": "resnet12" if learner == "q" else "conv4", "norm_policy": "running"}
        shared["learner"] = "p" if learner == "q" else learner
        rows += [{**shared, **about, "attack": attack} for attack in ("clean", "worst")]
        episodes += [{**shared, "episode": i, "clean": 0.9, "worst": value} for i, value in enumerate(worst)]
    return pd.DataFrame(rows), pd.DataFrame(episodes)


def test_seeds_are_averaged_and_episodes_paired() -> None:
    found = differences(*tables())
    assert dict(found["minus"]) == {"p-new": "p-aq", "m-new": "m-aq", "q-new": "q-aq"}  # r has no reference
    assert list(found["seeds"]) == ["2", "1", "1"]  # of p's three seeds the reference has two
    assert list(found["clean"]) == ["0.0 ± 0.0"] * 3
    assert found.loc["q-new", "worst"] == "-10.0 ± 0.0"  # the same learner on another backbone
    new = (np.array(WORST["p-new"]) + np.array(WORST["p-new-1"])) / 2
    reference = (np.array(WORST["p-aq"]) + np.array(WORST["p-aq-1"])) / 2
    gain = 100 * (new - reference)
    half = 4.302653 * gain.std(ddof=1) / np.sqrt(3)
    assert found.loc["p-new", "worst"] == f"{gain.mean():.1f} ± {half:.1f}"


def test_the_order_of_rows_and_episodes_does_not_matter() -> None:
    results, episodes = tables()
    shuffled = differences(results, episodes.sample(frac=1, random_state=0))
    pd.testing.assert_frame_equal(shuffled, differences(results, episodes))


@pytest.mark.parametrize("missing", ["variant", "train_seed"])
def test_without_its_columns_or_a_reference_there_are_no_rows(missing) -> None:
    results, episodes = tables()
    assert differences(results.drop(columns=missing), episodes).empty
    assert differences(results, episodes.drop(columns="worst")).empty
    assert differences(results[results["defense"] != "aq"], episodes).empty
