"""The command line as a newcomer types it, typos included."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from robustmeta.cli import main
from robustmeta.cli.running import command_line

TINY = """
name: tiny
dataset: {name: glyphs}
test: {ways: 3, shots: 1, queries: 3, episodes: 12, seed: 1}
attacks: quick
curve: {attack: fgsm, eps: [0.0, 0.1], episodes: 4}
backbone: {name: conv4, width: 4}
training: {ways: 3, shots: 1, queries: 3, tasks: 2, steps: 6}
rows:
  - learner: {name: maml, steps: 1, inner_lr: 0.1}
    backbone: {norm: support}
  - learner: {name: protonet}
    defense: {name: aq, attack: pgd-7, ramp: 0.3}
    training: {average: 0.5}
"""
TIMES = ["seconds"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def robustmeta(*arguments: str | Path) -> str:
    """Standard output of a command that succeeds."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*arguments: str | Path) -> str:
    """The one line on standard error of a command that exits with status 2."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("robustmeta: error: ")
    return lines[0]


def rows_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "results.csv").drop(columns=TIMES)


def test_bench_writes_the_whole_report_and_prints_the_table(recipe, tmp_path):
    out = tmp_path / "out"
    printed = robustmeta("bench", recipe, "--out", out, "--threads", "1")
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        "results.csv", "episodes.csv", "curve.csv", "audit.csv", "recipe.yaml", "report.md", "report.html",
        "curve.png", "pareto.png", "episodes.png", "gallery.png",
    }  # fmt: skip
    results = pd.read_csv(out / "results.csv")
    columns = (
        "learner, defense, backbone, norm_policy, dataset, split, ways, shots, queries, episodes, seed, threat_norm, "
        "eps, attack, accuracy, ci95, flags"
    )
    assert set(columns.split(", ")) <= set(results.columns)
    assert list(results["attack"]) == ["clean", "fgsm", "pgd-20", "pgd-20-margin", "worst"] * 2
    assert "protonet / aq" in printed
    assert "worst" in printed
    episodes = pd.read_csv(out / "episodes.csv")
    assert len(episodes) == 2 * 12
    for _, row in results.iterrows():
        mine = episodes[(episodes["learner"] == row["learner"])]
        assert mine[row["attack"]].mean() == pytest.approx(row["accuracy"], abs=1e-6)
    # What stands in the folder is enough to run it again, to the same rows.
    again = tmp_path / "again"
    robustmeta("bench", out / "recipe.yaml", "--out", again, "--threads", "1")
    pd.testing.assert_frame_equal(rows_of(out), rows_of(again))


def test_two_workers_make_the_rows_of_one(recipe, tmp_path):
    robustmeta("bench", recipe, "--out", tmp_path / "one", "--threads", "1")
    command = [sys.executable, "-m", "robustmeta", "bench", recipe, "--out", tmp_path / "two", "--threads", "2"]
    subprocess.run(command, check=True, capture_output=True)
    pd.testing.assert_frame_equal(rows_of(tmp_path / "one"), rows_of(tmp_path / "two"))


def test_train_then_evaluate_makes_the_rows_of_bench(recipe, tmp_path):
    robustmeta("bench", recipe, "--out", tmp_path / "bench", "--threads", "1")
    robustmeta("train", recipe, "--out", tmp_path / "train", "--row", "protonet-aq", "--threads", "1")
    checkpoints = tmp_path / "train" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == ["protonet-aq.pt"]
    out = tmp_path / "evaluated"
    settings = ["--attacks", "quick", "--episodes", "12", "--queries", "3", "--out", out]
    printed = robustmeta("evaluate", checkpoints / "protonet-aq.pt", *settings)
    assert "protonet / aq" in printed
    state = torch.load(checkpoints / "protonet-aq.pt", weights_only=True)
    assert all(not torch.equal(state["average"][name], w) for name, w in state["weights"].items() if w.ndim > 1)
    assert rows_of(out)["selection"].eq("average of 50% of the steps").all()
    there = rows_of(tmp_path / "bench").query("learner == 'protonet'").reset_index(drop=True)
    pd.testing.assert_series_equal(rows_of(out)["accuracy"], there["accuracy"])


def test_a_checkpoint_trained_anew_is_evaluated_anew(recipe, tmp_path):
    settings = ["--attacks", "fgsm", "--episodes", "12", "--queries", "3", "--out", tmp_path / "evaluated"]
    accuracies = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        robustmeta("train", recipe, "--out", out, "--row", "protonet-aq", "--threads", "1")
        checkpoint = tmp_path / "protonet-aq.pt"
        state = torch.load(out / "checkpoints" / "protonet-aq.pt", weights_only=True)
        if seed == "2":  # the same recipe, other weights
            state["average"] = {name: -weight for name, weight in state["average"].items()}
        torch.save(state, checkpoint)
        robustmeta("evaluate", checkpoint, *settings)
        accuracies.append(rows_of(tmp_path / "evaluated")["accuracy"].tolist())
    assert accuracies[0] != accuracies[1]


@pytest.mark.parametrize("attacks", ["", ",", "fgsm,"])
def test_no_name_is_no_attack(recipe, tmp_path, attacks):
    robustmeta("train", recipe, "--out", tmp_path / "run", "--threads", "1")
    checkpoint = tmp_path / "run" / "checkpoints" / "protonet-aq.pt"
    assert "unknown attack or suite ''" in refused("evaluate", checkpoint, "--episodes", "2", "--attacks", attacks)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["--foo"], "No such option '--foo'"),
        (["list", "learner"], "'learner' is not one of 'learners', 'defenses'"),
        (["list"], "Missing argument 'WHAT'. Choose from: learners, defenses"),
        (["bench", "--until", "x"], "Invalid value for '--until': 'x' is not a number, as 0.1 or 8/255; `"),
        (["bench", "--threads", "0"], "Invalid value for '--threads': 0 is not in the range x>=1"),
        (["bench", "glyphs-5w1"], "nor one of the package's (defenses-omniglot, "),
        (["bench", "glyphs-5w1"], "; did you mean 'glyphs-5w1s'?"),
    ],
)
def test_a_command_with_a_typo_is_answered_in_one_line(typed, said):
    assert said in refused(*typed)


def test_learners_that_are_not_trained_at_all_are_measured(recipe, tmp_path):
    recipe.write_text(TINY.replace("steps: 6", "steps: 0"))
    robustmeta("bench", recipe, "--out", tmp_path / "out", "--threads", "1")
    assert set(pd.read_csv(tmp_path / "out" / "results.csv")["train_steps"]) == {0}


def test_the_learners_of_one_run_are_measured_in_another(recipe, tmp_path):
    out, five = tmp_path / "out", tmp_path / "five.yaml"
    robustmeta("train", recipe, "--out", out, "--threads", "1")
    five.write_text(TINY.replace("shots: 1, queries: 3, episodes", "shots: 5, queries: 3, episodes"))
    kept = {path: path.read_bytes() for path in (out / "checkpoints").iterdir()}
    command = ["bench", five, "--threads", "1", "--out"]
    robustmeta(*command, tmp_path / "shared", "--checkpoints", out / "checkpoints")
    assert not (tmp_path / "shared" / "checkpoints").exists()
    assert {path: path.read_bytes() for path in (out / "checkpoints").iterdir()} == kept
    robustmeta(*command, tmp_path / "alone")
    pd.testing.assert_frame_equal(rows_of(tmp_path / "shared"), rows_of(tmp_path / "alone"))

    assert "there is no folder nope to find checkpoints in" in refused("bench", five, "--checkpoints", "nope")

    other = tmp_path / "other.yaml"
    other.write_text(TINY.replace("steps: 6", "steps: 7"))
    said = refused("bench", other, "--out", tmp_path / "other", "--checkpoints", out / "checkpoints", "--threads", "1")
    assert "is the checkpoint of another recipe (its training.steps is 6, not 7)" in said


def test_a_run_stops_where_it_is_told_is_measured_there_and_goes_on_to_the_same_rows(recipe, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    printed = robustmeta("bench", recipe, "--out", out, "--threads", "1", "--until", "2/5")
    assert "Not trained to the end: all rows trained for 50% of their outer steps" in printed
    rows = pd.read_csv(out / "results.csv")
    assert set(rows["train_steps"]) == {3}
    assert set(rows["planned_steps"]) == {6}
    said = (out / "report.md").read_text(encoding="utf-8")
    assert "Less than the recipe asks for: all rows trained for 50% of their outer steps" in said
    assert "| planned steps |" in said

    checkpoint = out / "checkpoints" / "protonet-aq.pt"
    settings = ["--attacks", "quick", "--episodes", "12", "--queries", "3"]
    printed = robustmeta("evaluate", checkpoint, *settings, "--out", tmp_path / "evaluated")
    assert "Not trained to the end: all rows trained for 50% of their outer steps" in printed
    there = rows.query("learner == 'protonet'")["accuracy"].reset_index(drop=True)
    pd.testing.assert_series_equal(pd.read_csv(tmp_path / "evaluated" / "results.csv")["accuracy"], there)

    said = CliRunner().invoke(main, ["compare", str(out), str(tmp_path / "evaluated")]).stderr
    assert "not trained to the end: " in said

    printed = robustmeta("bench", recipe, "--out", out, "--threads", "1")
    assert "Not trained to the end" not in printed
    said = (out / "report.md").read_text(encoding="utf-8")
    assert "Less than the recipe" not in said
    assert "planned steps" not in said
    for share in ("0", "6", "-1/2"):
        assert f"until is {float(Fraction(share)):g}; it is a share" in refused("bench", recipe, "--until", share)
    robustmeta("bench", recipe, "--out", whole, "--threads", "1")
    pd.testing.assert_frame_equal(rows_of(out), rows_of(whole))
    assert rows_of(out)["accuracy"].tolist() != rows["accuracy"].tolist()


def test_a_seed_changes_the_training_and_not_the_test_episodes(recipe, tmp_path):
    robustmeta("train", recipe, "--out", tmp_path / "a", "--row", "protonet-aq", "--seed", "3", "--threads", "1")
    robustmeta("train", recipe, "--out", tmp_path / "b", "--row", "protonet-aq", "--threads", "1")
    weights = [
        torch.load(tmp_path / name / "checkpoints" / "protonet-aq.pt", weights_only=True)["weights"] for name in "ab"
    ]
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize(
    ("what", "name"),
    [
        ("learners", "protonet"), ("defenses", "aq"), ("attacks", "pgd-20"), ("attacks", "quick (suite)"),
        ("datasets", "glyphs"), ("backbones", "conv4"), ("recipes", "glyphs-5w1s"),
    ],
)  # fmt: skip
def test_list_names_what_recipes_can_use(what, name):
    lines = robustmeta("list", what).splitlines()
    (line,) = [line for line in lines if line.startswith(f"{name}  ")]
    assert len(line.removeprefix(name).strip()) > 10  # each with a description


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("name: protonet}", "name: protonett}", "did you mean 'protonet'"),
        ("name: glyphs", "name: glyph", "did you mean 'glyphs'"),
        ("attacks: quick", "attacks: quik", "did you mean 'quick'"),
        ("attack: pgd-7", "attack: pdg-7", "did you mean 'pgd-7'"),
        ("attack: pgd-7", "attack: square-1000", "not safe in training"),
        ("name: aq", "name: ad", "unknown defense 'ad'"),
        ("width: 4", "witdh: 4", "did you mean 'width'"),
        ("width: 4", "width: four", "a whole number"),
        ("norm: support", "norm: suport", "did you mean 'support'"),
        ("ways: 3, shots: 1, queries: 3, episodes", "ways: 900, shots: 1, queries: 3, episodes", "900 ways"),
        ("ways: 3, shots: 1, queries: 3, tasks", "ways: 3, shots: 1, queries: 30, tasks", "shots + queries = 31"),
        ("attacks: quick", "attacks: quick\nthreat: {eps: 8}", "eps is 8"),
        ("attacks: quick", "attacks: quick\nthreat: {eps: -0.1}", "eps is -0.1"),
        ("steps: 6", "step: 6", "did you mean 'steps'"),
    ],
)
def test_a_wrong_recipe_is_refused_in_one_line_with_its_line_number(wrong, right, message, tmp_path):
    assert TINY.count(wrong) >= 1
    path = tmp_path / "wrong.yaml"
    path.write_text(TINY.replace(wrong, right, 1))
    line = 1 + next(i for i, text in enumerate(path.read_text().splitlines()) if right.splitlines()[-1] in text)
    error = refused("bench", path, "--out", tmp_path / "out", "--threads", "1")
    assert message in error
    assert f"wrong.yaml:{line}:" in error
    assert not (tmp_path / "out" / "checkpoints").exists()  # refused before anything was trained


def test_other_wrong_uses_are_refused_in_one_line(recipe, tmp_path):
    assert "there is no recipe 'glyph-5w1s'" in refused("bench", "glyph-5w1s")
    assert "there is no checkpoint" in refused("evaluate", tmp_path / "none.pt")
    foreign = tmp_path / "foreign.pt"
    foreign.write_bytes(b"not a checkpoint")
    assert "truncated or not a checkpoint" in refused("evaluate", foreign)
    torch.save({"weights": {}}, foreign)
    assert "not a checkpoint of robustmeta" in refused("evaluate", foreign)
    assert "unknown row 'protonet-ad'" in refused("train", recipe, "--row", "protonet-ad", "--out", tmp_path / "o")
    if not torch.cuda.is_available():
        assert "--device cpu" in refused("bench", recipe, "--device", "cuda", "--out", tmp_path / "o")


def test_a_folder_with_another_recipes_run_is_refused_and_kept(recipe, tmp_path):
    out = tmp_path / "out"
    robustmeta("bench", recipe, "--out", out, "--threads", "1")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    recipe.write_text(TINY.replace("steps: 6", "steps: 7"))
    assert "holds the run of another recipe" in refused("bench", recipe, "--out", out, "--threads", "1")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_written_is_refused(recipe, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert "cannot write" in refused("bench", recipe, "--out", blocked / "out", "--threads", "1")
    if os.getuid() != 0:  # root may write anywhere
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o500)
        assert "cannot write" in refused("bench", recipe, "--out", closed, "--threads", "1")


def checkpoints(recipe: Path, out: Path) -> Path:
    """Those of ProtoNet, plain and with adversarial querying; the recipe is left so."""
    maml = "learner: {name: maml, steps: 1, inner_lr: 0.1}\n    backbone: {norm: support}"
    recipe.write_text(recipe.read_text().replace(maml, "learner: {name: protonet}"))
    robustmeta("train", recipe, "--out", out, "--threads", "1")
    return out / "checkpoints"


TRANSFER = ["--attacks", "transfer-pgd-50", "--attacks", "fgsm", "--episodes", "4", "--queries", "3"]


def test_a_transfer_comes_from_the_twin_and_from_no_other(recipe, tmp_path):
    held = checkpoints(recipe, tmp_path / "run")
    attacked, twin = held / "protonet-aq.pt", held / "protonet-natural.pt"
    said = refused("evaluate", attacked, *TRANSFER)
    assert "needs the undefended twin of 'protonet-aq'" in said
    assert "--twin" in said
    assert "holds protonet-aq; the twin of protonet-aq" in refused("evaluate", attacked, *TRANSFER, "--twin", attacked)
    printed = robustmeta("evaluate", attacked, *TRANSFER, "--twin", twin)
    assert "transfer-pgd-50" in printed
    recipe.write_text(recipe.read_text().replace("attacks: quick", "attacks: [fgsm, transfer-pgd-50]"))
    robustmeta("bench", recipe, "--out", tmp_path / "bench", "--threads", "1")
    rows = rows_of(tmp_path / "bench")
    by = rows.groupby("defense")["attack"].apply(list).to_dict()
    attacks = ["clean", "fgsm", "transfer-pgd-50", "worst"]  # on the undefended row too, which is its own twin
    assert by == {"natural": attacks, "aq": attacks}


def test_the_audit_stands_under_the_table_and_strict_makes_a_failure_the_exit_status(recipe, tmp_path, monkeypatch):
    checkpoint = checkpoints(recipe, tmp_path / "run") / "protonet-natural.pt"
    settings = ["evaluate", checkpoint, "--attacks", "fgsm", "--episodes", "3", "--queries", "3"]
    printed = robustmeta(*settings, "--strict")
    assert "[pass] G01" in printed
    assert "S01" not in printed
    assert "[pass] S01" in robustmeta(*settings, "--audit", "full")
    # Logits a thousand times as large: the gradient of cross-entropy is 0, and the accuracy no robustness.
    monkeypatch.setattr("robustmeta.learners.protonet.squared_distance_logits", lambda f, p: -1e6 * torch.cdist(f, p))
    arguments = [str(argument) for argument in [*settings, "--strict"]]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "[fail] G02" in result.stdout
    assert "G02:fail" in result.stdout.splitlines()[2]
    assert result.stderr == "robustmeta: a check of the audit failed, and --strict was asked for\n"
    assert CliRunner().invoke(main, arguments[:-1]).exit_code == 0


def test_every_class_of_torchattacks_is_listed_with_its_card_or_the_reason_it_is_refused():
    import torchattacks

    listed = robustmeta("list", "attacks", "--all")
    for name in torchattacks.__all__:
        assert f"torchattacks.{name} " in listed
    assert "--all is for attacks" in CliRunner().invoke(main, ["list", "learners", "--all"]).stderr


@pytest.mark.parametrize(
    ("argv", "processes", "line"),
    [
        (["/usr/bin/robustmeta", "bench", "my own.yaml"], "1", "robustmeta bench 'my own.yaml'"),
        (["/x/robustmeta/__main__.py", "bench"], "2", "torchrun --nproc-per-node 2 -m robustmeta bench"),
        (["mine.py", "bench", "mine.yaml"], "1", "python mine.py bench mine.yaml"),
        (["mine.py", "bench"], "2", "torchrun --nproc-per-node 2 mine.py bench"),
    ],
)
def test_the_command_of_a_report_is_the_one_that_was_typed(monkeypatch, argv, processes, line):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setenv("WORLD_SIZE", processes)
    assert command_line() == line


@pytest.mark.parametrize(("command", "goes_on"), [("train", True), ("list", False)])
def test_an_interruption_promises_no_more_than_holds(monkeypatch, command, goes_on):
    def interrupt(context, *arguments, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.commands[command], "invoke", interrupt)
    result = CliRunner().invoke(main, [command, "learners"])
    assert result.exit_code == 130
    assert ("goes on from here" in result.stderr) == goes_on


def test_validation_classes_of_few_images_keep_no_row_from_training(tmp_path):
    for split in ("train", "val", "test"):
        for label in range(3):
            at = tmp_path / "mine" / split / f"class {split} {label}"
            at.mkdir(parents=True)
            for number in range(3):
                pixels = torch.randint(0, 256, (28, 28), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(at / f"{number}.png")
    recipe = tmp_path / "small.yaml"
    small = TINY.replace("{name: glyphs}", "{name: folder, path: mine, channels: 1}").replace(
        "queries: 3", "queries: 2"
    )
    recipe.write_text(small)
    out = tmp_path / "out"
    robustmeta("train", recipe, "--row", "protonet-aq", "--out", out, "--data-root", tmp_path, "--threads", "1")
    assert (out / "checkpoints" / "protonet-aq.pt").is_file()
    recipe.write_text(small.replace("shots: 1", "shots: 3"))
    assert "asked of folder/" in refused("train", recipe, "--out", tmp_path / "x", "--data-root", tmp_path)
