import pytest
import torch

from robustmeta.data import DATASETS, load
from robustmeta.data.classes import ImageClasses
from robustmeta.data.root import cache_folder, data_root
from robustmeta.errors import RobustMetaError


def test_the_built_in_data_sets_are_registered():
    assert {"omniglot", "glyphs", "folder", "cifar_fs", "fc100", "mini_imagenet", "tiered_imagenet"} <= set(DATASETS)


@pytest.mark.parametrize(
    ("name", "split", "options", "line"),
    [
        ("omniglt", "train", {}, "did you mean 'omniglot'"),
        ("omniglot", "tests", {}, "unknown split 'tests'; did you mean 'test'"),
        ("omniglot", "train", {"rotation": True}, "the data set 'omniglot': rotation: .* did you mean 'rotations'"),
        ("omniglot", "train", {"rotations": "no"}, "rotations: is 'no'; it must be true or false"),
        ("glyphs", "train", {"rotations": True}, "rotations: is not a setting here .known: none"),
    ],
)
def test_a_wrong_request_is_one_line(name, split, options, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        load(name, split, **options)
    assert "\n" not in str(caught.value)


def test_the_loader_gets_the_root_and_the_options(monkeypatch, tmp_path):
    asked = []

    def loader(split, root, colour="red"):
        asked.append((split, root, colour))
        return ImageClasses("toy/val", torch.zeros(1, 1, 2, 2, dtype=torch.uint8), (1,), ("a",))

    monkeypatch.setitem(DATASETS._entries, "toy", loader)
    load("toy", "val", tmp_path, colour="blue")
    monkeypatch.setenv("ROBUSTMETA_DATA", str(tmp_path / "env"))
    load("toy", "test")
    assert asked == [("val", tmp_path, "blue"), ("test", tmp_path / "env", "red")]


def test_the_root_is_the_argument_then_the_environment_then_the_cache(monkeypatch, tmp_path):
    assert data_root() == cache_folder()
    monkeypatch.setenv("ROBUSTMETA_DATA", str(tmp_path / "env"))
    assert data_root() == tmp_path / "env"
    assert data_root(tmp_path) == tmp_path


def test_the_cache_follows_xdg_and_then_home(monkeypatch, tmp_path):
    monkeypatch.delenv("ROBUSTMETA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "robustmeta"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "robustmeta"
