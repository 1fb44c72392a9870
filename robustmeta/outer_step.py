"""The gradient of an outer step: its tasks in chunks, a backward pass a chunk, over threads and processes."""

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import reduce
from types import TracebackType

import torch
from torch import Tensor, nn

from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner
from robustmeta.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Part:
    """What some of a step's tasks come to, weighted by their share of all.

    loss: a scalar. gradients: of each parameter, None where the loss does not hang on it.
    moved: how far each floating-point buffer moved. counted: the other buffers as the tasks left them.
    """

    loss: Tensor
    gradients: list[Tensor | None]
    moved: list[Tensor]
    counted: list[Tensor]

    def __add__(self, more: "Part") -> "Part":
        """What both come to, `more` being later."""
        gradients = [
            b if a is None else a if b is None else a + b
            for a, b in zip(self.gradients, more.gradients, strict=True)
        ]  # fmt: skip
        moved = [a + b for a, b in zip(self.moved, more.moved, strict=True)]
        return Part(self.loss + more.loss, gradients, moved, more.counted)


class Crew:
    """Those who work out the gradient of an outer step together: threads of this process, and other processes.

    Chunk c of a step is always met by process c mod `ranks.size`, and the i-th chunk of a process by its thread i mod
    `workers`. A thread has a copy of the learner of its own; a single worker is the calling thread, with the learner
    itself. A process adds up in the order of its chunks: the gradient has the same bits whatever `workers` is, where
    the caller runs torch on one thread, as workers do, and the loss draws no number from the global generator.

    Running averages start each chunk where the step began, and end the step there plus the mean of how far the chunks
    moved them, weighted by tasks: like the gradient, it does not hang on which chunk was met where.
    """

    def __init__(self, learner: Learner, workers: int = 1, ranks: Ranks = ALONE) -> None:
        self.learner, self.ranks = learner, ranks
        self.replicas = [learner] if workers == 1 else [copy.deepcopy(learner) for _ in range(workers)]
        flush = flushes_denormals()
        # One thread to a pool and one pool to a replica, so that a replica never meets two chunks at once.
        self._pools = [] if workers == 1 else [ThreadPoolExecutor(1, "", _begin, (flush,)) for _ in self.replicas]

    def __enter__(self) -> "Crew":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown(wait=error is None, cancel_futures=True)

    def gradient(self, episodes: Episodes, step: int, tasks: int, chunk: int) -> float:
        """Put the gradient of the mean loss over a step's tasks in `grad` of the learner's parameters; that loss.

        Step 0 has the first `tasks` of the episodes, step 1 the next ones. chunk: the tasks adapted and attacked side
        by side; memory hangs on it, and not on `tasks`.
        Raises `RobustMetaError` for a loss that is not finite; the learner is then as it was.
        """
        of_step = range(step * tasks, (step + 1) * tasks)
        chunks = [of_step[first : first + chunk] for first in range(0, tasks, chunk)]
        start = [buffer.clone() for buffer in self.learner.buffers()]
        for replica in self.replicas:
            _prepare(replica, self.learner)
        try:
            mine = chunks[self.ranks.rank :: self.ranks.size]
            found = reduce(Part.__add__, self._parts(episodes, mine, tasks, start), self._nothing(start))
            if self.ranks.size > 1:
                found = self._over_ranks(found, last=(len(chunks) - 1) % self.ranks.size)
            if not found.loss.isfinite():
                lower = "lower lr or the inner learning rate"
                raise RobustMetaError(f"the outer loss is {found.loss.item()} at step {step}; {lower}")
        except BaseException:
            _put(start, self.learner.buffers())  # as if the step had not begun
            raise
        for parameter, gradient in zip(_trained(self.learner), found.gradients, strict=True):
            parameter.grad = gradient
        if len(chunks) > 1 or self.ranks.size > 1 or self._pools:  # else they stand as the only chunk left them
            moved, counted = iter(found.moved), iter(found.counted)
            ends = [was + next(moved) if was.is_floating_point() else next(counted) for was in start]
            _put(ends, self.learner.buffers())
        return found.loss.item()

    def _parts(
        self, episodes: Episodes, chunks: Sequence[range], tasks: int, start: Sequence[Tensor]
    ) -> Iterator[Part]:
        """What each chunk comes to, in order."""
        if not self._pools:
            for chunk in chunks:
                yield _part(self.learner, episodes, chunk, len(chunk) / tasks, start)
            return
        ahead: deque[Future[Part]] = deque()
        try:
            for i, chunk in enumerate(chunks):
                worker = i % len(self._pools)
                share = len(chunk) / tasks
                ahead.append(self._pools[worker].submit(_part, self.replicas[worker], episodes, chunk, share, start))
                if len(ahead) > 2 * len(self._pools):  # gradients that wait for their turn take memory
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
            wait(ahead)  # a replica that is still at work would spoil the next step

    def _nothing(self, start: Sequence[Tensor]) -> Part:
        """What no tasks come to."""
        trained = _trained(self.learner)
        none: list[Tensor | None] = [None] * len(trained)
        return Part(
            torch.zeros((), device=trained[0].device), none, [torch.zeros_like(was) for was in _real(start)], []
        )

    def _over_ranks(self, part: Part, last: int) -> Part:
        """What the parts of all processes come to, by one sum of one tensor; `last` met the step's last chunk."""
        trained = _trained(self.learner)
        gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(trained, part.gradients, strict=True)]
        mine = [part.loss, *gradients, *part.moved]
        precise = torch.float64 if any(p.dtype == torch.float64 for p in trained) else torch.float32
        total = self.ranks.total(torch.cat([value.flatten().to(precise) for value in mine]))
        pieces = torch.split(total, [value.numel() for value in mine])
        loss, *summed = (piece.view_as(value).to(value) for piece, value in zip(pieces, mine, strict=True))
        counted = []
        if not all(buffer.is_floating_point() for buffer in self.learner.buffers()):
            counted = self.ranks.gathered(part.counted)[last]
        return Part(loss, [*summed[: len(trained)]], summed[len(trained) :], counted)


