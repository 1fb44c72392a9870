"""The examples run as they are started by hand, and print their tables."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from robustmeta.data import load

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))

ATTACKED = ["clean", "fgsm", "worst"]
ROWS = {
    "our_learner": [
        ["protonet", defense, attack]
        for defense in ("natural", "aq")
        for attack in ("clean", "fgsm", "pgd-20-margin", "worst")
    ],
    "your_training_loop": [[f"{loss}.loss", attack] for loss in ("learner", "robust") for attack in ATTACKED],
    "your_data": [["arrays"], ["dataset"], ["folder"]],
    "your_attack": [["clean"], ["corners"], ["pgd"], ["worst"]],
    "your_learner": [["functions", defense, attack] for defense in ("natural", "aq") for attack in ATTACKED],
}
"""How the rows of each table begin, in their order, below one line of headings."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen]]:
    """All of them at once: what takes time is to import torch."""
    for split in ("train", "val", "test"):
        load("glyphs", split)  # drawn into the cache, which they read
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"}
    settings = {**settings, "HOME": str(tmp_path_factory.mktemp("home"))}
    processes = {
        name: subprocess.Popen(
            [sys.executable, f"examples/{name}.py"],
            cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in EXAMPLES
    }  # fmt: skip
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.fixture
def printed(started: dict[str, subprocess.Popen], request: pytest.FixtureRequest) -> list[list[str]]:
    """The words of each line that an example prints."""
    process = started[request.param]
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return [line.split() for line in out.splitlines()]


@pytest.mark.parametrize(("name", "printed"), [(name, name) for name in EXAMPLES], indirect=["printed"])
def test_an_example_runs_and_prints_its_table(name, printed):
    headings, *rows = printed
    assert rows
    assert {len(row) for row in rows} == {len(headings)}
    begin = ROWS.get(name, [row[:1] for row in rows])  # of an example that is not known here yet, whatever it prints
    assert [row[: len(words)] for row, words in zip(rows, begin, strict=True)] == begin
    if name == "your_data":
        assert rows[0][1:] == rows[1][1:] == rows[2][1:]


def test_each_way_in_has_an_example_and_each_is_short():
    assert set(ROWS) <= set(EXAMPLES)
    for name in EXAMPLES:
        lines = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 50, name
        assert any(f"python examples/{name}.py" in line for line in lines)
