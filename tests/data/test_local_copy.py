"""miniImageNet and tieredImageNet from tiny copies in every layout that people have, and what is refused of them."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robustmeta.data import load, mini_imagenet, tiered_imagenet
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError

COUNTS = {"train": 4, "val": 2, "test": 3}
NAMES = {"train": ["n04", "n01", "n03", "n02"], "val": ["n12", "n11"], "test": ["n22", "n23", "n21"]}
EACH = 3
ALIAS = {"train": "train", "val": "validation", "test": "test"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    for module in (mini_imagenet, tiered_imagenet):
        monkeypatch.setattr(module, "CLASSES", COUNTS)
    monkeypatch.setattr(mini_imagenet, "EACH", EACH)


def pixels(split: str, side: int = 84) -> np.ndarray:
    """`[classes, EACH, side, side, 3]`, the classes as in `NAMES`."""
    seed = list(NAMES).index(split)
    return np.random.default_rng(seed).integers(0, 256, (COUNTS[split], EACH, side, side, 3), dtype=np.uint8)


def expected(split: str) -> torch.Tensor:
    """The images of a split by the alphabet of their classes, as uint8 [M, 3, 84, 84]."""
    order = np.argsort(NAMES[split])
    return torch.from_numpy(pixels(split)[order].reshape(-1, 84, 84, 3).transpose(0, 3, 1, 2).copy())


def png(image: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "png")
    return held.getvalue()


def dump(path: Path, value: object, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(value, protocol))


def cache(where: Path, split: str, alias=ALIAS, protocol: int = 2) -> None:
    """As learn2learn and torchmeta have it: the classes shuffled over the rows."""
    rows = np.random.default_rng(0).permutation(COUNTS[split] * EACH)
    place = {name: np.sort(rows[i * EACH :][:EACH]) for i, name in enumerate(NAMES[split])}
    data = np.empty((len(rows), 84, 84, 3), np.uint8)
    for name, images in zip(NAMES[split], pixels(split), strict=True):
        data[place[name]] = images
    lists = {name: list(map(int, at)) for name, at in place.items()}
    dump(where / f"mini-imagenet-cache-{alias[split]}.pkl", {"image_data": data, "class_dict": lists}, protocol)


def category(where: Path, split: str) -> None:
    """As MetaOptNet has it."""
    labels = np.arange(COUNTS[split]).repeat(EACH)
    names = {name: 64 + i for i, name in enumerate(NAMES[split])}
    data = {"data": pixels(split).reshape(-1, 84, 84, 3), "labels": (64 + labels).tolist(), "catname2label": names}
    phase = f"miniImageNet_category_split_{split}{'_phase_train' if split == 'train' else ''}.pickle"
    dump(where / phase, data)


def listed(where: Path, split: str, inside: str = "images", by_label: bool = False) -> None:
    """As Ravi and Larochelle have it."""
    lines = ["filename,label"]
    for i in range(EACH):
        for name, images in zip(NAMES[split], pixels(split), strict=True):
            at = where / inside / (name if by_label else "") / f"{name}0000000{i}.png"
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(png(images[i]))
            lines.append(f"{at.name},{name}")
    (where / f"{split}.csv").write_text("\r\n".join(lines) + "\r\n")


def folders(where: Path, split: str, alias=ALIAS) -> None:
    for name, images in zip(NAMES[split], pixels(split), strict=True):
        (where / alias[split] / name).mkdir(parents=True)
        for i, image in enumerate(images):
            (where / alias[split] / name / f"{i}.png").write_bytes(png(image))


def labels(where: Path, split: str, extra: bool = True) -> None:
    numbers = np.arange(COUNTS[split], dtype=np.int32).repeat(EACH)
    more = {"label_general": numbers // 2, "label_specific_str": NAMES[split], "label_general_str": ["a", "b"]}
    dump(where / f"{split}_labels.pkl", {"label_specific": numbers, **more} if extra else {"labels": numbers.tolist()})


def pngs(where: Path, split: str) -> None:
    """As Ren and others have it: arrays of the bytes of PNG files, [n, 1] as OpenCV makes them."""
    every = pixels(split).reshape(-1, 84, 84, 3)
    dump(where / f"{split}_images_png.pkl", [np.frombuffer(png(image), np.uint8)[:, None] for image in every])
    labels(where, split)


def npz(where: Path, split: str) -> None:
    """As their program unpacks it, with OpenCV's order of the channels."""
    where.mkdir(parents=True, exist_ok=True)
    np.savez(where / f"{split}_images.npz", images=pixels(split).reshape(-1, 84, 84, 3)[..., ::-1])
    labels(where, split)


