"""A recipe, run: every row trained and evaluated, then the report."""

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from tqdm import tqdm

from robustmeta.attacks.base import Threat
from robustmeta.certification.certify import certified_rows
from robustmeta.checkpoint import Checkpoint
from robustmeta.errors import RobustMetaError
from robustmeta.files import locked_folder, whole_file
from robustmeta.job import Job
from robustmeta.measurement import Measured, measured, train_and_measure
from robustmeta.process import prepare_process
from robustmeta.provenance import about_row
from robustmeta.ranks import ALONE, Ranks
from robustmeta.recipe import Recipe
from robustmeta.recipe_file import find
from robustmeta.report.machine import this_machine
from robustmeta.report.write import Report
from robustmeta.rows import audit_rows, curve_rows, episode_rows, result_rows, step_rows
from robustmeta.schema import Source
from robustmeta.zoo import PREFIX, open_model

Result = TypeVar("Result")


def bench(
    recipe: Recipe,
    source: Source,
    out: Path,
    *,
    root: Path | None = None,
    device: str = "cpu",
    workers: int = 1,
    ranks: Ranks = ALONE,
    save_every: float = 20.0,
    audit: str = "always",
    until: float = 1.0,
    checkpoints: Path | None = None,
    command: str = "robustmeta bench",
    finished: Callable[[str], None] = lambda name: None,
) -> Report:
    """Train and evaluate every row of a recipe and write the report to the folder `out`; return its tables.

    Rows run side by side in `workers` processes of one thread each, or of more where there are fewer rows; the results
    do not depend on how many. ranks: the processes of a job that run each row together, one row after another.
    A folder that holds an unfinished run of the same recipe is gone on with. until: the share of its outer steps at
    which every row's training stops, to be measured there; a later run goes on, and its report takes this one's place.
    checkpoints: the folder where the learners of another run of the same rows are found; any that is not there is
    trained and kept.
    save_every: seconds between checkpoints. finished: called with the name of each row when it is done.
    audit: `always`, the checks that are nearly free, or `full`, all of them.
    Raises `RobustMetaError` if `out` cannot be written, is in use, or holds the run of another recipe, and if
    `checkpoints` is no folder.
    """
    if checkpoints is not None and not checkpoints.is_dir():
        raise RobustMetaError(
            f"there is no folder {checkpoints} to find checkpoints in; name that of a run, or make it to train there"
        )
    jobs = [
        Job(
            recipe, source, row, out, root, device,
            save_every=save_every, audit=audit, ranks=ranks, until=until, checkpoints=checkpoints,
        )
        for row in recipe.rows
    ]  # fmt: skip
    for job in jobs:
        job.check()
    with run_folder(recipe, out, ranks):
        if any(job.needs_twin for job in jobs):
            run_jobs(jobs, Job.train_only, workers, lambda name: None)  # before any is attacked from its twin
        done = run_jobs(jobs, train_and_measure, workers, finished)
        report = _report([(job, done[job.row.name]) for job in jobs])
        if ranks.first:
            report.write(out, recipe.as_yaml(), command, this_machine(device))
    return report


def _report(jobs: Sequence[tuple[Job, Measured]]) -> Report:
    """The tables of jobs and of what was measured of each."""
    frames: list[tuple[pd.DataFrame, ...]] = []
    for job, found in jobs:
        about = {**about_row(job.recipe, job.row, found.trained), "audit": job.audit}
        who = {key: about[key] for key in ("row", "learner", "defense")}
        targets = {name: card.target for name, card in found.cards.items()}
        eps_of = {f"{eps:g}": eps for eps in job.recipe.curve_eps} if found.curve.right else {}
        rows = [result_rows(found.attacked, job.recipe.threat, about, found.cards, found.findings, targets)]
        if job.recipe.certify and found.certified.right:
            certified = certified_rows(found.certified, job.recipe.certify, about)
            rows.append(certified[certified["attack"] != "clean"])  # on fewer episodes than the table's
        tables = (
            pd.concat(rows, ignore_index=True),
            episode_rows(found.attacked, who),
            curve_rows(found.curve, job.recipe.curve.attack, eps_of, who),
            audit_rows(found.findings, who),
            _step_rows(job, found, who),
        )
        frames.append(tables)
    results, episodes, curve, audit, steps = (pd.concat(each, ignore_index=True) for each in zip(*frames, strict=True))
    exhibits = {job.row.name: found.exhibit for job, found in jobs if found.exhibit is not None}
    return Report(results, episodes, curve, audit, steps, exhibits)


def _step_rows(job: Job, found: Measured, who: dict[str, Any]) -> pd.DataFrame:
    section = job.recipe.steps
    if section is None or not found.steps.right:
        return pd.DataFrame()
    return step_rows(found.steps, section.attack, job.recipe.threat.eps, section.steps, who)


