"""One process against several, started by torchrun: adversarial training steps and an evaluation, start-up left out.

    python -m benchmarks.processes --root DATA --out reports/speed

Before times count, the evaluation's outcomes must be the same query by query, and the first step's loss after a step
of warming up equal within 1e-4. (The weights themselves are compared by tests/test_ranks.py.)
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import click
import torch

from benchmarks.tables import Row, table, write
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.backbones import Conv4
from robustmeta.defenses import AdversarialQuerying
from robustmeta.episodes import Episodes
from robustmeta.evaluation import measure
from robustmeta.learners import MAML, ProtoNet
from robustmeta.process import prepare_process
from robustmeta.ranks import joined
from robustmeta.training import train

COLUMNS = {
    "learner": "learner",
    "work": "work",
    "one": "s with 1 process",
    "several": "s with {n}",
    "ratio": "ratio (median)",
    "low": "lowest",
    "high": "highest",
}
THREAT, TASKS = Threat("Linf", 0.1), 4


@click.command()
@click.option("--processes", default=2, show_default=True)
@click.option("--repeats", default=3, show_default=True, help="Rounds; each runs one process, then several.")
@click.option("--steps", default=6, show_default=True, help="Outer steps of 4 tasks, 5-way 1-shot, PGD-7.")
@click.option("--episodes", default=16, show_default=True, help="Test episodes, under PGD-20.")
@click.option("--root", default=None, help="Where Omniglot is, or is put.")
@click.option("--out", default=None, help="Folder for the tables; by default they are only printed.")
@click.option("--inside", default="", hidden=True, help="The learner whose work a process of a job is to do.")
def main(
    processes: int, repeats: int, steps: int, episodes: int, root: str | None, out: str | None, inside: str
) -> None:
    """Time what several processes gain."""
    if inside:
        work(inside, steps, episodes, root)
        return
    rows: list[Row] = []
    for learner in ("protonet", "maml"):
        rounds = [[job(n, learner, steps, episodes, root) for n in (1, processes)] for _ in range(repeats)]
        for one, several in rounds:
            assert one["right"] == several["right"], "the processes' outcomes differ from those of one"
            assert abs(one["loss"] / several["loss"] - 1) < 1e-4, f"losses are {one['loss']} and {several['loss']}"
        for kind in ("training", "evaluation"):
            ratios = [one[kind] / several[kind] for one, several in rounds]
            times = [median(found[kind] for found in column) for column in zip(*rounds, strict=True)]
            rows.append(
                {"learner": learner, "work": kind, "one": times[0], "several": times[1], "ratio": median(ratios)}
                | {"low": min(ratios), "high": max(ratios), "processes": processes, "rounds": repeats}
            )
    text = table(rows, {key: heading.format(n=processes) for key, heading in COLUMNS.items()})
    click.echo(text)
    if out is not None:
        write(out, "processes", "One process against several", [text], rows, "cpu")


def job(processes: int, learner: str, steps: int, episodes: int, root: str | None) -> dict[str, object]:
    """What the first of the processes says."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    settings = [
        "--inside",
        learner,
        "--steps",
        str(steps),
        "--episodes",
        str(episodes),
        *(["--root", root] if root else []),
    ]
    command = [sys.executable, *launcher, "-m", "benchmarks.processes", *settings]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    found: dict[str, object] = json.loads(said.stdout.splitlines()[-1])
    return found


def work(name: str, steps: int, episodes: int, root: str | None) -> None:
    """Train and evaluate as one of a job's processes; the first says how long it took and what came of it."""
    prepare_process(1)
    torch.manual_seed(0)
    inner = ProtoNet(Conv4(norm="running")) if name == "protonet" else MAML(Conv4(norm="support"), 5, steps=5)
    learner = AdversarialQuerying(inner, card("pgd-7").build(THREAT))
    tasks = {split: Episodes("omniglot", split, ways=5, shots=1, queries=15, root=root) for split in ("train", "test")}
    with joined("cpu") as (ranks, _):
        begun = None
        for timed in (1, steps):  # the first call warms up
            ranks.wait()
            begun = time.perf_counter()
            log = train(learner, tasks["train"], timed, tasks=TASKS, chunk=2, ranks=ranks)
            ranks.wait()
        training = time.perf_counter() - begun
        torch.manual_seed(1)
        for parameter in learner.parameters():  # the same to the last bit in every job
            parameter.data.copy_(torch.randn(parameter.shape) / 10)
        attacks = {"pgd-20": ProjectedGradient(THREAT, steps=20, loss="margin")}  # nobody leaves: all have equal work
        ranks.wait()
        begun = time.perf_counter()
        outcomes = measure(learner, tasks["test"], attacks, episodes, probed=0, ranks=ranks)
        ranks.wait()
        evaluation = time.perf_counter() - begun
        if ranks.first:
            right = "".join(map(str, outcomes.right["worst"].astype(int).flatten()))
            times = {"training": training, "evaluation": evaluation}
            click.echo(json.dumps({**times, "loss": log[0]["loss"], "right": right}))


if __name__ == "__main__":
    main()
