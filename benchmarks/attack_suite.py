"""Evaluation with the suite `standard`: torchattacks looped over episodes against robustmeta.

    python -m benchmarks.attack_suite CHECKPOINT --root data --episodes 20 --out reports/speed

CHECKPOINT is of a ProtoNet on Conv4. A round is a few episodes, which every contender attacks; times count only if the
worst cases over all episodes are within 0.5 points of each other.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.clock import now
from benchmarks.peers.standard_suite import STANDARD, SuiteLoop
from benchmarks.rounds import interval_of_sums, ratio_of_sums
from benchmarks.setting import Shifted
from benchmarks.tables import circumstances, table, write
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import resolve, suite_of
from robustmeta.backbones import Conv4
from robustmeta.checkpoint import Checkpoint
from robustmeta.episodes import Episodes
from robustmeta.evaluation import measure
from robustmeta.learners import ProtoNet

WORST = 0.005
"""The largest difference between worst-case accuracies."""
COLUMNS = {
    "contender": "contender",
    "threads": "torch threads",
    "seconds": "s an episode",
    "ratio": "time / ours",
    "low": "95% from",
    "high": "to",
    "clean": "clean",
    "worst": "worst case",
}
Worst = tuple[float, float]
"""Queries right clean, and in the worst case."""


class Ours:
    """Robustmeta's evaluation with a suite, of its attacks those in `only`."""

    def __init__(
        self, checkpoint: Path, norm: str, tasks: Episodes, suite: str, eps: float, only: Sequence[str]
    ) -> None:
        self.learner = ProtoNet(Conv4(tasks.image_shape[0], tasks.image_shape[1], norm=norm))
        self.learner.load_state_dict(weights_of(checkpoint))
        self.learner.eval()
        threat, chosen = Threat("Linf", eps), suite_of(suite)
        cards = [card.fit("Linf", tasks.ways, tasks.image_shape[0]) for card in resolve(suite)]
        self.attacks = {card.name: card.build(threat, None) for card in cards if card.name in only}
        self.survivors_only, self.tasks = chosen is not None and chosen.survivors_only, tasks

    def run(self, first: int, number: int) -> Worst:
        """Attack episodes `first` to `first + number - 1`; the audit's dearer looks, at the first few, are left out."""
        shifted = Shifted(self.tasks, first)
        seed, survivors = self.tasks.seed, self.survivors_only
        found = measure(self.learner, shifted, self.attacks, number, seed=seed, survivors_only=survivors, probed=0)
        return float(found.right["clean"].sum()), float(found.right["worst"].sum())


