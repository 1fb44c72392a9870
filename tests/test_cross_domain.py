"""Trained on one data set and tested on another: in Python, in a recipe, and on the command line."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from robustmeta.assembly import check_unseen, episodes_of, evaluation_episodes
from robustmeta.bench import evaluate_checkpoint
from robustmeta.cli import main
from robustmeta.data import cifar100, omniglot
from robustmeta.data.omniglot import VAL_ALPHABETS
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.job import Job
from robustmeta.measurement import train_and_measure
from robustmeta.recipe_file import read

TEXT = """\
name: across
dataset: {name: glyphs}
test: {ways: 3, shots: 1, queries: 2, episodes: 8, dataset: {name: folder, path: mine}}
attacks: [fgsm, transfer-pgd-50]
curve: {attack: fgsm, eps: [0.0, 0.1], episodes: 4}
backbone: {name: conv4, width: 4}
training: {ways: 3, shots: 1, queries: 3, tasks: 2, steps: 2}
rows:
  - learner: {name: protonet}
  - learner: {name: protonet}
    defense: {name: aq, attack: pgd-7, ramp: 0.3}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Colour images of 20x20, each of one colour: three classes in test, and another in train."""
    for number in range(4):
        at = tmp_path / "mine" / ("train" if number == 3 else "test") / f"class {number}"
        at.mkdir(parents=True)
        for image in range(3):
            Image.new("RGB", (20, 20), (60 * number, 80 * image, 9)).save(at / f"{image}.png")
    return tmp_path


def test_tasks_of_another_data_set_have_the_shape_of_those_trained_on(root):
    recipe, source = read(TEXT, "across.yaml")
    tasks = evaluation_episodes(recipe, source, root, "cpu")
    assert (tasks.name, tasks.image_shape, tasks.ways, tasks.seed) == ("folder/test", (1, 28, 28), 3, 1)
    luminance = [(299 * 60 * number + 587 * 80 * image + 114 * 9) / 255000 for number in range(3) for image in range(3)]
    levels = tasks[0].query_x[0, :, 0].flatten(1).numpy()
    assert (levels.max(1) == levels.min(1)).all()
    assert (np.abs(levels[:, :1] - np.array(luminance)).min(1) < 1 / 255).all()
    trained = episodes_of(recipe, source, "val", root, "cpu", ("dataset",), ways=3, shots=1, queries=2)
    assert trained.name == "glyphs/val"
    plain, source = read(TEXT.replace(", dataset: {name: folder, path: mine}", ""), "plain.yaml")
    assert evaluation_episodes(plain, source, root, "cpu").name == "glyphs/test"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("folder", "foldr", "across.yaml:3: test.dataset.name: unknown data set 'foldr'; did you mean 'folder'"),
        ("path: mine", "pth: mine", "across.yaml:3: test.dataset.pth: is not a setting here; did you mean 'path'"),
        ("path: mine", "path: yours", "across.yaml:3: test: there is no folder .*yours"),
        ("ways: 3", "ways: 4", "across.yaml:3: test: 4 ways asked of folder/test, which has 3 classes"),
        ("queries: 2", "queries: 3", r"across.yaml:3: test: shots \+ queries = 4 images a class asked of folder/test"),
        ("queries: 2", "queries: 2, split: val", "across.yaml:3: test: .* has the folders test, train, but not 'val'"),
    ],
)
def test_another_data_set_that_cannot_give_the_tasks_is_told_with_its_line(root, old, new, line):
    recipe, source = read(TEXT.replace(old, new, 1), "across.yaml")
    with pytest.raises(RobustMetaError, match=line) as caught:
        evaluation_episodes(recipe, source, root, "cpu")
    assert "\n" not in str(caught.value)


def run(*arguments: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == status, result.output
    return result.stderr if status else result.stdout


def test_attacks_transfers_and_the_curve_are_of_the_tasks_tested_on(root):
    """By the clean accuracy of each; and a checkpoint, evaluated on the other data set, has the same rows."""
    recipe, source = read(TEXT, "across.yaml")
    twin, job = (Job(recipe, source, row, root / "run", root) for row in recipe.rows)
    twin.train_only()
    found = train_and_measure(job)
    right = found.attacked.right
    assert found.curve.right["0"].tolist() == right["clean"][:4].tolist()
    tasks = Episodes("folder", "test", ways=3, queries=2, seed=1, root=root, path="mine", image_shape=(1, 28, 28))
    learner = job.train()
    plain = learner.adapt(tasks[5].support_x, tasks[5].support_y)(tasks[5].query_x).argmax(-1) == tasks[5].query_y
    assert right["clean"][5].tolist() == plain[0].tolist()

    test = {"queries": 2, "episodes": 8, "dataset": {"name": "folder", "path": "mine"}}
    rows = evaluate_checkpoint(job.checkpoint, recipe.attacks, test, root=root, twin=twin.checkpoint).results
    assert set(zip(rows["train_dataset"], rows["dataset"], strict=True)) == {("glyphs", "folder")}
    accuracy = dict(zip(rows["attack"], rows["accuracy"], strict=True))
    assert accuracy == pytest.approx({name: each.mean() for name, each in right.items()})
    assert {"clean", "fgsm", "transfer-pgd-50", "worst"} <= set(accuracy)


@pytest.mark.parametrize(
    ("dataset", "line"),
    [
        ("glyfs", "unknown data set 'glyfs'; did you mean 'glyphs'"),
        ("{path: mine}", "its dataset needs a 'name'; write {name: omniglot}, or leave it out"),
        ("{name: glyphs", "--dataset"),
    ],
)
def test_a_wrong_data_set_on_the_command_line_is_one_line(root, dataset, line):
    (root / "across.yaml").write_text(TEXT)
    run(
        "train",
        root / "across.yaml",
        "--out",
        root / "run",
        "--threads",
        "1",
        "--row",
        "protonet-natural",
        "--data-root",
        root,
    )
    said = run("evaluate", root / "run" / "checkpoints" / "protonet-natural.pt", "--dataset", dataset, status=2)
    assert line in said
    assert len(said.splitlines()) == 1


def stand_in(name: str) -> dict[str, np.ndarray]:
    """What the archives hold, but for the pixels: 100 classes of CIFAR-100, 964 and 659 characters of Omniglot."""
    if name.startswith("cifar"):
        return {"images": np.zeros((100, 600, 3, 1, 1), np.uint8)}
    number = 964 if "background" in name else 659
    alphabets = [VAL_ALPHABETS[0] if number == 964 and i < 60 else f"{name}-{i % 20}" for i in range(number)]
    names = np.array([f"{alphabet}/character{i:04d}" for i, alphabet in enumerate(alphabets)])
    return {"names": names, "images": np.zeros((number, 20, 1, 1), np.uint8)}


def told(monkeypatch, root: Path, trained: str, tested: str) -> str:
    for module in (cifar100, omniglot):
        monkeypatch.setattr(module, "cached", lambda name, make: stand_in(name))
    text = TEXT.replace("{name: glyphs}", trained).replace("{name: folder, path: mine}", tested)
    recipe, source = read(text, "across.yaml")
    try:
        check_unseen(recipe, source, root, evaluation_episodes(recipe, source, root, "cpu"))
    except RobustMetaError as error:
        return str(error)
    return ""


CHARACTERS = "{name: omniglot, by: characters}"


@pytest.mark.parametrize(
    ("trained", "tested", "seen"),
    [
        ("{name: cifar_fs}", "{name: fc100}", "11 of the 20 classes of fc100/test are trained on, as cifar-100/"),
        ("{name: fc100}", "{name: cifar_fs}", "of the 20 classes of cifar_fs/test are trained on, as cifar-100/"),
        (
            CHARACTERS,
            "{name: omniglot}",
            "of the 659 classes of omniglot/test are trained on, as omniglot/omniglot-images_e",
        ),
        (
            "{name: omniglot}",
            CHARACTERS,
            "of the 423 classes of omniglot/test are trained on, as omniglot/omniglot-images_b",
        ),
        ("{name: omniglot}", "{name: omniglot, by: alphabets}", ""),
        ("{name: omniglot, rotations: true}", "{name: omniglot}", ""),
        ("{name: cifar_fs}", "{name: cifar_fs}", ""),
        ("{name: cifar_fs}", "{name: omniglot}", ""),
        ("{name: glyphs}", "{name: omniglot}", ""),
    ],
)
def test_classes_that_were_trained_on_are_no_test(monkeypatch, tmp_path, trained, tested, seen):
    said = told(monkeypatch, tmp_path, trained, tested)
    assert "\n" not in said
    if seen:
        assert said.startswith("across.yaml:3: test.dataset: ")
        assert seen in said
        assert "few-shot tests are of new classes" in said
    else:
        assert said == ""


def test_the_number_told_is_that_of_the_published_divisions():
    from robustmeta.data.cifar100_classes import CIFAR_FS, FC100, SUPERCLASSES

    tested = {name for above in FC100["test"] for name in SUPERCLASSES[above]}
    assert len(tested & set(CIFAR_FS["train"])) == 11


def test_a_folder_divided_in_another_way_is_told_before_anything_runs(root):
    for number in range(8):
        (root / "whole" / str(number)).mkdir(parents=True)
        for image in range(6):
            Image.new("RGB", (20, 20), (30 * number, 40 * image, 9)).save(root / "whole" / str(number) / f"{image}.png")
    text = TEXT.replace("{name: glyphs}", "{name: folder, path: whole, shares: [0.5, 0.25, 0.25]}").replace(
        "path: mine", "path: whole, shares: [0.25, 0, 0.75]"
    )
    (root / "across.yaml").write_text(text.replace("ways: 3", "ways: 2"))
    said = run("bench", root / "across.yaml", "--out", root / "run", "--threads", "1", "--data-root", root, status=2)
    assert "test.dataset: 2 of the 6 classes of folder/test are trained on, as " in said
    assert len(said.splitlines()) == 1
    assert not (root / "run").exists()
