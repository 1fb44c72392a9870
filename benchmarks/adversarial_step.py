"""The adversarial outer step against other libraries, on the same tensors in one run.

    python -m benchmarks.adversarial_step --root data --tasks 4 --tasks 16 --out reports/speed

Each contender adapts to T tasks, attacks each task's queries with PGD against the adapted network, and takes the
meta-gradient of the loss on the attacked queries. Nothing is timed before meta-gradients and attacks agree.
"""

from collections.abc import Callable, Sequence
from functools import partial

import click
import numpy as np
import torch

from benchmarks.agreement import Agreed, DisagreementError, agreed
from benchmarks.clock import now
from benchmarks.contenders import ours_of, peers_of
from benchmarks.memory import measured
from benchmarks.operations import RATE_TYPES, attack_flops, forward_flops, matrix_rate
from benchmarks.peers.base import Contender
from benchmarks.peers.ours import part_of
from benchmarks.plain import NORMS
from benchmarks.rounds import interleaved, interval, ratio
from benchmarks.setting import Setting, tasks_of
from benchmarks.tables import Row, circumstances, table, write
from robustmeta.batch import EpisodeBatch
from robustmeta.episodes import Episodes

COLUMNS = {
    "contender": "contender",
    "threads": "torch threads",
    "seconds": "s a step",
    "ratio": "time / ours",
    "low": "95% from",
    "high": "to",
    "attack_seconds": "s in the attack",
    "gflop_per_s": "GFLOP/s there",
    "matrix_gflop_per_s": "matrix product",
    "share": "share",
    "peak_mib": "peak MiB",
    "step_mib": "of it the step",
}
THREADS = (1, 2)


def timed(contender: Contender, batch: EpisodeBatch, threads: int, attack: list[float]) -> float:
    """Seconds of one step; those in its attack, side by side over its workers, are added to `attack`."""
    torch.set_num_threads(threads)
    contender.clock.taken()
    begun = now()
    contender.step(batch)
    seconds = now() - begun
    attack.append(contender.clock.taken() / contender.workers)
    return seconds


def best_threads(contender: Contender, batch: EpisodeBatch) -> int:
    """The number of torch threads a contender is fastest with: the best of three steps each, after one to warm up."""
    if contender.workers > 1:
        return 1
    timed(contender, batch, THREADS[-1], [])
    tried = [{threads: timed(contender, batch, threads, []) for threads in THREADS} for _ in range(3)]
    return min(THREADS, key=lambda threads: min(times[threads] for times in tried))


def rows_of(setting: Setting, batch: EpisodeBatch, rounds: int) -> list[dict[str, object]]:
    """A row a contender, robustmeta's forms first; ratios are to the fastest of these."""
    forms = [each(setting) for each in ours_of(setting)]
    contenders: dict[str, Contender] = {each.name: each for each in (*forms, *(p(setting) for p in peers_of(setting)))}
    few = part_of(batch, slice(0, 4))
    threads = {name: best_threads(each, few) for name, each in contenders.items()}
    attack: dict[str, list[float]] = {name: [] for name in contenders}
    runs: dict[str, Callable[[], float]] = {
        name: partial(timed, each, batch, threads[name], attack[name]) for name, each in contenders.items()
    }
    rates = {number: f"matrix, {number} threads" for number in THREADS}
    for number, name in rates.items():
        runs[name] = partial(matrix_rate, torch.float32, number, 2, setting.device)
    times = interleaved(runs, rounds)
    ours = min((form.name for form in forms), key=lambda name: np.median(times[name]))
    rows: list[dict[str, object]] = []
    for name, contender in contenders.items():
        seconds, rate = (
            float(np.median(attack[name])),
            float(np.median(times[rates[threads[name] * contender.workers]])),
        )
        done = attack_flops(setting, batch.query_y.numel(), contender.extra_forwards) / seconds / 1e9
        low, high = interval(times[name], times[ours])
        row = {"learner": setting.learner, "norm": setting.norm, "tasks": batch.tasks, "contender": name}
        row |= {"keep": setting.keep, "precision": setting.precision}
        row |= {"threads": threads[name], "workers": contender.workers, "seconds": float(np.median(times[name]))}
        row |= {"ratio": ratio(times[name], times[ours]), "low": low, "high": high, "rounds": rounds}
        row |= {"attack_seconds": seconds, "gflop_per_s": done, "matrix_gflop_per_s": rate, "share": done / rate}
        rows.append({**row, "baseline": ours, "note": contender.note})
    return rows


def with_memory(setting: Setting, rows: Sequence[dict[str, object]], dataset: str, root: str | None) -> None:
    """Add each contender's peak memory to its row."""
    for row in rows:
        name, tasks, threads = str(row["contender"]), int(str(row["tasks"])), int(str(row["threads"]))
        row["peak_mib"], row["step_mib"] = measured(setting, name, tasks, threads, dataset, root)


