"""The table of costs and accuracies, from a report folder made by hand."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from benchmarks.time_to_accuracy import compared, main
from robustmeta.checkpoint import Checkpoint


@pytest.fixture
def report(tmp_path: Path) -> Path:
    for name, seconds, steps in (("slow", 30.0, 6), ("quick", 10.0, 2)):
        log = [{"step": 1, "loss": 2.0, "core_seconds": 1.0}, {"step": steps, "loss": 1.0, "core_seconds": seconds}]
        recipe = {"training": {"lr": 0.002, "tasks": 4}}
        Checkpoint({}, steps, {}, torch.get_rng_state(), recipe, log).save(tmp_path / "checkpoints" / f"{name}.pt")
    of = [("slow", "clean", 0.9), ("slow", "worst", 0.6), ("quick", "clean", 0.8), ("quick", "worst", 0.5)]
    pd.DataFrame(of, columns=["row", "attack", "accuracy"]).assign(ci95=0.1).to_csv(tmp_path / "results.csv")
    episodes = [("slow", 0.5), ("slow", 0.7), ("quick", 0.4), ("quick", 0.6)]
    pd.DataFrame(episodes, columns=["row", "worst"]).to_csv(tmp_path / "episodes.csv")
    return tmp_path


def test_cost_is_the_last_of_the_log_and_differences_are_paired(report: Path) -> None:
    slow, quick = compared(report)
    assert (slow["core_seconds"], slow["ratio"], slow["gap"]) == (30.0, 1.0, 0.0)
    assert (quick["row"], quick["steps"], quick["lr"], quick["ratio"]) == ("quick", 2, 0.002, 3.0)
    assert (quick["clean"], quick["worst"]) == pytest.approx((80, 50))
    assert quick["gap"] == pytest.approx(-10)
    assert quick["gap_ci95"] == pytest.approx(0, abs=1e-9)  # each episode lost the same
    assert compared(report, first="quick")[0]["ratio"] == pytest.approx(1 / 3)


def test_the_page_is_written_with_its_command(report: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(main, [str(report), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    page = (tmp_path / "out" / "time_to_accuracy.md").read_text()
    assert "| quick | 2 | 0.002 | 10 | 3 |" in page
    assert len((tmp_path / "out" / "time_to_accuracy.csv").read_text().splitlines()) == 3
