"""A user's folder: layouts, order, what Pillow reads and what is done to it, and what is refused."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from robustmeta.cli import main
from robustmeta.data import load
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError

CLASSES = [f"class {i:02d}" for i in range(12)]


def picture(value: int, size: tuple[int, int] = (8, 8), mode: str = "L") -> Image.Image:
    return Image.new(mode, size, value if mode == "L" else (value, value // 2, 255 - value))


def fill(root: Path, classes=CLASSES, each: int = 3) -> Path:
    """Image i of class c is filled with 20 c + i."""
    for c, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(each):
            picture(20 * c + i).save(root / name / f"{i}.png")
    return root


def test_folders_of_the_splits_are_the_splits(tmp_path):
    for first, split in enumerate(("train", "val", "test")):
        fill(tmp_path / split, [f"{split} {i}" for i in range(first + 1)])
    for number, split in enumerate(("train", "val", "test"), 1):
        made = load("folder", split, tmp_path, channels=1)
        assert made.labels == tuple(f"{split} {i}" for i in range(number))
        assert made.images[:, 0, 0, 0].tolist() == [20 * c + i for c in range(number) for i in range(3)]
        assert (made.name, tuple(made.images.shape[1:])) == (f"folder/{split}", (1, 8, 8))


def test_classes_without_splits_are_shared_out_by_the_hashes_of_their_names(tmp_path):
    fill(tmp_path)
    hashed = sorted(CLASSES, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    cut = {"train": hashed[:8], "val": hashed[8:10], "test": hashed[10:]}  # 0.64, 0.80 and 1 of 12
    for split, names in cut.items():
        made = load("folder", split, tmp_path, channels=1)
        assert made.labels == tuple(sorted(names))
        wanted = [20 * CLASSES.index(name) + i for name in sorted(names) for i in range(3)]
        assert made.images[:, 0, 0, 0].tolist() == wanted
    assert len(load("folder", "val", tmp_path, shares=[0.25, 0.5, 0.25]).labels) == 6


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, ["bus", "test", "train", "tram"])
    assert load("folder", "train", tmp_path, shares=(1.0, 0.0, 0.0)).labels == ("bus", "test", "train", "tram")


def test_classes_may_be_called_after_splits_in_capitals_and_what_macos_leaves_is_passed_over(tmp_path):
    fill(tmp_path, ["Val", "train", "tram"])
    fill(tmp_path / "__MACOSX", ["ant"])
    assert load("folder", "train", tmp_path, shares=(1.0, 0.0, 0.0)).labels == ("Val", "train", "tram")
    for split in ("train", "test"):
        fill(tmp_path / "divided" / split, [f"{split} ant"])
    fill(tmp_path / "divided", ["__MACOSX"])
    assert load("folder", "test", tmp_path / "divided").labels == ("test ant",)


def test_classes_and_files_are_in_the_order_of_their_names_whatever_the_disk_says(tmp_path, monkeypatch):
    fill(tmp_path)
    there = load("folder", "train", tmp_path)
    listed, walked = os.listdir, Path.iterdir
    monkeypatch.setattr(os, "listdir", lambda path: sorted(listed(path), reverse=True))
    monkeypatch.setattr(Path, "iterdir", lambda path: iter(sorted(walked(path), reverse=True)))
    again = load("folder", "train", tmp_path)
    assert again.labels == there.labels
    assert (again.images == there.images).all()


def test_hidden_and_other_files_are_passed_over_and_capitals_read(tmp_path):
    fill(tmp_path, ["ant", "bee"])
    for name in (".DS_Store", ".hidden.png", "notes.txt", "Thumbs.db"):
        (tmp_path / "ant" / name).write_bytes(b"no image")
    (tmp_path / "README.md").write_text("about")
    fill(tmp_path / ".cache", ["cat"])
    picture(77).save(tmp_path / "ant" / "9.PNG")
    picture(78).save(tmp_path / "bee" / "9.Jpg", "JPEG", quality=100)
    made = load("folder", "train", tmp_path, channels=1, shares=(1, 0, 0))
    assert made.labels == ("ant", "bee")
    assert made.counts == (4, 4)
    assert made.images[:, 0, 0, 0].tolist() == [0, 1, 2, 77, 20, 21, 22, 78]


def test_the_centred_square_is_resized(tmp_path):
    wide = np.zeros((6, 10, 3), np.uint8)
    wide[:, 2:8] = np.random.default_rng(0).integers(0, 256, (6, 6, 3))
    (tmp_path / "ant").mkdir()
    Image.fromarray(wide).save(tmp_path / "ant" / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "ant" / "tall.png")
    taken = {"size": 6, "shares": (1, 0, 0)}
    tall, middle = load("folder", "train", tmp_path, **taken).images.numpy()
    assert np.array_equal(middle, wide[:, 2:8].transpose(2, 0, 1))  # a square of the size asked for is left as it is
    assert np.array_equal(tall, wide[:, 2:8].transpose(2, 1, 0))
    smaller = load("folder", "train", tmp_path, **{**taken, "size": 3}).images[1].numpy()
    truth = Image.fromarray(wide[:, 2:8].copy()).resize((3, 3), Image.Resampling.LANCZOS)
    assert np.array_equal(smaller, np.asarray(truth).transpose(2, 0, 1))


def test_channels_are_grey_or_colours(tmp_path):
    (tmp_path / "ant").mkdir()
    picture(100, mode="RGB").save(tmp_path / "ant" / "colours.png")
    picture(100).save(tmp_path / "ant" / "grey.png")
    taken = {"shares": (1, 0, 0)}
    colour = load("folder", "train", tmp_path, **taken).images
    assert colour[:, :, 0, 0].tolist() == [[100, 50, 155], [100, 100, 100]]
    grey = load("folder", "train", tmp_path, channels=1, **taken).images
    luma = round(0.299 * 100 + 0.587 * 50 + 0.114 * 155)
    assert grey[:, :, 0, 0].tolist() == [[luma], [100]]


def test_transparent_images_are_laid_on_white(tmp_path):
    (tmp_path / "ant").mkdir()
    ink = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    ink.putpixel((0, 0), (0, 0, 0, 255))
    ink.save(tmp_path / "ant" / "a.png")
    ink.convert("LA").save(tmp_path / "ant" / "b.png")
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 0, 0])
    palette.putpixel((0, 0), 0)
    palette.save(tmp_path / "ant" / "c.png", transparency=bytes([255, 0]))
    for image in load("folder", "train", tmp_path, channels=1, shares=(1, 0, 0)).images:
        assert image[0, 0, 0] == 0
        assert (image.flatten()[1:] == 255).all()


def test_a_photograph_is_turned_upright(tmp_path):
    (tmp_path / "ant").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "ant" / "a.png", exif=exif)
    (image,) = load("folder", "train", tmp_path, channels=1, shares=(1, 0, 0)).images
    assert np.array_equal(image[0].numpy(), np.rot90(pixels, -1))


def damaged(root: Path) -> None:
    file = root / "class 03" / "1.png"
    file.write_bytes(file.read_bytes()[:40])


def empty_class(root: Path) -> None:
    (root / "class 99").mkdir()
    (root / "class 99" / "notes.txt").write_text("none")


@pytest.mark.parametrize(
    ("change", "options", "line"),
    [
        (damaged, {}, r"cannot read the image \S*/class 03/1.png \(.+\); repair or remove it"),
        (lambda root: (root / "class 03" / "1.png").write_text("x"), {}, r"cannot read the image \S*/class 03/1.png"),
        (
            lambda root: picture(1, (9, 8)).save(root / "class 03" / "1.png"),
            {},
            r"class 03/1.png is \[3, 8, 9\], \S*/class 00/0.png is \[3, 8, 8\] .*; set size",
        ),
        (
            lambda root: Image.fromarray(np.full((8, 8), 300, np.uint16)).save(root / "class 03" / "1.png"),
            {},
            r"class 03/1.png has more than 8 bits a pixel \(mode I;16\)",
        ),
        (empty_class, {}, "class 99 holds no image; it must be a class, a folder of its images"),
        (lambda root: None, {"path": "nowhere"}, "there is no folder .*/nowhere or nowhere; give the folder"),
        (lambda root: None, {"path": "class 00"}, "class 00 has no classes for 'train'; each class is a folder"),
        (lambda root: None, {"channels": 2}, "channels is 2 and size None; the one must be 1 or 3"),
        (lambda root: None, {"size": 0}, "channels is 3 and size 0; .* the other 1 or more"),
        (lambda root: None, {"size": "84"}, "the data set 'folder': size: is '84'; it must be a whole number"),
        (lambda root: None, {"sizes": 84}, "the data set 'folder': sizes: is not a setting here; did you mean 'size'"),
        (lambda root: None, {"shares": (0.5, 0.5)}, "three numbers for train, val, test"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said_in_one_line(tmp_path, change, options, line):
    fill(tmp_path)
    change(tmp_path)
    with pytest.raises(RobustMetaError, match=line) as caught:
        load("folder", "train", tmp_path, **{"shares": (1, 0, 0), **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("folders", "split", "options", "line"),
    [
        (["train/ant", "test/bee", "test/ant"], "test", {}, "the class 'ant' in both test and train; few-shot splits"),
        (["train/ant", "test/bee"], "val", {}, "has the folders test, train, but not 'val'; add it"),
        (["train/ant", "test/bee"], "train", {"shares": (1, 0, 0)}, "is divided into test, train already; leave out"),
        (["train/ant", "docs/bee"], "train", {"shares": (1, 0, 0)}, "train, val, test; here also 'docs': rename"),
        (["train/ant", "valid/bee"], "train", {}, "split folders are train, val, test; here also 'valid': rename"),
        (["train/ant", "Test/bee"], "train", {}, "split folders are train, val, test; here also 'Test': rename"),
        (["Train/ant", "Test/bee"], "train", {}, "here also 'Test', 'Train': rename or move it"),
    ],
)
def test_what_is_wrong_with_folders_of_splits_is_said(tmp_path, folders, split, options, line):
    for name in folders:
        fill((tmp_path / name).parent, [Path(name).name])
    with pytest.raises(RobustMetaError, match=line):
        load("folder", split, tmp_path, **options)


def test_the_path_is_under_the_root_or_else_from_here(tmp_path, monkeypatch):
    there, here = fill(tmp_path / "root" / "mine", ["ant"]).parent, fill(tmp_path / "mine", ["bee"]).parent
    monkeypatch.chdir(here)
    taken = {"ways": 2, "shots": 1, "queries": 1, "shares": [1, 0, 0], "channels": 1}
    one = {"split": "train", "shares": (1.0, 0.0, 0.0)}
    assert load("folder", root=there, path="mine", **one).labels == ("ant",)
    assert load("folder", path="mine", **one).labels == ("bee",)
    assert load("folder", root=there, path=str(here / "mine"), **one).labels == ("bee",)
    monkeypatch.setenv("HOME", str(here))
    assert load("folder", root=there, path="~/mine", **one).labels == ("bee",)
    for elsewhere, each in (("a", 3), ("b", 4)):  # the same words at another place are other images
        fill(tmp_path / elsewhere / "own", ["ant", "bee"], each)
        monkeypatch.chdir(tmp_path / elsewhere)
        tasks = Episodes("folder", path="own", **taken)
        assert (tasks.name, tasks.image_shape, tasks.counts.tolist()) == ("folder/train", (1, 8, 8), [each, each])
        monkeypatch.chdir(here)
    assert Episodes("folder", root=tmp_path / "a" / "own", **taken).counts.tolist() == [3, 3]


RECIPE = """
name: own
dataset: {{name: folder, path: {path}, size: 16, channels: 1, shares: [0.4, 0.3, 0.3]}}
test: {{ways: 3, shots: 1, queries: 2, episodes: 3}}
attacks: [fgsm]
curve: {{attack: fgsm, eps: [0.1], episodes: 2}}
backbone: {{name: conv4, width: 8}}
training: {{ways: 3, shots: 1, queries: 2, tasks: 1, steps: 1}}
rows: [{{learner: {{name: protonet}}}}]
"""


def test_a_recipe_takes_a_folder_and_its_errors_have_the_line(tmp_path):
    fill(tmp_path / "mine", each=6)
    recipe = tmp_path / "own.yaml"
    arguments = ["bench", str(recipe), "--out", str(tmp_path / "out"), "--threads", "1"]
    recipe.write_text(RECIPE.format(path=tmp_path / "mine"))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "folder" in (tmp_path / "out" / "results.csv").read_text()
    recipe.write_text(RECIPE.format(path="mine").replace("size:", "sise:"))
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert f"{recipe}:3: dataset.sise: is not a setting here; did you mean 'size'?" in result.output