LAYOUTS = {
    "cache": ("mini_imagenet", "mini-imagenet", cache),
    "cache of protocol 4": ("mini_imagenet", "MiniImagenet", lambda *to: cache(*to, protocol=4)),
    "cache called val": ("mini_imagenet", "miniimagenet", lambda *to: cache(*to, {split: split for split in ALIAS})),
    "category": ("mini_imagenet", "miniImageNet", category),
    "listed": ("mini_imagenet", "mini_imagenet", listed),
    "listed by label": ("mini_imagenet", "mini-imagenet", lambda *to: listed(*to, by_label=True)),
    "listed beside": ("mini_imagenet", ".", lambda *to: listed(*to, inside=".")),
    "folders": ("mini_imagenet", "Mini-ImageNet", folders),
    "folders of tiered": ("tiered_imagenet", "tiered_imagenet", lambda *to: folders(*to, {s: s for s in ALIAS})),
    "pngs": ("tiered_imagenet", "tiered-imagenet", pngs),
    "npz": ("tiered_imagenet", "tieredImageNet", npz),
}


@pytest.mark.parametrize(("name", "where", "write"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_the_same_images_in_the_order_of_their_classes(tmp_path, name, where, write):
    for split in COUNTS:
        write(tmp_path / where, split)
    for split in COUNTS:
        made = load(name, split, tmp_path)
        assert made.name == f"{name}/{split}"
        assert made.labels == tuple(sorted(NAMES[split]))
        assert made.counts == (EACH,) * COUNTS[split]
        assert torch.equal(made.images, expected(split))


def test_labels_without_names_are_numbers_and_sort_as_they(tmp_path, monkeypatch):
    monkeypatch.setattr(tiered_imagenet, "CLASSES", {"train": 12})
    images = np.arange(12, dtype=np.uint8)[::-1].reshape(-1, 1, 1, 1).repeat(84, 1).repeat(84, 2).repeat(3, 3)
    np.savez(tmp_path / "train_images.npz", images=20 * images)
    dump(tmp_path / "train_labels.pkl", {"labels": list(range(12))[::-1]})
    made = load("tiered_imagenet", "train", tmp_path)
    assert made.labels == tuple(f"{number:04d}" for number in range(12))
    assert made.images[:, 0, 0, 0].tolist() == [20 * number for number in range(12)]


def test_two_classes_of_one_name_stay_two(tmp_path):
    """As the bird and the machine that ImageNet calls crane."""
    np.savez(tmp_path / "val_images.npz", images=np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(3, 3) * 9)
    dump(
        tmp_path / "val_labels.pkl",
        {"label_specific": np.array([1, 0, 1, 0]), "label_specific_str": ["crane", "crane"]},
    )
    made = load("tiered_imagenet", "val", tmp_path, size=1)
    assert made.labels == ("crane #0", "crane #1")
    assert made.images[:, 0, 0, 0].tolist() == [9, 27, 0, 18]


def test_other_sizes_are_cut_square_and_resized(tmp_path):
    (tmp_path / "test" / "a").mkdir(parents=True)
    for name in ("b", "c"):
        (tmp_path / "test" / name).mkdir()
        for number in range(EACH):
            Image.new("L", (9, 9), 200).save(tmp_path / "test" / name / f"{number}.png")  # grey becomes colours
    wide = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for number in range(EACH):
        Image.fromarray(wide).save(tmp_path / "test" / "a" / f"{number}.png")
    made = load("mini_imagenet", "test", tmp_path, size=20).images.numpy()
    truth = Image.fromarray(wide[:, 10:50].copy()).resize((20, 20), Image.Resampling.LANCZOS)
    assert np.array_equal(made[0], np.asarray(truth).transpose(2, 0, 1))
    assert (made[EACH:] == 200).all()
    assert made.shape == (3 * EACH, 3, 20, 20)


def test_a_path_is_taken_from_the_root_and_from_the_current_folder(tmp_path, monkeypatch):
    cache(tmp_path / "mine", "test")
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path, tmp_path / "elsewhere"):
        tasks = Episodes("mini_imagenet", "test", ways=3, shots=1, queries=2, root=root, path="mine", size=16)
        assert tasks[0].query_x.shape == (1, 6, 3, 16, 16)


def test_a_copy_that_is_not_there_is_told_with_all_that_was_looked_for(tmp_path):
    with pytest.raises(RobustMetaError) as caught:
        load("mini_imagenet", "val", tmp_path)
    assert str(caught.value) == (
        f"there is no copy of mini_imagenet with a split val in {tmp_path / 'mini-imagenet'} or {tmp_path}, and it is "
        "not downloaded; put *cache-val.pkl, *category_split_val.pickle, val_images_png.pkl or val_images.npz with "
        "val_labels.pkl, val.csv with images/, val/CLASS/*.jpg there, or give the folder as path"
    )
    cache(tmp_path, "train")
    with pytest.raises(RobustMetaError, match="there is no copy of mini_imagenet with a split test"):
        load("mini_imagenet", "test", tmp_path)


class Evil:
    def __reduce__(self):
        return print, ("evil",)


def saved(save, *arrays, **named) -> bytes:
    held = io.BytesIO()
    save(held, *arrays, **named)
    return held.getvalue()


IMAGES = np.zeros((9, 84, 84, 3), np.uint8)
CATEGORY = "mini_category_split_test.pickle"
BYTES = np.frombuffer(png(IMAGES[0]), np.uint8)


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({CATEGORY: {"data": IMAGES, "labels": [0] * 9}}, "has 1 classes for test, and mini_imagenet has 3"),
        ({CATEGORY: {"data": IMAGES, "labels": list(range(8))}}, "has 9 images for 8 labels"),
        ({CATEGORY: {"data": IMAGES.astype(float), "labels": list(range(9))}}, "images float64 .* must be uint8"),
        ({CATEGORY: {"data": IMAGES[..., 0], "labels": list(range(9))}}, r"images uint8 \[9, 84, 84\]"),
        ({CATEGORY: {"labels": list(range(9))}}, "has a NoneType of images"),
        ({CATEGORY: {"data": [[1], [2, 3]], "labels": [0, 1]}}, "has a list of images; they must be an array"),
        ({CATEGORY: {"data": IMAGES}}, "has no label for each image .KeyError: 'labels'"),
        ({CATEGORY: {"data": IMAGES, "labels": ["a"]}}, "has no label for each image .TypeError"),
        ({CATEGORY: {"data": IMAGES, "labels": [3.9] * 9}}, "has no label for each image .TypeError"),
        (
            {CATEGORY: {"data": IMAGES, "labels": [0] * 8 + [-1]}},
            "has no label for each image .ValueError: -1 is below",
        ),
        (
            {
                "test_images_png.pkl": [],
                "test_labels.pkl": {"label_specific": [0, -1], "label_specific_str": ["a", "b"]},
            },
            "has no label for each image .ValueError: -1 is below 0",
        ),
        (
            {CATEGORY: {"data": IMAGES, "labels": [0, 1, 2, 0, 1, 2, 0, 1, 1]}},
            "4 images of '0001', and .* has 3 a class",
        ),
        ({CATEGORY: [IMAGES]}, "holds a list; it must hold a dictionary"),
        ({CATEGORY: Evil()}, r"is a pickle that names (builtins|__builtin__)\.print"),
        (
            {"test.pkl": {"image_data": IMAGES, "class_dict": {"a": [0, 1], "b": [3]}}},
            "no label for each image .KeyError",
        ),
        ({"test.pkl": {"image_data": IMAGES, "class_dict": [1]}}, "no label for each image .AttributeError"),
        ({"test_images_png.pkl": [], "test_labels.pkl": {"labels": [0]}}, "has 0 images for 1 labels"),
        ({"test_images_png.pkl": {}, "test_labels.pkl": {"labels": [0]}}, "must be a list of PNG files"),
        (
            {"test_images_png.pkl": [BYTES, BYTES, "a"] * EACH, "test_labels.pkl": {"labels": [0, 1, 2] * EACH}},
            "has the str 2; each must be the bytes of a PNG file",
        ),
        (
            {
                "test_images_png.pkl": [BYTES, BYTES, BYTES[:50]] * EACH,
                "test_labels.pkl": {"labels": [0, 1, 2] * EACH},
            },
            "cannot read the image 2 of .*test_images_png.pkl",
        ),
        (
            {"test_images.npz": b"no", "test_labels.pkl": {"labels": [0]}},
            r"test_images.npz is damaged; it must hold the",
        ),
        ({"test_images.npz": saved(np.save, IMAGES), "test_labels.pkl": {"labels": [0]}}, "test_images.npz is damaged"),
        ({"test_images.npz": saved(np.savez, IMAGES), "test_labels.pkl": {"labels": [0]}}, "npz is damaged; .* images"),
        (
            {"test_images.npz": saved(np.savez, images=np.uint8(3)), "test_labels.pkl": {"labels": [0]}},
            r"test_images.npz has images uint8 \[\]; they must be",
        ),
        ({"mini-imagenet-cache-test.pkl/a": b""}, "there is no copy of mini_imagenet with a split test"),
        ({"test.csv": b"label,filename\nn1\n"}, "test.csv has the row 1 without a filename or a label"),
        ({"test.csv": b"filename,label\nn1\n"}, "test.csv has the row 1 without a filename or a label"),
        ({"test.csv": b"name,class\na,b\n"}, "its first line must be filename,label"),
        ({"test.csv": b"filename,label\na.jpg,n1\n"}, "lists a.jpg, which is not in .*images, nor in its folder n1"),
        ({"test/n1/readme.txt": b""}, "n1 holds no image"),
    ],
)
def test_what_is_no_copy_is_refused_in_one_line(tmp_path, files, line):
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        else:
            dump(tmp_path / name, content)
    with pytest.raises(RobustMetaError, match=line) as caught:
        load("mini_imagenet", "test", tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_size_below_one_is_refused(tmp_path):
    with pytest.raises(RobustMetaError, match="size is 0; it must be 1 or more"):
        load("tiered_imagenet", "val", tmp_path, size=0)


def test_the_numbers_of_classes_are_those_of_the_papers(monkeypatch):
    monkeypatch.undo()
    assert mini_imagenet.CLASSES == {"train": 64, "val": 16, "test": 20}
    assert tiered_imagenet.CLASSES == {"train": 351, "val": 97, "test": 160}
    assert sum(tiered_imagenet.CLASSES.values()) == 608
    assert mini_imagenet.EACH == 600


def test_classes_by_their_number_in_wordnet_are_known_as_those_of_imagenet(tmp_path, monkeypatch):
    monkeypatch.setitem(NAMES, "test", ["n01532829", "n22", "n02110341"])
    folders(tmp_path, "test")
    for name in ("mini_imagenet", "tiered_imagenet"):
        assert load(name, "test", tmp_path, size=4).known_as == ("imagenet/n01532829", "imagenet/n02110341", "")


def test_a_file_that_may_not_be_read_is_told_in_one_line(tmp_path, monkeypatch):
    cache(tmp_path, "test")

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RobustMetaError, match=r"cannot read .*cache-test.pkl .Permission denied.; make it readable"):
        load("mini_imagenet", "test", tmp_path)
