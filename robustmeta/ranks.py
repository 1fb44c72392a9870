"""The processes of a job that `torchrun` started, as one: what they add up, gather and share, and how they end."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, distributed

from robustmeta.errors import RobustMetaError

Value = TypeVar("Value")

PATIENCE = timedelta(days=30)
"""How long one process waits for another's work; that another has died is noticed at once, whatever this is."""

LOST = ("peer", "connection", "remote", "socket closed", "broken pipe", "read error", "writev")
"""Words of which gloo and NCCL name one when the other end is gone."""

GONE = "a process of this job ended; run the same command again to go on"


class Terminated(KeyboardInterrupt):
    """The launcher's request to end, which it makes of all processes as soon as one of them is gone."""


@dataclass(frozen=True)
class Ranks:
    """A process among those of its job; by itself, the only one.

    rank: its number, 0 to size-1; 0 writes the files and speaks. size: the number of processes.
    Whatever one of its methods does, all processes call it, in the same order.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of every process's `values`, to the same bits in all of them."""
        if self.size > 1:
            _together(lambda: distributed.all_reduce(values))
        return values

    def gathered(self, value: Value) -> list[Value]:
        """Every process's `value`, by rank."""
        values: list[Any] = [value] * self.size
        if self.size > 1:
            _together(lambda: distributed.all_gather_object(values, value))
        return values

    def shared(self, make: Callable[[], Value]) -> Value:
        """What `make` returns in the first process, the only one that calls it."""
        values: list[Any] = [make() if self.first else None]
        if self.size > 1:
            _together(lambda: distributed.broadcast_object_list(values, src=0))
        made: Value = values[0]
        return made

    def wait(self) -> None:
        """Go on when all have come here."""
        self.total(torch.zeros(1))


ALONE = Ranks()


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, str]]:
    """The process among those of its job, and the device it works on: `cpu`, `cuda`, or its own `cuda:N` of a job.

    device: `auto`, `cpu` or `cuda`. Processes talk by gloo, their tensors on GPUs by NCCL. What ends them all is said
    by one of them: the others leave with status 2 and without a word.
    Raises `RobustMetaError` where the device is not there, and where a process of the job has ended.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield ALONE, device_of(device)
        return
    try:
        store, rank, size = next(distributed.rendezvous("env://"))  # type: ignore[attr-defined]
    except ValueError as error:  # RANK and WORLD_SIZE are there, the rest of what a launcher sets is not
        raise RobustMetaError(f"{error}; start a job of several processes with torchrun") from error
    with _said_once(store):
        own = device_of(device, int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo"
        _together(
            lambda: distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        )
        if own.startswith("cuda"):
            torch.cuda.set_device(own)
        ranks = Ranks(rank, size)
        yield ranks, own
        ranks.wait()
        distributed.destroy_process_group()


def device_of(name: str, local_rank: int | None = None) -> str:
    """The device that `auto`, `cpu` or `cuda` means here; raises `RobustMetaError` for a GPU that is not there."""
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise RobustMetaError("no CUDA device is available to torch; use --device cpu")
    if local_rank is None:
        return "cuda"
    if local_rank >= torch.cuda.device_count():
        raise RobustMetaError(
            f"process {local_rank} of this machine has no GPU of its own, of which there are "
            f"{torch.cuda.device_count()}; use --nproc-per-node {torch.cuda.device_count()}, or --device cpu"
        )
    return f"cuda:{local_rank}"


def cores_of(usable: int) -> int:
    """Of the machine's usable cores, those that fall to this process."""
    return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@contextmanager
def _said_once(store: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except (RobustMetaError, KeyboardInterrupt) as error:
        for number in (signal.SIGINT, signal.SIGTERM):  # of a job that ends anyway, and once is enough
            signal.signal(number, signal.SIG_IGN)
        if _said(store):
            sys.exit(2)
        if isinstance(error, Terminated):
            raise RobustMetaError(GONE) from error
        raise
    signal.signal(signal.SIGTERM, before)


def _said(store: Any) -> bool:
    """Whether another process has said what ends the job."""
    try:
        times: int = store.add("robustmeta/said", 1)
    except RuntimeError:  # the store went with the process that kept it
        return False
    return times > 1


def _terminated(number: int, frame: object) -> NoReturn:
    raise Terminated


def _together(call: Callable[[], object]) -> None:
    try:
        call()
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise RobustMetaError(GONE) from error
