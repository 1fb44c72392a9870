"""The models that ship: whole, with the rows of the committed reports, one of which is made again to the digit."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import robustmeta as rm
from robustmeta.cli import main
from robustmeta.report.rows import attacked
from robustmeta.report.write import read_rows
from robustmeta.zoo import models, open_model, rows_of

REPORTS = Path(__file__).parents[2] / "reports"


@pytest.mark.parametrize("name", models())
def test_a_model_is_whole_and_adapts(name):
    model = open_model(name)
    test = model.recipe.test
    learner = rm.load_model(name)
    support = torch.rand(2, test.ways * test.shots, *model.image_shape)
    labels = torch.arange(test.ways).repeat_interleave(test.shots).expand(2, -1)
    logits = learner.adapt(support, labels)(torch.rand(2, 3, *model.image_shape))
    assert logits.shape == (2, 3, test.ways)
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", models())
def test_its_rows_are_those_of_the_committed_report(name):
    rows = rows_of(name)
    report = attacked(read_rows(REPORTS / rows["report"].iloc[0] / "results.csv"))
    own = report[report["row"] == rows["row"].iloc[0]].reset_index(drop=True)
    shared = [column for column in own.columns if column in rows.columns]
    assert len(shared) > 30
    for column in shared:  # the shelf's table has columns that an older report has not, and so other types
        pd.testing.assert_series_equal(rows[column], own[column], check_dtype=False)
    test = open_model(name).recipe.test
    assert (test.ways, test.shots, test.episodes) == tuple(rows.iloc[0][["ways", "shots", "episodes"]])


def test_the_cheapest_committed_row_is_reproduced_to_the_digit(monkeypatch):
    command = "evaluate zoo:protonet-natural-glyphs-5w1s --attacks fgsm"
    assert f"robustmeta {command}" in (REPORTS.parent / "docs" / "results.md").read_text("utf-8")
    shown = []
    monkeypatch.setattr("robustmeta.cli.evaluate.show", lambda report, folder, strict: shown.append(report.results))
    ran = CliRunner().invoke(main, command.split())
    assert ran.exit_code == 0, ran.output
    measured = ["attack", "accuracy", "ci95", "drop", "drop_ci95", "card", "episodes", "queries", "seed", "eps"]
    committed = read_rows(REPORTS / "glyphs-5w1s" / "results.csv").query("row == 'protonet-natural'")
    again = shown[0].query("attack != 'worst'")[measured].round(8)
    assert list(again["attack"]) == ["clean", "fgsm"]
    expected = committed[committed["attack"].isin(["clean", "fgsm"])][measured]
    pd.testing.assert_frame_equal(again.reset_index(drop=True), expected.reset_index(drop=True), check_exact=True)