def weights_of(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The ProtoNet's weights, without the defense around it."""
    return {name.removeprefix("learner."): tensor for name, tensor in Checkpoint.load(checkpoint).weights.items()}


class Looped:
    """torchattacks, episode by episode."""

    def __init__(self, checkpoint: Path, norm: str, tasks: Episodes, eps: float, only: Sequence[str]) -> None:
        self.loop, self.tasks, self.only = SuiteLoop(weights_of(checkpoint), norm, tasks.ways, eps), tasks, only

    def run(self, first: int, number: int) -> Worst:
        """See `Ours.run`."""
        right = self.loop.standing(self.tasks.batch(range(first, first + number)), self.only)
        worst = torch.stack(list(right.values())).all(0)
        return float(right["clean"].sum()), float(worst.sum())


class Spread:
    """Robustmeta's evaluation in two processes that stay, each with one torch thread and a share of the episodes."""

    def __init__(self, make: Callable[[], Ours]) -> None:
        context = get_context("spawn")
        # One process to a pool, so that each has one share.
        self.pools = [ProcessPoolExecutor(1, context, initializer=_begin, initargs=(make,)) for _ in range(2)]
        for ready in [pool.submit(_share, None) for pool in self.pools]:
            ready.result()

    def __enter__(self) -> "Spread":
        return self

    def __exit__(self, *raised: object) -> None:
        for pool in self.pools:
            pool.shutdown()

    def run(self, first: int, number: int) -> Worst:
        """See `Ours.run`."""
        each = -(-number // len(self.pools))
        shares = [(at, min(each, first + number - at)) for at in range(first, first + number, each)]
        ahead = [pool.submit(_share, share) for pool, share in zip(self.pools, shares, strict=False)]
        parts = [future.result() for future in ahead]
        return sum(clean for clean, _ in parts), sum(worst for _, worst in parts)


_here: list[Ours] = []


def _begin(make: Callable[[], Ours]) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    _here.append(make())


def _share(share: tuple[int, int] | None) -> Worst:
    return _here[0].run(*share) if share else (0.0, 0.0)


def timed(run: Callable[[int, int], Worst], threads: int, first: int, number: int) -> tuple[float, Worst]:
    """Seconds of a round, and what it found."""
    torch.set_num_threads(threads)
    begun = now()
    found = run(first, number)
    return now() - begun, found


def rows_of(
    contenders: dict[str, Callable[[int, int], Worst]], episodes: int, each: int, queries: int
) -> list[dict[str, object]]:
    """A row a contender, after rounds of `each` episodes; ratios are to the first contender.

    Round 0 tries one torch thread and two, and counts for the faster.
    Raises `click.ClickException` if the worst cases do not agree.
    """
    rounds = [(first, min(each, episodes - first)) for first in range(0, episodes, each)]
    times: dict[str, list[float]] = {name: [] for name in contenders}
    found: dict[str, list[Worst]] = {name: [] for name in contenders}
    threads = dict.fromkeys(contenders, 1)
    for name, run in contenders.items():
        tried = {number: timed(run, number, *rounds[0]) for number in ((1,) if "processes" in name else (1, 2))}
        threads[name] = min(tried, key=lambda number: tried[number][0])
        times[name].append(tried[threads[name]][0])
        found[name].append(tried[threads[name]][1])
    for place, (first, number) in enumerate(rounds[1:]):
        names = list(contenders)
        turn = place % len(names)
        for name in names[turn:] + names[:turn]:
            seconds, counts = timed(contenders[name], threads[name], first, number)
            times[name].append(seconds)
            found[name].append(counts)
            click.echo(f"episodes {first}-{first + number - 1}: {name} {seconds:.2f} s", err=True)
    accuracy = {name: np.sum(counts, axis=0) / (episodes * queries) for name, counts in found.items()}
    worst = [float(pair[1]) for pair in accuracy.values()]
    if max(worst) - min(worst) > WORST:
        raise click.ClickException(
            f"worst cases differ by more than {WORST:.1%}: "
            + ", ".join(f"{name} {pair[1]:.2%}" for name, pair in accuracy.items())
        )
    ours = times[next(iter(contenders))]
    rows: list[dict[str, object]] = []
    for name, seconds in times.items():
        low, high = interval_of_sums(seconds, ours)
        row = {"contender": name, "threads": threads[name], "seconds": sum(seconds) / episodes, "episodes": episodes}
        row |= {"ratio": ratio_of_sums(seconds, ours), "low": low, "high": high, "rounds": len(rounds)}
        rows.append(row | {"clean": float(accuracy[name][0]), "worst": float(accuracy[name][1])})
    return rows


@click.command()
@click.argument("checkpoint", type=click.Path(exists=True, path_type=Path))
@click.option("--norm", default="running", show_default=True, help="The checkpoint's normalization policy.")
@click.option("--episodes", default=20, show_default=True, help="Test episodes, 5-way 1-shot.")
@click.option("--each", default=4, show_default=True, help="Episodes a round.")
@click.option("--queries", default=15, show_default=True, help="Query images a class.")
@click.option("--suites", default="worst,standard", show_default=True, help="Of robustmeta; ratios are to the first.")
@click.option("--only", default=",".join(STANDARD), help="Of the suite's attacks these; by default all.")
@click.option("--eps", default=0.1, show_default=True)
@click.option("--dataset", default="omniglot", show_default=True)
@click.option("--root", default=None, help="Where the data set is, or is put.")
@click.option("--out", default=None, help="Folder for the tables; by default they are only printed.")
def main(
    checkpoint: Path,
    norm: str,
    episodes: int,
    each: int,
    queries: int,
    suites: str,
    only: str,
    eps: float,
    dataset: str,
    root: str | None,
    out: str | None,
) -> None:
    """Time the evaluation of CHECKPOINT, a ProtoNet on Conv4, with the suite `standard`."""
    torch.set_flush_denormal(True)
    tasks = Episodes(dataset, "test", ways=5, shots=1, queries=queries, seed=1, root=root)
    names: Sequence[str] = suites.split(",")
    attacks = only.split(",")
    makes = {name: partial(Ours, checkpoint, norm, tasks, name, eps, attacks) for name in names}
    contenders = {f"robustmeta, {name}": make().run for name, make in makes.items()}
    with Spread(makes[names[0]]) as spread:
        contenders[f"robustmeta, {names[0]}, 2 processes"] = spread.run
        contenders["torchattacks, looped"] = Looped(checkpoint, norm, tasks, eps, attacks).run
        rows = rows_of(contenders, episodes, each, tasks.ways * queries)
    page = [
        f"ProtoNet, {checkpoint.name}, {dataset} 5-way 1-shot, {queries} queries a class, {episodes} episodes, "
        f"Linf eps {eps:g}; attacks of `standard`: {only} (`worst`: the same, each on what is left). "
        f"Worst cases are within {WORST:.1%} of each other, asserted.",
        table(rows, COLUMNS),
    ]
    click.echo("\n\n".join([*page, *circumstances("cpu")]))
    if out is not None:
        write(out, "attack_suite", "Evaluation with the standard suite", page, rows, "cpu")


if __name__ == "__main__":
    main()
