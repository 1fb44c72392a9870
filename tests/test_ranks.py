"""Processes that `torchrun` started: the rows of one process, and how a job ends when one of them does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from robustmeta import ranks
from robustmeta.checkpoint import Checkpoint
from robustmeta.cli import main
from robustmeta.errors import RobustMetaError
from robustmeta.ranks import ALONE, GONE, Ranks, Terminated, _said_once, cores_of, device_of, joined

RECIPE = """
name: ranks
dataset: {name: glyphs}
test: {ways: 3, shots: 1, queries: 9, episodes: 22, seed: 1}
attacks: [pgd-20]
curve: {attack: fgsm, eps: [0.1], episodes: 12}
backbone: {name: conv4, width: 4, norm: support}
training: {ways: 3, shots: 1, queries: 2, tasks: 3, chunk: 1, steps: 4}
rows:
  - learner: {name: maml, steps: 1, inner_lr: 0.1}
    defense: {name: aq, attack: fgsm}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "ranks.yaml"
    path.write_text(RECIPE)
    return path


def torchrun(*arguments: object) -> subprocess.Popen[str]:
    """A job of two processes."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "robustmeta", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def alone(*arguments: object) -> None:
    result = CliRunner().invoke(main, [*map(str, arguments), "--threads", "1"])
    assert result.exit_code == 0, result.output


def assert_same_rows(left: Path, right: Path) -> None:
    for name in ("results.csv", "episodes.csv", "curve.csv", "audit.csv"):
        frames = [pd.read_csv(folder / name).drop(columns="seconds", errors="ignore") for folder in (left, right)]
        pd.testing.assert_frame_equal(*frames, check_exact=True)


@pytest.fixture(scope="module")
def together(recipe, tmp_path_factory) -> tuple[Path, str, str]:
    """The folder of a benchmark by two processes, and what they said."""
    out = tmp_path_factory.mktemp("together") / "out"
    process = torchrun("bench", recipe, "--out", out)
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    return out, said, errors


@pytest.fixture(scope="module")
def by_one(recipe, together, tmp_path_factory) -> Path:
    """The folder of a benchmark of the same trained learner by one process."""
    out = tmp_path_factory.mktemp("by_one")
    shutil.copytree(together[0] / "checkpoints", out / "checkpoints")
    alone("bench", recipe, "--out", out)
    return out


def test_two_processes_train_the_weights_of_one_within_rounding(recipe, together, tmp_path) -> None:
    alone("train", recipe, "--out", tmp_path)
    one, two = (Checkpoint.load(folder / "checkpoints" / "maml-aq.pt") for folder in (tmp_path, together[0]))
    assert (one.step, one.recipe) == (two.step, two.recipe)
    for name, weight in one.weights.items():
        torch.testing.assert_close(two.weights[name], weight, rtol=1e-4, atol=1e-6)
    assert [entry["loss"] for entry in one.log] == pytest.approx([entry["loss"] for entry in two.log], rel=1e-4)


def test_two_processes_measure_the_rows_of_one_and_the_first_alone_speaks(together, by_one) -> None:
    out, said, errors = together
    assert_same_rows(out, by_one)
    assert said.count("maml / aq") == 1
    assert errors.count("done: maml-aq") == 1
    assert not list(out.rglob("*.part*"))


def test_a_killed_process_ends_the_job_in_one_line_and_another_number_goes_on(recipe, by_one, tmp_path) -> None:
    shutil.copytree(by_one / "checkpoints", tmp_path / "checkpoints")
    process = torchrun("bench", recipe, "--out", tmp_path)
    while not list(tmp_path.glob("progress/*.npz")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.005)
    os.kill(second_of(process.pid), signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode != 0
    assert [line for line in errors.splitlines() if line.startswith("robustmeta: ")] == [f"robustmeta: error: {GONE}"]
    assert not (tmp_path / "results.csv").exists()
    alone("bench", recipe, "--out", tmp_path)
    assert_same_rows(tmp_path, by_one)


def second_of(launcher: int) -> int:
    """The process id of rank 1."""
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        if b"RANK=1" in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise AssertionError("the launcher has no second process")


def test_without_a_launcher_a_process_is_the_only_one(monkeypatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with joined("cpu") as (own, device):
        assert (own, device) == (ALONE, "cpu")
        assert own.first
        assert own.gathered("a") == ["a"]
        assert own.shared(lambda: "b") == "b"
        assert torch.equal(own.total(torch.ones(2)), torch.ones(2))
        own.wait()
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with joined("cpu") as (own, _):
        assert own is ALONE
    assert not torch.distributed.is_initialized()


def test_the_processes_of_a_machine_share_its_cores(monkeypatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert cores_of(6) == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert [cores_of(usable) for usable in (2, 6, 9)] == [1, 1, 2]


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (device_of("auto"), device_of("cpu", 1)) == ("cpu", "cpu")
    with pytest.raises(RobustMetaError, match="no CUDA device is available to torch; use --device cpu"):
        device_of("cuda", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert (device_of("auto"), device_of("cuda", 1), device_of("cpu", 5)) == ("cuda", "cuda:1", "cpu")
    with pytest.raises(RobustMetaError, match=r"process 2 of this machine has no GPU .* use --nproc-per-node 2"):
        device_of("auto", 2)


class Store:
    """Counts, as the launcher's does; with `gone`, it went with the process that kept it."""

    def __init__(self, gone: bool = False) -> None:
        self.said, self.gone = 0, gone

    def add(self, key: str, number: int) -> int:
        if self.gone:
            raise RuntimeError("failed to recv, got 0 bytes")
        self.said += number
        return self.said


@pytest.fixture
def signals():
    """Puts the handlers back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("error", [RobustMetaError("lower lr"), KeyboardInterrupt(), Terminated()])
@pytest.mark.usefixtures("signals")
def test_what_ends_a_job_is_said_by_one_of_its_processes(error) -> None:
    store = Store()
    expected = RobustMetaError if isinstance(error, Terminated) else type(error)
    with pytest.raises(expected) as said, _said_once(store):
        raise error
    assert str(said.value) == (GONE if isinstance(error, Terminated) else str(error))
    with pytest.raises(SystemExit) as left, _said_once(store):
        raise error
    assert left.value.code == 2
    with pytest.raises(expected), _said_once(Store(gone=True)):
        raise error


@pytest.mark.usefixtures("signals")
def test_the_launchers_request_to_end_is_answered_in_one_line() -> None:
    with pytest.raises(RobustMetaError, match=GONE), _said_once(Store()):
        signal.raise_signal(signal.SIGTERM)


@pytest.mark.usefixtures("signals")
def test_a_job_that_ends_well_leaves_the_handlers_as_they_were() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with _said_once(Store()):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_transport_that_fails_means_that_a_process_has_ended(monkeypatch) -> None:
    said = "[gloo/transport/tcp/pair.cc:537] Connection closed by peer [127.0.0.1]:33501"

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    for name in ("all_reduce", "all_gather_object", "broadcast_object_list"):
        monkeypatch.setattr(ranks.distributed, name, fails)
    two = Ranks(0, 2)
    for call in (two.wait, lambda: two.gathered(1), lambda: two.shared(lambda: 1), lambda: two.total(torch.ones(1))):
        with pytest.raises(RobustMetaError, match=f"^{GONE}$"):
            call()
    said = "CUDA out of memory"
    with pytest.raises(RuntimeError, match="CUDA out of memory"):  # not the other's fault
        two.wait()
