"""What is kept of a row's measurement, and what is said of attacks that no table shows."""

import importlib
import linecache
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import FGSM, PGD
from robustmeta.bench import bench, evaluate_checkpoint, run_jobs
from robustmeta.episodes import _load_once
from robustmeta.errors import RobustMetaError
from robustmeta.job import Job
from robustmeta.measurement import _digest, _kept, measured
from robustmeta.provenance import about_row
from robustmeta.ranks import Ranks
from robustmeta.recipe_file import read

TEXT = """\
name: tiny
test: {ways: 3, shots: 1, queries: 2, episodes: 2}
attacks: [fgsm, transfer-pgd-50]
curve: {attack: fgsm, eps: [0.0, 0.1], episodes: 2}
backbone: {name: conv4, width: 4}
training: {ways: 3, shots: 1, queries: 2, tasks: 1, steps: 1}
rows:
  - learner: {name: protonet}
  - learner: {name: protonet}
    defense: {name: aq, attack: pgd-3}
"""


@pytest.fixture
def jobs(tmp_path) -> list[Job]:
    recipe, source = read(TEXT, "tiny.yaml")
    return [Job(recipe, source, row, tmp_path) for row in recipe.rows]


class Raising:
    threat = Threat("Linf", 0.1)

    def __call__(self, classifier, images, labels, seeds=None):
        raise IndexError("no such class")


def test_an_attack_that_raises_along_the_curve_is_told_of(jobs, monkeypatch) -> None:
    learner = jobs[0].train()
    clean = measured(jobs[0], learner)
    assert not [found for found in clean.findings if found.verdict == "fail"]
    at_eps = {"0": FGSM(0.0), "0.1": Raising()}
    monkeypatch.setattr("robustmeta.measurement.curve_attacks", lambda *_: at_eps)
    failed = [found for found in measured(jobs[0], learner).findings if found.verdict == "fail"]
    assert [(found.code, found.subject) for found in failed] == [("B04", "the curve at eps 0.1")]
    assert "no such class" in failed[0].text


