import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from robustmeta.data import load, omniglot
from robustmeta.errors import RobustMetaError

NAMES = tuple(omniglot.MD5)
REAL = (Path(__file__).parents[3] / "shared" / "data", Path(os.environ.get("ROBUSTMETA_DATA") or "."))
ALPHABETS = {NAMES[0]: ("Greek", "Latin", "Tagalog"), NAMES[1]: ("Oriya", "Tengwar")}


def drawing(index: int) -> Image.Image:
    """Ink, which Omniglot stores as 0, in a 21 x 21 square of a 5 x 5 grid: five pixels of the small image wide."""
    pixels = np.full((105, 105), 255, dtype=np.uint8)
    row, column = divmod(index % 25, 5)
    pixels[row * 21 : row * 21 + 21, column * 21 : column * 21 + 21] = 0
    return Image.fromarray(pixels).convert("1")


def pack(path: Path, archive: str) -> str:
    """Write a tiny Omniglot archive, 2 characters an alphabet; return the digest of its content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(archive).stem
    members = [
        (f"{folder}/{alphabet}/character{character:02d}/{character:04d}_{number:02d}.png", index)
        for index, (alphabet, character) in enumerate((a, c) for a in ALPHABETS[archive] for c in (1, 2))
        for number in range(1, 21)
    ]
    seen = hashlib.sha256()
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(f"{folder}/", b"")
        packed.writestr("__MACOSX/._junk.png", b"junk")
        for member, index in reversed(members):
            held = io.BytesIO()
            drawing(index).save(held, "png")
            packed.writestr(member, held.getvalue())
    for member, index in sorted(members):
        seen.update(member.encode() + b"\0" + drawing(index).convert("L").tobytes())
    return seen.hexdigest()


@pytest.fixture
def root(tmp_path, monkeypatch):
    for archive in NAMES:
        monkeypatch.setitem(omniglot.CONTENT, archive, pack(tmp_path / "data" / "omniglot" / archive, archive))
    return tmp_path / "data"


def test_an_archive_damaged_inside_a_member_is_refused_in_one_line(root):
    path = root / "omniglot" / NAMES[1]
    with zipfile.ZipFile(path) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
        first = next(entry for entry in packed.infolist() if entry.compress_size > 20)
    content = bytearray(path.read_bytes())
    start = first.header_offset + 30 + len(first.filename)
    for offset in range(start, start + first.compress_size):
        content[offset] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RobustMetaError, match="remove it to have it downloaded") as error:
        load("omniglot", "test", root)
    assert "\n" not in str(error.value)


def test_the_splits_are_by_alphabet(root):
    train, val, test = (load("omniglot", split, root) for split in ("train", "val", "test"))
    assert train.labels == tuple(f"{a}/character{c:02d}" for a in ("Latin", "Tagalog") for c in (1, 2))
    assert val.labels == ("Greek/character01", "Greek/character02")
    assert test.labels == tuple(f"{a}/character{c:02d}" for a in ("Oriya", "Tengwar") for c in (1, 2))
    assert [data.name for data in (train, val, test)] == ["omniglot/train", "omniglot/val", "omniglot/test"]
    for data in (train, val, test):
        assert data.images.shape == (20 * len(data.labels), 1, 28, 28)
        assert data.images.dtype == torch.uint8
        assert data.counts == (20,) * len(data.labels)


def test_ink_is_255_and_edges_are_grey(root):
    image = load("omniglot", "test", root).images[20]  # the second class: the square at row 0, column 1
    rows, columns = (image[0] > 127).nonzero().unbind(1)
    assert (rows.min(), rows.max()) == (0, 5)
    assert abs((columns.float().mean() + 0.5) * 105 / 28 - 31.5) < 2
    assert (image[0, 2, 7:10] >= 250).all()
    assert (image[0, 20:] == 0).all()
    assert len(image.unique()) > 2  # the nearest neighbour would leave two values


def test_rotations_add_classes_to_train_only(root):
    plain, turned = load("omniglot", "train", root), load("omniglot", "train", root, rotations=True)
    assert turned.labels[:4] == plain.labels
    assert turned.labels[4:] == tuple(f"{label}@{d}" for d in (90, 180, 270) for label in plain.labels)
    assert turned.counts == (20,) * 16
    for turns in range(4):
        expected = torch.rot90(plain.images, turns, dims=(2, 3))
        assert torch.equal(turned.images[turns * 80 : turns * 80 + 80], expected)
    for split in ("val", "test"):
        one, other = load("omniglot", split, root), load("omniglot", split, root, rotations=True)
        assert one.labels == other.labels
        assert torch.equal(one.images, other.images)


def test_the_archives_may_lie_in_the_root_itself(root):
    first = load("omniglot", "test", root)
    os.replace(root / "omniglot" / NAMES[1], root / NAMES[1])
    for path in Path(os.environ["ROBUSTMETA_CACHE"]).iterdir():
        path.unlink()
    assert torch.equal(load("omniglot", "test", root).images, first.images)


def test_the_second_load_needs_no_archive(root, tmp_path):
    first = load("omniglot", "test", root)
    assert torch.equal(load("omniglot", "test", tmp_path / "elsewhere").images, first.images)


@pytest.mark.parametrize("size", [0, 100, 3000, -30])
def test_a_truncated_archive_is_named(root, size):
    path = root / "omniglot" / NAMES[1]
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RobustMetaError, match=f"{NAMES[1]}.*remove it") as caught:
        load("omniglot", "test", root)
    assert "\n" not in str(caught.value)


def test_a_damaged_drawing_is_noticed(root):
    path = root / "omniglot" / NAMES[1]
    whole = bytearray(path.read_bytes())
    whole[whole.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(RobustMetaError, match=f"cannot read .*{NAMES[1]}"):
        load("omniglot", "test", root)


def test_a_foreign_archive_is_noticed(root):
    with zipfile.ZipFile(root / "omniglot" / NAMES[1], "w") as packed:
        packed.writestr("holiday.txt", "beach")
    with pytest.raises(RobustMetaError, match=r"does not hold Omniglot's images_evaluation\.zip .*expected"):
        load("omniglot", "test", root)


def test_a_missing_archive_is_downloaded_and_its_checksum_checked(root, tmp_path, monkeypatch):
    served = root / "omniglot" / NAMES[1]
    monkeypatch.setattr(omniglot, "URL", served.parent.as_uri() + "/")
    with pytest.raises(RobustMetaError, match=f"instead of {omniglot.MD5[NAMES[1]]}"):
        load("omniglot", "test", tmp_path / "new")
    assert list((tmp_path / "new" / "omniglot").iterdir()) == []
    monkeypatch.setitem(omniglot.MD5, NAMES[1], hashlib.md5(served.read_bytes()).hexdigest())
    assert len(load("omniglot", "test", tmp_path / "new").labels) == 4
    assert (tmp_path / "new" / "omniglot" / NAMES[1]).read_bytes() == served.read_bytes()


def test_shuffled_characters_of_all_alphabets_are_in_one_split_each(root, monkeypatch):
    """By hand: the order is that of the digests of the names."""
    monkeypatch.setattr(omniglot, "CHARACTERS", {"train": 5, "val": 3, "test": 4})
    every = [f"{alphabet}/character{i:02d}" for names in ALPHABETS.values() for alphabet in names for i in (1, 2)]
    shuffled = sorted(every, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    for split, wanted in (("train", shuffled[:5]), ("val", shuffled[5:8]), ("test", shuffled[8:12])):
        found = load("omniglot", split, root, by="characters")
        assert sorted(found.labels) == sorted(wanted)
        for label, images in zip(found.labels, found.images.split(20), strict=True):
            archive = next(name for name in NAMES if label.split("/")[0] in ALPHABETS[name])
            own = [f"{alphabet}/character{i:02d}" for alphabet in ALPHABETS[archive] for i in (1, 2)]
            row, column = divmod(own.index(label) % 25, 5)
            ink = images[0, 0].float()
            assert ink[int(5.6 * row) : int(5.6 * row) + 5, int(5.6 * column) : int(5.6 * column) + 5].mean() > 128
    turned = load("omniglot", "train", root, by="characters", rotations=True)
    assert len(turned.labels) == 20
    with pytest.raises(RobustMetaError, match=r"unknown division 'character'; did you mean 'characters'\?"):
        load("omniglot", "train", root, by="character")


def test_the_real_archives():
    found = [folder for folder in REAL if (folder / "omniglot" / NAMES[1]).is_file()]
    if not found:
        pytest.skip("the Omniglot archives are not in ../shared/data or $ROBUSTMETA_DATA")
    test = load("omniglot", "test", found[0])
    assert len(test.labels) == 659
    assert len({label.split("/")[0] for label in test.labels}) == 20
    assert test.images.shape == (13180, 1, 28, 28)
    assert 0.05 < test.images.float().mean() / 255 < 0.15
    shuffled = [load("omniglot", split, found[0], by="characters") for split in ("train", "val", "test")]
    assert [len(each.labels) for each in shuffled] == [1100, 100, 423]
    assert len({label for each in shuffled for label in each.labels}) == 1623
