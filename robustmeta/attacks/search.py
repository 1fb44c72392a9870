"""What an iterated attack has found so far, query by query."""

import torch
from torch import Tensor


class Search:
    """The best iterates so far of the queries that are still in play, and the final ones of those that are not.

    images: `[T, Q, C, H, W]`, the clean ones. labels: `[T, Q]`.
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        tasks, queries = labels.shape
        self.images, self.labels, self.best = images, labels, images
        self.loss = torch.full_like(labels, -torch.inf, dtype=images.dtype)
        self.fooled = torch.zeros_like(labels, dtype=torch.bool)
        self._final = images.clone()
        self._task = torch.arange(tasks, device=labels.device)[:, None]
        self._query = torch.arange(queries, device=labels.device).expand(tasks, -1)  # of each column in play

    def taken(self, images: Tensor) -> Tensor:
        """Of images `[T, Q, C, H, W]`, those of the queries in play."""
        return images[self._task, self._query]

    def note(self, x: Tensor, loss: Tensor, logits: Tensor) -> None:
        """Keep the iterates that beat the best: fooling before not, then the higher loss."""
        fooled = logits.argmax(-1) != self.labels
        better = (fooled & ~self.fooled) | ((fooled == self.fooled) & (loss > self.loss))
        self.best = torch.where(better[..., None, None, None], x, self.best)
        self.loss = torch.where(better, loss, self.loss)
        self.fooled = self.fooled | fooled

    def drop_fooled(self, x: Tensor) -> Tensor:
        """Take fooled queries out of play and return the iterates of the rest.

        Tasks stay of one size: where one has more fooled queries than another, some of them remain.
        """
        standing = int((~self.fooled).sum(1).max())
        if standing == x.shape[1]:
            return x
        self.result()
        column = self.fooled.int().argsort(dim=1, stable=True)[:, :standing]
        names = ("images", "labels", "best", "loss", "fooled", "_query")
        for name in names:
            setattr(self, name, getattr(self, name)[self._task, column])
        return x[self._task, column]

    def result(self) -> Tensor:
        """The best iterate of every query, `[T, Q, C, H, W]`."""
        self._final[self._task, self._query] = self.best
        return self._final
