import numpy as np
import pytest

from robustmeta.data.cache import cached


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return {"images": np.arange(12, dtype=np.uint8).reshape(3, 4), "names": np.array(["a", "bc"])}


def test_the_second_call_reads_what_the_first_made(cache):
    make = Maker()
    first, second = cached("toy", make), cached("toy", make)
    assert make.calls == 1
    assert sorted(first) == sorted(second) == ["images", "names"]
    assert all((first[key] == second[key]).all() and first[key].dtype == second[key].dtype for key in first)
    assert [path.name for path in cache.iterdir()] == ["toy-v1.npz"]


@pytest.mark.parametrize("damage", [b"", b"not an archive", "half", "flipped"])
def test_a_damaged_file_is_made_again(cache, damage):
    make = Maker()
    cached("toy", make)
    path = cache / "toy-v1.npz"
    whole = path.read_bytes()
    middle = whole.index(bytes(range(12)))
    flipped = whole[:middle] + b"\xff" + whole[middle + 1 :]
    path.write_bytes({"half": whole[: len(whole) // 2], "flipped": flipped}.get(damage, damage))
    assert (cached("toy", make)["images"] == make()["images"]).all()
    assert make.calls == 3
    cached("toy", make)
    assert make.calls == 3


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ROBUSTMETA_CACHE", str(tmp_path / "file" / "cache"))
    make = Maker()
    assert cached("toy", make).keys() == cached("toy", make).keys() == {"images", "names"}
    assert make.calls == 2


def test_an_error_of_the_maker_reaches_the_caller(cache):
    with pytest.raises(ZeroDivisionError):
        cached("toy", lambda: {"x": np.array(1 // 0)})
    assert not cache.exists()
