"""The pure function that draws few-shot tasks."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustmeta.batch import EpisodeBatch
from robustmeta.data import OwnData, as_classes, load
from robustmeta.data.classes import ImageClasses
from robustmeta.data.fitting import fitted
from robustmeta.errors import RobustMetaError
from robustmeta.schema import Source, arguments


@lru_cache(maxsize=8)
def _load_once(
    dataset: str,
    split: str,
    root: str | None,
    options: tuple[tuple[str, Any], ...],
    image_shape: tuple[int, ...] | None,
    here: Path,
) -> ImageClasses:
    classes = load(dataset, split, root, **dict(options))
    return classes if image_shape is None else fitted(classes, image_shape)


class Episodes:
    """The task distribution of one data set split: a pure function from an index to a task.

    Task 17 of (data set, split, ways, shots, queries, seed) is the same task for every learner, attack, process
    and library version: classes and images come from the raw bits of PCG64 seeded with (seed, index), whose
    stream numpy guarantees, ordered by a stable sort. Classes, and the images of a class, are drawn without
    replacement. The first `shots` images drawn of a class are its support.

    dataset: a name for `robustmeta.data.load`, or data of your own: `(images, labels)`, a map-style
    `torch.utils.data.Dataset` of (image, label), or an `ImageClasses` (see `robustmeta.data.as_classes`).
    split: of a named data set, by default `train`. Of data of your own, None takes all classes, and `train`, `val` and
    `test` shares of them (0.64, 0.16 and 0.2 unless `shares=` says otherwise) that have no class in common.
    root: where named data sets lie. device: of the images. image_shape: (C, H, W) that images are fitted to, as those a
    learner was trained on (see `robustmeta.data.fitting.fitted`); None leaves them as they are. options: further
    settings of the data set, as `rotations=True` for omniglot, or `path="my/images", size=84` for folder.

    Raises `RobustMetaError` for more ways than classes, shots + queries over the images a class has, and what the data
    set refuses.
    """

    data: ImageClasses
    """The classes that tasks are drawn from."""

    def __init__(
        self,
        dataset: str | OwnData,
        split: str | None = None,
        *,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        seed: int = 0,
        root: str | Path | None = None,
        device: torch.device | str = "cpu",
        image_shape: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        if isinstance(dataset, str):
            chosen = tuple(
                (key, tuple(value) if isinstance(value, list) else value) for key, value in sorted(options.items())
            )
            shape = None if image_shape is None else tuple(image_shape)
            classes = _load_once(dataset, split or "train", str(root) if root else None, chosen, shape, Path.cwd())
        else:
            source = Source("data of your own", {})
            options = {**options, **({} if root is None else {"root": root})}
            classes = as_classes(dataset, split, **arguments(as_classes, options, source, (), given=("data", "split")))
            classes = classes if image_shape is None else fitted(classes, image_shape)
        for name, value, least in (("ways", ways, 2), ("shots", shots, 1), ("queries", queries, 1), ("seed", seed, 0)):
            if value < least:
                raise RobustMetaError(f"{name} is {value}; it must be at least {least}")
        if ways > len(classes.counts):
            raise RobustMetaError(f"{ways} ways asked of {classes.name}, which has {len(classes.counts)} classes")
        if shots + queries > min(classes.counts):
            label = classes.labels[int(np.argmin(classes.counts))]
            raise RobustMetaError(
                f"shots + queries = {shots + queries} images a class asked of {classes.name}, "
                f"whose class {label!r} has {min(classes.counts)}"
            )
        self.data = classes
        self.name, self.ways, self.shots, self.queries, self.seed = classes.name, ways, shots, queries, seed
        self.counts = np.asarray(classes.counts)
        self._first = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self._images = classes.images.to(device)
        self._labels = torch.arange(ways, device=device)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        channels, height, width = self._images.shape[1:]
        return channels, height, width

    def drawn(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes `[ways]` of task `index`, and the rows `[ways, shots + queries]` of the image tensor."""
        if index < 0:
            raise RobustMetaError(f"task {index} asked of {self.name}; tasks are numbered 0, 1, 2, ...")
        bits = np.random.PCG64([self.seed, index])
        chosen = np.argsort(bits.random_raw(len(self.counts)), kind="stable")[: self.ways]
        each = self.shots + self.queries
        picks = [np.argsort(bits.random_raw(self.counts[c]), kind="stable")[:each] for c in chosen]
        return chosen, self._first[chosen, None] + np.stack(picks)

    def batch(self, indices: Sequence[int]) -> EpisodeBatch:
        """The tasks of the given indices, in one gather from the image tensor.

        Raises `RobustMetaError` for no index, or one below 0.
        """
        if not len(indices):
            raise RobustMetaError(f"a batch of no tasks asked of {self.name}; give at least one index")
        classes, drawn = (
            torch.from_numpy(np.stack(each)).to(self._images.device)
            for each in zip(*(self.drawn(index) for index in indices), strict=True)
        )
        images = self._images[drawn].float().div_(255)  # [T, ways, shots + queries, C, H, W]
        support, query = images[:, :, : self.shots], images[:, :, self.shots :]
        tasks = len(indices)
        return EpisodeBatch(
            support_x=support.flatten(1, 2),
            support_y=self._labels.repeat_interleave(self.shots).expand(tasks, -1),
            query_x=query.flatten(1, 2),
            query_y=self._labels.repeat_interleave(self.queries).expand(tasks, -1),
            index=tuple(indices),
            classes=classes,
        )

    def __getitem__(self, index: int) -> EpisodeBatch:
        """Task `index` alone, as a batch of one."""
        return self.batch([index])
