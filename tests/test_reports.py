"""What the committed reports claim of each other."""

from pathlib import Path

import pytest

from robustmeta.report.write import read_rows

REPORTS = Path(__file__).parent.parent / "reports"


@pytest.mark.parametrize("defense", ["natural", "aq"])
def test_the_suites_standard_and_autoattack_agree(defense) -> None:
    found = {}
    for suite in ("standard", "autoattack"):
        rows = read_rows(REPORTS / f"omniglot-5w1s-{suite}" / "results.csv").query(f"defense == '{defense}'")
        assert rows["suite"].unique().tolist() == [suite]
        assert rows["episodes"].min() >= 50
        assert rows["eps"].max() == 0.1
        found[suite] = rows.set_index("attack")
    asked = ["dataset", "ways", "shots", "queries", "seed", "row", "backbone", "train_steps", "train_seed"]
    assert found["standard"].loc["clean", asked].equals(found["autoattack"].loc["clean", asked])
    assert found["standard"].loc["clean", "accuracy"] == found["autoattack"].loc["clean", "accuracy"]
    worst = {suite: rows.loc["worst", "accuracy"] for suite, rows in found.items()}
    assert worst["autoattack"] <= worst["standard"] + 0.01
    assert worst["standard"] <= worst["autoattack"] + 0.02


@pytest.mark.parametrize(
    ("name", "rows", "tasks"),
    [
        ("reference-cifar-fs-5w5s", 14, 50),
        ("reference-omniglot-5w1s-recommended", 4, 50),
        ("reference-omniglot-20w1s", 7, 10),
    ],
)
def test_the_reference_rows_keep_under_autoattack_what_standard_leaves_them_on_the_same_tasks(
    name, rows, tasks
) -> None:
    standard, autoattack = (
        read_rows(REPORTS / folder / "episodes.csv").set_index(["row", "episode"])
        for folder in (name, f"{name}-autoattack")
    )
    same = standard.loc[autoattack.index]
    assert autoattack.groupby("row").size().eq(tasks).all()
    assert same["clean"].equals(autoattack["clean"])
    above = (same["worst"] - autoattack["worst"]).groupby("row").mean()
    assert len(above) == rows
    assert above.between(-0.01, 0.02).all()


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in REPORTS.glob("*/audit.csv")))
def test_no_row_of_a_report_fails_a_check(folder) -> None:
    audit = read_rows(REPORTS / folder / "audit.csv")
    assert len(audit) > 10
    assert not (audit["verdict"] == "fail").any()