def test_steps_and_exhibit_are_measured_kept_and_written(tmp_path, monkeypatch) -> None:
    text = TEXT.replace("backbone:", "steps: {attack: pgd-20, steps: [0, 1, 3], episodes: 5}\nbackbone:")
    recipe, source = read(text, "tiny.yaml")
    report = bench(recipe, source, tmp_path / "out")
    assert report.steps[["row", "steps", "episodes"]].values.tolist() == [
        [row, steps, 2] for row in ("protonet-natural", "protonet-aq") for steps in (0, 1, 3)
    ]
    clean = report.results.query("attack == 'clean'")["accuracy"].to_list()
    assert report.steps.query("steps == 0")["accuracy"].to_list() == pytest.approx(clean)
    assert {"steps.csv", "steps.png", "gallery.png"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert {name: seen.attack for name, seen in report.exhibits.items()}.keys() == {"protonet-natural", "protonet-aq"}
    # What is kept is not done again.
    monkeypatch.setattr("robustmeta.measurement.exhibit", None)
    monkeypatch.setattr("robustmeta.evaluation.attack_episodes", None)
    again = bench(recipe, source, tmp_path / "out")
    assert again.steps.equals(report.steps)
    for name, seen in report.exhibits.items():
        assert (again.exhibits[name].moved == seen.moved).all()


def test_an_attack_that_cannot_be_stepped_is_told_before_training(tmp_path) -> None:
    recipe, source = read(TEXT.replace("backbone:", "steps: {attack: square-1000}\nbackbone:"), "tiny.yaml")
    with pytest.raises(RobustMetaError, match=r"tiny.yaml:5: steps.attack: is 'square-1000', whose card"):
        bench(recipe, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_undefended_learner_is_its_own_twin_and_a_defended_one_has_that_of_the_recipe(jobs) -> None:
    plain, defended = jobs
    assert (plain.twin_checkpoint, defended.twin_checkpoint) == (None, plain.checkpoint)
    plain.check()
    defended.check()
    learner = plain.train()
    attacked = measured(plain, learner, curve=False).attacked
    assert attacked.forwards["transfer-pgd-50"] > 0
    assert list(measured(defended, defended.train(), curve=False).attacked.right) == list(attacked.right)


def test_workers_without_a_job_share_the_steps_of_the_others_and_ranks_run_one_job_at_a_time(jobs) -> None:
    def given(jobs: list[Job], workers: int) -> dict[str, int]:
        return run_jobs(jobs, lambda job: job.workers, workers, lambda name: None)

    assert given(jobs[:1], 3) == {"protonet-natural": 3}
    assert given([replace(job, ranks=Ranks(0, 2)) for job in jobs], 2) == {"protonet-natural": 2, "protonet-aq": 2}
    assert given(jobs, 1) == {"protonet-natural": 1, "protonet-aq": 1}


def test_what_is_kept_hangs_on_weights_settings_attacks_and_versions(jobs, monkeypatch) -> None:
    learner = jobs[0].train()
    attacks = {"pgd": PGD(0.1, 3)}
    seen = {_digest(attacks, (learner, None), {"survivors_only": False})}
    seen.add(_digest(attacks, (learner, None), {"survivors_only": True}))
    seen.add(_digest({"pgd": PGD(0.1, 4)}, (learner, None), {"survivors_only": False}))
    monkeypatch.setattr("robustmeta.measurement.versions", lambda: {"robustmeta": "9"})
    seen.add(_digest(attacks, (learner, None), {"survivors_only": False}))
    with torch.no_grad():
        next(learner.parameters()).mul_(-1)
    seen.add(_digest(attacks, (learner, None), {"survivors_only": False}))
    assert len(seen) == 5


def test_of_data_fixed_by_their_name_what_is_kept_hangs_on_nothing_else(jobs) -> None:
    """The runs that go on from what an earlier version has kept are of such data."""
    learner, attacks, settings = jobs[0].train(), {"pgd": PGD(0.1, 3)}, {"survivors_only": False}
    expected = f"attack-{jobs[0].recipe.hash}-{_digest(attacks, (learner, None), settings)}.npz"
    assert _kept(jobs[0], "attack", attacks, (learner, None), settings).name == f"protonet-natural-{expected}"


def test_new_images_at_the_same_path_are_measured_anew(jobs, tmp_path) -> None:
    def draw(seed: int) -> None:
        torch.manual_seed(seed)
        for label in range(3):
            at = tmp_path / "mine" / "test" / f"class {label}"
            at.mkdir(parents=True, exist_ok=True)
            for number in range(4):
                pixels = torch.randint(0, 256, (28, 28), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(at / f"{number}.png")
        _load_once.cache_clear()  # as in a new process

    def accuracies() -> list[float]:
        test = {"queries": 3, "episodes": 20, "dataset": {"name": "folder", "path": "mine", "channels": 1}}
        out: Path = tmp_path / "evaluated"
        results = evaluate_checkpoint(jobs[0].checkpoint, ["fgsm"], test, out=out, root=tmp_path).results
        kept = len(list((out / "progress").glob("*-attack-*")))
        return [*results["accuracy"], kept]

    jobs[0].train()
    draw(0)
    first = accuracies()
    assert accuracies() == first
    draw(1)
    second = accuracies()
    assert second[:-1] != first[:-1]
    assert (first[-1], second[-1]) == (1, 2)


def test_the_full_audit_is_kept_and_read_back(jobs) -> None:
    job = replace(jobs[0], audit="full")
    learner = job.train()
    first = measured(job, learner, curve=False).findings
    assert {"S01", "S02", "S14"} <= {found.code for found in first}
    (kept,) = (job.out / "progress").glob("*-audit-*.json")
    kept.write_text(kept.read_text().replace('"S14"', '"S13"'))
    assert "S14" not in {found.code for found in measured(job, learner, curve=False).findings}


def test_certified_accuracies_are_measured_kept_and_in_the_same_table(tmp_path, monkeypatch) -> None:
    text = TEXT.replace(
        "attacks: [fgsm, transfer-pgd-50]",
        "attacks: [fgsm]\ncertify: {sigma: 0.1, samples: 20, episodes: 2, radii: [0.1]}",
    )
    recipe, source = read(text.replace("episodes: 2}", "episodes: 3}", 1), "tiny.yaml")
    report = bench(recipe, source, tmp_path / "out")
    rows = report.results[report.results["row"] == "protonet-natural"]
    assert list(rows["attack"]) == ["clean", "fgsm", "worst", "smoothed", "certified-L2-0.1"]
    assert list(rows["episodes"]) == [3, 3, 3, 2, 2]
    certified = rows.iloc[-1]
    assert (certified["threat_norm"], certified["eps"], certified["sigma"]) == ("L2", 0.1, 0.1)
    assert certified["accuracy"] <= rows["accuracy"].iloc[3]
    assert "certified-L2-0.1" in (tmp_path / "out" / "report.md").read_text()
    # What is kept is not done again.
    monkeypatch.setattr(sys.modules["robustmeta.certification.certify"], "certify_episodes", None)
    again = bench(recipe, source, tmp_path / "out")
    assert list(again.results["accuracy"]) == list(report.results["accuracy"])


def test_a_certificate_that_cannot_be_is_refused_with_its_line() -> None:
    with pytest.raises(RobustMetaError, match=r"tiny.yaml:3: certify: sigma is 0; the noise of smoothing"):
        read(TEXT.replace("attacks: [fgsm, transfer-pgd-50]", "certify: {sigma: 0}"), "tiny.yaml")
    with pytest.raises(RobustMetaError, match=r"tiny.yaml:3: certify.sample: is not a setting here; did you mean"):
        read(TEXT.replace("attacks: [fgsm, transfer-pgd-50]", "certify: {sample: 5}"), "tiny.yaml")


def test_rows_over_seeds_share_a_variant(jobs) -> None:
    row = "\n  - {learner: {name: protonet}, defense: {name: aq, attack: pgd-3}, training: {seed: 3}, name: s3}"
    rows = row + row.replace("seed: 3", "seed: 4").replace("s3", "s4")
    recipe, _ = read(TEXT.rstrip() + rows, "tiny.yaml")
    variants = [about_row(recipe, row)["variant"] for row in recipe.rows]
    assert variants == ["protonet-natural", "protonet-aq", "protonet-aq", "protonet-aq"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{name: aq, attack: pgd-3}",
            "[{name: its, shots: 4}, {name: aq, attack: pgd-3}]",
            r"tiny.yaml:10: rows.1.defense: its trains with 4",
        ),
        (
            "attacks: [",
            "certify: {certificate: embedding}\nattacks: [",
            r"tiny.yaml:3: certify: the row 'maml-natural': .*",
        ),
        (
            "{name: conv4, width: 4}",
            "{name: conv4, width: 4, norm: transductive}\ncertify: {}",
            "certify: the row 'protonet-natural': these",
        ),
    ],
)
def test_what_training_or_certifying_would_end_in_is_told_before(tmp_path, old, new, message) -> None:
    text = TEXT.replace(old, new)
    if "embedding" in new:
        text = text.replace("name: protonet", "name: maml", 1)
    recipe, source = read(text, "tiny.yaml")
    with pytest.raises(RobustMetaError, match=message):
        bench(recipe, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_perturbation_of_weights_has_one_name(jobs) -> None:
    recipe, _ = read(TEXT.replace("{name: aq, attack: pgd-3}", "{name: awp, attack: pgd-3}"), "tiny.yaml")
    listed, _ = read(TEXT.replace("{name: aq, attack: pgd-3}", "[{name: aq, attack: pgd-3}, {name: awp}]"), "tiny.yaml")
    assert {about_row(each, each.rows[1])["defense"] for each in (recipe, listed)} == {"aq+awp"}


def test_what_is_kept_hangs_on_code_of_ones_own(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "import torch.nn as nn\nclass Own(nn.Module):\n    scale = {}\n"

    def digest(scale: int) -> str:
        (tmp_path / "code_of_my_own.py").write_text(code.format(scale))
        sys.modules.pop("code_of_my_own", None)
        importlib.invalidate_caches()
        linecache.clearcache()
        return _digest({}, [importlib.import_module("code_of_my_own").Own()], {})

    assert digest(1) == digest(1) != digest(10)
    assert _digest({}, [torch.nn.Identity()], {}) == _digest({}, [torch.nn.ReLU()], {})
