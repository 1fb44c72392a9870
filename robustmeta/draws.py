"""Random numbers of tasks, each from a stream of its own."""

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Uniform numbers from [0, 1), each task from its own stream, seeded `seeds[i]`; from the global one without.

    A stream goes on from draw to draw, as that of `torch.rand` after `torch.manual_seed(seeds[i])` does.
    """

    def __init__(self, like: Tensor, seeds: Sequence[int] | None) -> None:
        self._like, self._tasks = like, len(like)
        self._streams = None if seeds is None else [torch.Generator().manual_seed(seed) for seed in seeds]

    def uniform(self, *shape: int) -> Tensor:
        """Numbers `[T, *shape]`, uniform in [0, 1)."""
        if self._streams is None:
            return torch.rand(self._tasks, *shape, dtype=self._like.dtype, device=self._like.device)
        return torch.stack([torch.rand(shape, generator=stream) for stream in self._streams]).to(self._like)

    def normal(self, *shape: int) -> Tensor:
        """Numbers `[T, *shape]`, standard normal."""
        if self._streams is None:
            return torch.randn(self._tasks, *shape, dtype=self._like.dtype, device=self._like.device)
        return torch.stack([torch.randn(shape, generator=stream) for stream in self._streams]).to(self._like)

    def orders(self, number: int) -> Tensor:
        """A random order of `number` things for each task: `[T, number]`."""
        return self.uniform(number).argsort(dim=1)

    def signs(self, *shape: int) -> Tensor:
        """Numbers `[T, *shape]`, -1 or 1."""
        return (2 * self.uniform(*shape) - 1).sign()


def seeds_of(images: Tensor, training: bool) -> list[int]:
    """The seeds of adaptation to T supports `[T, N, C, H, W]`, a pure function of them.

    In training they hang on the images, so that every task draws numbers of its own, whatever thread or process meets
    it; in evaluation they are the same for all tasks, so that an attack that moves the support draws no others.
    """
    if not training:
        return [0] * len(images)
    return [zlib.crc32(task.view(torch.uint8).numpy().tobytes()) for task in images.detach().cpu().contiguous()]


def redrawn(seeds: Sequence[int] | None, number: int) -> Sequence[int] | None:
    """The tasks' seeds for the draw of a number: their own for 0, others that hang on both for 1, 2, ...

    Adding a multiple of 2^32 to a seed would not do: torch's generators look at the lowest 32 bits alone.
    """
    if seeds is None or number == 0:
        return seeds
    return [int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) for seed in seeds]