def _part(learner: Learner, episodes: Episodes, chunk: range, share: float, start: Sequence[Tensor]) -> Part:
    """What the tasks of one chunk, a `share` of the step's, come to."""
    _put(start, learner.buffers())
    loss = learner.loss(episodes.batch(chunk)) * share
    learner.zero_grad()  # of what the loss left there
    loss.backward()  # type: ignore[no-untyped-call]  # the whole pass: a defense may wait for gradients of its own
    gradients = [parameter.grad for parameter in _trained(learner)]
    learner.zero_grad()
    ends = [buffer.clone() for buffer in learner.buffers()]
    moved = [(end - was) * share for end, was in zip(_real(ends), _real(start), strict=True)]
    return Part(loss.detach(), gradients, moved, [end for end in ends if not end.is_floating_point()])


def _prepare(replica: Learner, learner: Learner) -> None:
    """Give a replica the weights of the learner, and each of its modules the mode and progress of the learner's."""
    for own, module in zip(replica.modules(), learner.modules(), strict=True):
        own.training = module.training
        if isinstance(own, Learner) and isinstance(module, Learner):
            own.progress = module.progress
    if replica is not learner:
        _put(learner.parameters(), replica.parameters())


def _trained(learner: Learner) -> list[nn.Parameter]:
    return [parameter for parameter in learner.parameters() if parameter.requires_grad]


def _real(buffers: Iterable[Tensor]) -> list[Tensor]:
    return [buffer for buffer in buffers if buffer.is_floating_point()]


@torch.no_grad()
def _put(values: Iterable[Tensor], into: Iterable[Tensor]) -> None:
    for value, place in zip(values, into, strict=True):
        place.copy_(value)


def flushes_denormals() -> bool:
    """Whether torch takes denormal numbers for 0 in this thread, which it does not tell otherwise."""
    return bool((torch.tensor(1e-40) * 1.0).item() == 0.0)


def _begin(flush: bool) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(flush)
