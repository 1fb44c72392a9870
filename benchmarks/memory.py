"""The peak memory of one outer step, in a process of its own.

    python -m benchmarks.memory --learner maml --norm support --tasks 4 --contender higher --threads 1

prints two numbers in MiB: the process's peak, and how far the step raised it above what was there before.
"""

import subprocess
import sys
from pathlib import Path

import click
import torch

from benchmarks.contenders import ours_of, peers_of
from benchmarks.setting import Setting, tasks_of


def measured(setting: Setting, contender: str, tasks: int, threads: int, dataset: str, root: str | None) -> list[float]:
    """Peak, and peak above the start, in MiB, of a contender's step in a fresh process."""
    options = {
        "learner": setting.learner,
        "norm": setting.norm,
        "width": setting.width,
        "chunk": setting.chunk,
        "keep": setting.keep,
        "precision": setting.precision,
        "tasks": tasks,
        "contender": contender,
        "threads": threads,
        "dataset": dataset,
        "device": setting.device,
        **({"root": root} if root else {}),
    }
    command = [sys.executable, "-m", "benchmarks.memory"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in finished.stdout.split()]


@click.command()
@click.option("--learner", default="maml")
@click.option("--norm", default="support")
@click.option("--width", default=64)
@click.option("--chunk", default=0)
@click.option("--keep", default="best")
@click.option("--precision", default="float32")
@click.option("--tasks", default=4)
@click.option("--contender", required=True)
@click.option("--threads", default=1)
@click.option("--dataset", default="omniglot")
@click.option("--root", default=None)
@click.option("--device", default="cpu")
def main(
    learner: str,
    norm: str,
    width: int,
    chunk: int,
    keep: str,
    precision: str,
    tasks: int,
    contender: str,
    threads: int,
    dataset: str,
    root: str | None,
    device: str,
) -> None:
    """Print the peak memory of one step."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    setting = Setting(learner, norm, width=width, chunk=chunk, keep=keep, precision=precision, device=device)
    chosen = next(each for each in (*ours_of(setting), *peers_of(setting)) if each.name == contender)(setting)
    batch = setting.batch(tasks_of(dataset, root), 0, tasks)
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        chosen.step(batch)
        peak = torch.cuda.max_memory_allocated()
    else:
        before = _status("VmRSS")
        chosen.step(batch)
        peak = _status("VmHWM")
    click.echo(f"{peak / 2**20:.1f} {(peak - before) / 2**20:.1f}")


def _status(field: str) -> int:
    """Bytes, from /proc: getrusage's ru_maxrss would begin at the peak of the process that started this one."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    main()