def verdict(setting: Setting, rows: Sequence[Row]) -> str:
    """The fastest other contender against ours, in a sentence."""
    forms = {form.name for form in ours_of(setting)}
    others = [row for row in rows if row["contender"] not in forms]
    best = min(others, key=lambda row: float(str(row["seconds"])))
    return (
        f"Fastest of the others: {best['contender']}, {best['ratio']:.2f} times the time of {best['baseline']} "
        f"(95% interval {best['low']:.2f} to {best['high']:.2f} over {best['rounds']} rounds)."
    )


def rates(device: str) -> str:
    """The machine's matrix-product rates by type and threads, as a table."""
    found = [
        {"type": str(dtype).removeprefix("torch."), **{str(n): matrix_rate(dtype, n, device=device) for n in THREADS}}
        for dtype in RATE_TYPES
    ]
    return table(found, {"type": "matrix product, GFLOP/s", **{str(n): f"{n} threads" for n in THREADS}})


def section(setting: Setting, tasks: int, found: Agreed, rows: Sequence[Row]) -> str:
    """A setting's part of the page."""
    notes = [f"- {row['contender']}: {row['note']}" for row in rows if row["note"]]
    steps = f", {setting.steps} inner steps, second order" if setting.learner == "maml" else ""
    shared = f" shared by {setting.chunk} tasks" if setting.chunk else ""
    return "\n\n".join(
        [
            f"## {setting.learner}, {tasks} tasks, normalization `{setting.norm}`{shared}",
            f"Conv4-{setting.width}{steps}, PGD-{setting.attack_steps} eps {setting.eps:g} "
            f"(ours keeps the {setting.keep} iterate, in {setting.precision}); an image's forward pass "
            f"is {forward_flops(setting) / 1e6:.1f} MFLOP.",
            "\n".join(f"- {line}" for line in found.lines()),
            table(rows, {key: heading for key, heading in COLUMNS.items() if any(key in row for row in rows)}),
            verdict(setting, rows),
            "\n".join(notes),
        ]
    )


@click.command()
@click.option("--learner", type=click.Choice(["maml", "protonet"]), default="maml", show_default=True)
@click.option("--norm", type=click.Choice(NORMS), default="support", show_default=True)
@click.option("--tasks", multiple=True, default=(4, 16), show_default=True, help="Tasks a step; may be given again.")
@click.option("--repeats", default=7, show_default=True, help="Rounds; each runs every contender once.")
@click.option("--chunk", default=0, help="Tasks that share statistics under `running`; 0 for all of them.")
@click.option("--width", default=64, show_default=True)
@click.option("--eps", default=0.1, show_default=True)
@click.option("--keep", type=click.Choice(["best", "last"]), default="best", show_default=True, help="See Setting.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32", help="Of our attack.")
@click.option("--agreement-tasks", default=16, show_default=True, help="Tasks over which attacks must agree.")
@click.option("--memory/--no-memory", default=False, help="Also measure each one's peak memory.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--dataset", default="omniglot", show_default=True)
@click.option("--root", default=None, help="Where the data set is, or is put.")
@click.option("--out", default=None, help="Folder for the tables; by default they are only printed.")
def main(
    learner: str,
    norm: str,
    tasks: tuple[int, ...],
    repeats: int,
    chunk: int,
    width: int,
    eps: float,
    keep: str,
    precision: str,
    agreement_tasks: int,
    memory: bool,
    device: str,
    dataset: str,
    root: str | None,
    out: str | None,
) -> None:
    """Time the adversarial outer step of robustmeta and of other libraries, once they agree."""
    if norm == "running" and learner == "maml":
        raise click.UsageError(
            "under `running` MAML's tasks have statistics of their own, as under `support`: use that"
        )
    torch.set_flush_denormal(True)
    episodes: Episodes = tasks_of(dataset, root)
    channels, size, _ = episodes.image_shape
    setting = Setting(
        learner, norm, channels, size, width, eps=eps, device=device, chunk=chunk, keep=keep, precision=precision
    )
    try:
        found = agreed(setting, episodes, scored=agreement_tasks)
    except DisagreementError as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(found.lines()))
    parts, all_rows = [rates(device)], []
    click.echo(parts[0])
    for number in tasks:
        rows = rows_of(setting, setting.batch(episodes, 0, number), repeats)
        if memory:
            with_memory(setting, rows, dataset, root)
        parts.append(section(setting, number, found, rows))
        click.echo(parts[-1])
        all_rows += rows
    click.echo("\n".join(circumstances(device)))
    if out is not None:
        name = f"adversarial_step-{learner}-{norm}" + ("-bfloat16" if precision == "bfloat16" else "")
        name += "-cuda" if device.startswith("cuda") else ""
        write(out, name, f"Adversarial outer step: {learner}, `{norm}`", parts, all_rows, device)


if __name__ == "__main__":
    main()