@contextmanager
def run_folder(recipe: Recipe, out: Path, ranks: Ranks = ALONE) -> Iterator[None]:
    """Hold the folder of a run: locked against a second run, with `recipe.yaml` in it from the start.

    Of several processes the first holds it for all, and no other touches it.
    """
    if not ranks.first:
        ranks.wait()
        yield
        return
    with locked_folder(out):
        kept = out / "recipe.yaml"
        if kept.exists():
            held, _ = find(str(kept))
            if held != recipe:
                raise RobustMetaError(
                    f"{out} holds the run of another recipe ({held.name}, {held.hash}; this one is {recipe.name}, "
                    f"{recipe.hash}); choose another folder with --out, or delete that one"
                )
        for orphan in out.rglob(".*.part*"):  # of a run that was killed while it wrote
            orphan.unlink(missing_ok=True)
        with whole_file(kept) as part:
            part.write_text(recipe.as_yaml(), encoding="utf-8")
        ranks.wait()
        yield


def run_jobs(
    jobs: Sequence[Job], verb: Callable[[Job], Result], workers: int, finished: Callable[[str], None]
) -> dict[str, Result]:
    """`verb` of every job by the row's name, at most `workers` at a time, those with a defense (the longest) first.

    Jobs of several ranks run one at a time. Workers there are no jobs for share the chunks of the others' training.
    """
    at_once = 1 if jobs[0].ranks.size > 1 else min(workers, len(jobs))
    ordered = sorted(jobs, key=lambda job: not job.row.defense)
    spare = workers % at_once  # the longest rows have the threads that do not divide
    ordered = [replace(job, workers=max(1, workers // at_once + (i < spare))) for i, job in enumerate(ordered)]
    if at_once == 1:
        results = {}
        for job in ordered:
            results[job.row.name] = verb(job)
            finished(job.row.name)
        return results
    context = multiprocessing.get_context("spawn")
    lock = context.RLock()
    tqdm.set_lock(lock)
    pool = ProcessPoolExecutor(at_once, context, initializer=_begin_worker, initargs=(lock,))
    futures: dict[Future[Result], str] = {}
    try:
        for position, job in enumerate(ordered):
            futures[pool.submit(verb, replace(job, position=position))] = job.row.name
        for future in as_completed(futures):
            future.result()
            finished(futures[future])
    except BaseException as error:
        # What runs is thrown away either way, and its checkpoints stay: do not wait for it.
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in multiprocessing.active_children():
            worker.terminate()
        if isinstance(error, BrokenProcessPool):
            raise RobustMetaError("a worker process was killed; run the same command again to go on") from error
        raise
    pool.shutdown()
    return {name: future.result() for future, name in futures.items()}


def _begin_worker(lock: Any) -> None:
    tqdm.set_lock(lock)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the parent was killed: nobody waits for this worker's result, and its queue never closes


def evaluate_checkpoint(
    path: Path,
    attacks: str | Sequence[str] | None,
    test: dict[str, Any],
    *,
    eps: float | None = None,
    norm: str | None = None,
    out: Path | None = None,
    root: Path | None = None,
    device: str = "cpu",
    threads: int = 1,
    ranks: Ranks = ALONE,
    audit: str = "always",
    twin: Path | None = None,
    command: str = "robustmeta evaluate",
) -> Report:
    """Attack the learner of a checkpoint and return the tables; with `out`, write a report there too.

    path: of a checkpoint, or `zoo:NAME`. attacks, test: as in a recipe, by default those of the model's own rows, or
    `standard` and the recipes' defaults; `test["dataset"]` may be another than was trained on. eps, norm: the threat,
    by default the one the learner was trained for.
    audit, ranks: as for `bench`. twin: the checkpoint of the undefended learner, for attacks by transfer.
    Of training that has not ended the rows say how many steps there were of how many (`train_steps`, `planned_steps`).
    Raises `RobustMetaError` if the file is no checkpoint of a recipe.
    """
    model = open_model(str(path)) if str(path).startswith(PREFIX) else None
    state = ranks.shared(lambda: Checkpoint.load(path)) if model is None else model.as_checkpoint()
    own: dict[str, Any] = {"test": {}, "attacks": "standard"} if model is None else model.measured
    shape = None if model is None else model.image_shape
    if "learner" not in state.recipe:
        raise RobustMetaError(f"{path} was saved by a training loop without a recipe; evaluate it from Python instead")
    trained = Recipe.of_checkpoint(state.recipe, **{**own["test"], **test})
    threat = Threat(norm or trained.threat.norm, trained.threat.eps if eps is None else eps)
    recipe = replace(trained, attacks=own["attacks"] if attacks is None else attacks, threat=threat)
    with tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch)
        job = Job(
            recipe, Source(str(path), {}), recipe.rows[0], folder, root, device,
            threads=threads, audit=audit, twin=twin, ranks=ranks, image_shape=shape,
        )  # fmt: skip
        prepare_process(job.threads)
        ranks.shared(job.check_attacks)  # the first alone fetches data that are not there
        learner = job.restored(trained, state) if model is None else model.learner(str(path)).to(device)
        with run_folder(recipe, job.out, ranks):
            found = measured(job, learner, curve=out is not None)
            report = _report([(job, replace(found, trained=state.step))])
            if out is not None and ranks.first:
                report.write(out, recipe.as_yaml(), command, this_machine(device))
    return report
