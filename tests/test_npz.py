"""Archives of arrays: read whole, or told to be damaged in one line whatever the bytes."""

import zipfile

import numpy as np
import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.npz import read_npz


def test_what_is_made_of_the_arrays_is_returned(tmp_path) -> None:
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.float32(2))
    assert read_npz(tmp_path / "a.npz", lambda arrays: float(arrays["x"].sum() * arrays["y"]), "get it anew") == 6


def test_two_changed_bytes_anywhere_are_an_error_of_one_line_or_nothing(tmp_path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(40) % 7, name=np.array("pgd"))
    whole, told = path.read_bytes(), []
    for at in range(len(whole) - 1):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55, whole[at + 1] ^ 0xFF]) + whole[at + 2 :])
        try:
            read_npz(path, lambda arrays: [arrays["x"], arrays["name"]], "get it anew")
        except RobustMetaError as error:
            told.append(str(error))
    assert len(told) > len(whole) / 2
    assert set(told) == {f"{path} is damaged; get it anew"}


def test_other_files_and_arrays_are_told_and_own_errors_go_through(tmp_path) -> None:
    path = tmp_path / "a.npz"

    def said(make) -> str:
        with pytest.raises(RobustMetaError) as caught:
            read_npz(path, make, "get it anew")
        return str(caught.value)

    assert said(dict) == f"{path} is damaged; get it anew"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert said(dict) == f"{path} is damaged; get it anew"
    np.savez(path, x=np.array([{}], dtype=object))
    assert said(dict) == f"{path} is damaged; get it anew"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"no array")
    assert "x" not in said(lambda arrays: arrays["x"].sum()).replace(str(path), "")

    def own(arrays) -> None:
        raise RobustMetaError("of other attacks")

    assert said(own) == "of other attacks"
