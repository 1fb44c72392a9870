"""A benchmark killed at any moment, given again, ends with the rows of one that was never killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

RECIPE = """
name: killed
dataset: {name: glyphs}
test: {ways: 3, shots: 1, queries: 2, episodes: 60, seed: 1}
attacks: [fgsm]
curve: {attack: fgsm, eps: [0.0, 0.1], episodes: 4}
backbone: {name: conv4, width: 4}
training: {ways: 3, shots: 1, queries: 2, tasks: 2, steps: 16}
rows:
  - learner: {name: protonet}
    defense: {name: aq, attack: fgsm}
  - learner: {name: maml, steps: 1, inner_lr: 0.1}
    backbone: {norm: support}
"""


def start(recipe: Path, out: Path, threads: int) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "robustmeta",
        "bench",
        recipe,
        "--out",
        out,
        "--threads",
        threads,
        "--save-every",
        0,
    ]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()


def wait_for(there, process: subprocess.Popen[bytes]) -> None:
    while not there():
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a run that was never killed."""
    folder = tmp_path_factory.mktemp("whole")
    recipe = folder / "killed.yaml"
    recipe.write_text(RECIPE)
    finish(start(recipe, folder / "out", 2))
    return folder / "out"


@pytest.mark.parametrize(
    ("threads", "moment"), [(1, "checkpoints/maml-*.pt"), (2, "checkpoints/*.pt"), (1, "progress/maml-*-attack-*.npz")]
)
def test_killed_then_resumed_equals_uninterrupted(threads, moment, whole, tmp_path):
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE)
    out = tmp_path / "killed"
    process = start(recipe, out, threads)
    wait_for(lambda: any(out.glob(moment)), process)
    os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers must notice and end by themselves
    process.communicate()
    assert not (out / "results.csv").exists()
    (out / ".results.1.part.csv").write_text("of a process killed while it wrote")
    finish(start(recipe, out, threads))
    for name in ("results.csv", "episodes.csv", "curve.csv"):
        frames = [pd.read_csv(folder / name) for folder in (out, whole)]
        left, right = (frame.drop(columns="seconds", errors="ignore") for frame in frames)
        pd.testing.assert_frame_equal(left, right)
    assert not list(out.rglob("*.part*"))


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(tmp_path):
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(RECIPE.replace("steps: 16", "steps: 100000"))
    first = start(recipe, tmp_path / "out", 1)
    try:
        wait_for(lambda: any((tmp_path / "out").glob("checkpoints/*.pt")), first)
        second = start(recipe, tmp_path / "out", 1)
        _, errors = second.communicate()
        assert second.returncode == 2
        assert "is in use by another run" in errors.decode()
    finally:
        first.kill()
        first.communicate()
