"""Rows of a report go to a shelf, and come back from it as they were."""

import re
import shutil

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import robustmeta as rm
from robustmeta.checkpoint import Checkpoint
from robustmeta.cli import main
from robustmeta.report.write import read_rows, write_rows
from robustmeta.zoo import shelf
from robustmeta.zoo.packing import pack


@pytest.fixture
def packed(report, tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "SHELF", tmp_path)
    assert pack(report, ["mine"], tmp_path) == ["mine-glyphs-3w1s"]
    return tmp_path


def test_a_packed_model_has_the_weights_and_the_rows_of_its_report(report, packed):
    kept = Checkpoint.load(report / "checkpoints" / "mine.pt").weights
    found = rm.load_model("mine-glyphs-3w1s").state_dict()
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], kept[name]) for name in kept)
    whole = read_rows(report / "results.csv").query("row == 'mine'").reset_index(drop=True)
    rows = shelf.rows_of("mine-glyphs-3w1s")
    pd.testing.assert_frame_equal(rows.drop(columns=["model", "report", "sha256"]), whole)
    assert set(rows["report"]) == {"out"}


def test_evaluate_reproduces_the_rows(report, packed, tmp_path):
    ran = CliRunner().invoke(main, ["evaluate", "zoo:mine-glyphs-3w1s", "--out", str(tmp_path / "again")])
    assert ran.exit_code == 0, ran.output
    same = ["attack", "accuracy", "ci95", "drop", "eps", "shots", "episodes", "seed", "card", "flags", "largest"]
    again = read_rows(tmp_path / "again" / "results.csv")[same]
    pd.testing.assert_frame_equal(again, shelf.rows_of("mine-glyphs-3w1s")[same])


def test_evaluate_takes_other_settings_too(packed):
    asked = ["evaluate", "zoo:mine-glyphs-3w1s", "--attacks", "fgsm", "--episodes", "3", "--eps", "8/255"]
    ran = CliRunner().invoke(main, asked)
    assert ran.exit_code == 0, ran.output
    assert "over 3 episodes" in ran.output
    assert "pgd-2" not in ran.output


def test_packing_again_replaces_and_adds(report, packed):
    assert pack(report, ["mine", "protonet-natural"], packed) == ["mine-glyphs-3w1s", "protonet-natural-glyphs-3w1s"]
    assert shelf.models() == ("mine-glyphs-3w1s", "protonet-natural-glyphs-3w1s")
    assert len(shelf.rows_of("mine-glyphs-3w1s")) == 4
    assert "protonet / natural on conv4-4; Linf eps 0.1: clean" in shelf.standing("protonet-natural-glyphs-3w1s")


def test_a_damaged_model_and_an_unknown_one_are_refused(packed):
    with pytest.raises(rm.RobustMetaError, match="unknown model 'mine-glyphs'; did you mean 'mine-glyphs-3w1s'"):
        rm.load_model("mine-glyphs")
    path = packed / "mine-glyphs-3w1s.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(rm.RobustMetaError, match="is damaged, or not the model that was measured"):
        rm.load_model("mine-glyphs-3w1s")
    path.unlink()
    with pytest.raises(rm.RobustMetaError, match="is damaged, or not the model that was measured"):
        rm.load_model("zoo:mine-glyphs-3w1s")


def test_what_should_not_be_shelved_is_refused(report, tmp_path):
    with pytest.raises(rm.RobustMetaError, match="holds no recipe"):
        pack(tmp_path, ["mine"], tmp_path)
    with pytest.raises(rm.RobustMetaError, match="unknown row 'min'; did you mean 'mine'"):
        pack(report, ["min"], tmp_path)
    failed = tmp_path / "failed"
    failed.mkdir()
    rows = read_rows(report / "results.csv")
    write_rows(rows.assign(flags="G02:fail"), failed / "results.csv")
    (failed / "recipe.yaml").write_bytes((report / "recipe.yaml").read_bytes())
    with pytest.raises(rm.RobustMetaError, match="failed a check of the audit"):
        pack(failed, ["mine"], tmp_path)
    write_rows(rows, failed / "results.csv")
    (failed / "checkpoints").mkdir()
    (failed / "checkpoints" / "mine.pt").write_bytes((report / "checkpoints" / "protonet-natural.pt").read_bytes())
    with pytest.raises(rm.RobustMetaError, match="is not that of the finished row 'mine'"):
        pack(failed, ["mine"], tmp_path)
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_model_of_another_report_is_replaced_only_when_asked(report, packed, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(report, other)
    before = {path.name: path.read_bytes() for path in packed.iterdir() if path.is_file()}
    with pytest.raises(rm.RobustMetaError, match="the zoo has a model mine-glyphs-3w1s of the report out; replace"):
        pack(other, ["protonet-natural", "mine"], packed)
    assert {path.name: path.read_bytes() for path in packed.iterdir() if path.is_file()} == before
    assert pack(other, ["mine"], packed, replace=True) == ["mine-glyphs-3w1s"]
    assert set(shelf.rows_of("mine-glyphs-3w1s")["report"]) == {"other"}
    rm.load_model("mine-glyphs-3w1s")


def test_a_model_without_a_worst_case_is_listed_with_what_there_is(packed):
    rows = read_rows(packed / "results.csv")
    write_rows(rows[rows["attack"] != "worst"], packed / "results.csv")
    ran = CliRunner().invoke(main, ["list", "models"])
    assert ran.exit_code == 0, ran.output
    assert re.search(r"Linf eps 0\.1: clean .*, fgsm .*, pgd-2 .* \(out\)", ran.output)


def test_evaluate_sets_up_the_process_for_a_model_as_for_a_checkpoint(report, packed, monkeypatch):
    threads: list[int] = []
    monkeypatch.setattr("robustmeta.bench.prepare_process", threads.append)
    for what in ("zoo:mine-glyphs-3w1s", str(report / "checkpoints" / "mine.pt")):
        asked = ["evaluate", what, "--attacks", "fgsm", "--episodes", "2", "--queries", "1", "--threads", "2"]
        ran = CliRunner().invoke(main, asked)
        assert ran.exit_code == 0, ran.output
    assert threads == [2, 2]
