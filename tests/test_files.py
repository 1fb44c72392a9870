"""Files appear whole or not at all, and a folder belongs to one run at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from robustmeta.errors import RobustMetaError
from robustmeta.files import locked_folder, whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_its_block_ends_and_not_before(tmp_path) -> None:
    target = tmp_path / "new" / "folder" / "a.csv"
    with whole_file(target) as part:
        part.write_text("half")
        assert not target.exists()
        assert part.parent == target.parent
        assert part.suffix == ".csv"
    assert target.read_text() == "half"
    assert names(target.parent) == ["a.csv"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path, error) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")

    def write() -> None:
        with whole_file(target) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.csv"]


def test_a_kill_leaves_the_old_file(tmp_path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")
    code = f"""
import os, signal
from robustmeta.files import whole_file
with whole_file({str(target)!r}) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert target.read_text() == "old"
    with whole_file(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"


@pytest.mark.parametrize("where", ["file/a.csv", "file/deeper/a.csv", "folder", "x" * 300])
def test_where_nothing_can_be_written_one_line_says_so(tmp_path, where) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with (
        pytest.raises(RobustMetaError, match=r"cannot write .*; choose a writable folder") as error,
        whole_file(tmp_path / where) as part,
    ):
        part.write_text("new")
    assert "\n" not in str(error.value)
    assert str(tmp_path / where) in str(error.value)
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_folder_without_permission_is_refused(tmp_path, mode) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(mode)
    try:
        with (
            pytest.raises(RobustMetaError, match=r"cannot write .*Permission denied"),
            whole_file(closed / "a") as part,
        ):
            part.write_text("new")
        with pytest.raises(RobustMetaError, match=r"cannot write .*Permission denied"), locked_folder(closed):
            pass
    finally:
        closed.chmod(0o700)


def test_a_held_folder_is_refused_and_free_again_afterwards(tmp_path) -> None:
    folder = tmp_path / "new" / "run"
    with locked_folder(folder):
        with pytest.raises(RobustMetaError, match="run is in use by another run; wait for it"), locked_folder(folder):
            pass
        with pytest.raises(RobustMetaError), locked_folder(folder):  # the first refusal freed nothing
            pass
    with locked_folder(folder):
        pass
    with pytest.raises(KeyError), locked_folder(folder):
        raise KeyError
    with locked_folder(folder):
        pass


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from robustmeta.files import locked_folder
with locked_folder(Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    with locked_folder(tmp_path):
        pass


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "run").write_text("a file")
    with (
        pytest.raises(RobustMetaError, match=r"cannot write .*choose a writable folder"),
        locked_folder(tmp_path / "run"),
    ):
        pass
