"""What every attack on the support set is, and the halves of the queries that keep its judge independent."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.attacks.base import Attack, Crafted, Threat, Traits, held
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


@dataclass(frozen=True, eq=False)
class Placed(EpisodeBatch):
    """Tasks as the attacker holds them: the support it will move, and its own queries as the only ones.

    original_x: the support `[T, N, C, H, W]` before the attacker put images of its own into it.
    """

    original_x: Tensor = field(kw_only=True)


class SupportAttack(Protocol):
    """A callable that moves some images of a support so that the learner adapts to it badly.

    It sees the queries in `known` and no others; it is to be judged on queries that it has not seen (see `folds`).
    `seeds` gives each task its own random stream, so that a task's outcome does not depend on the tasks beside it.
    """

    @property
    def threat(self) -> Threat:
        """The budget of each image moved, round the image that `place` put there."""
        ...

    @property
    def traits(self) -> Traits:
        """What it is; `target` is `support`, or `joint` where the judged queries are attacked too."""
        ...

    @property
    def then(self) -> Attack | None:
        """What moves the judged queries once the learner has adapted to the moved support; None leaves them clean."""
        ...

    def place(self, known: EpisodeBatch, seeds: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """The support `[T, N, C, H, W]` whose images it moves, and a mask `[T, N]` of those it may move."""
        ...

    def __call__(self, learner: Learner, placed: Placed, mask: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
        """The moved support `[T, N, C, H, W]`, against a learner in evaluation mode."""
        ...


@dataclass(frozen=True)
class CraftedSupport(Crafted):
    """A moved support, held to its threat and its mask.

    images: the support `[T, N, C, H, W]` to adapt to. base: the support as placed, round which the threat lies. mask:
    `[T, N]`, the images that could move. overshoot, outside: as in `Crafted`; what the attack moved off the mask, where
    the budget is 0, overshoots by its whole size.
    """

    base: Tensor
    mask: Tensor


def craft_support(
    attack: SupportAttack, learner: Learner, known: EpisodeBatch, seeds: Sequence[int] | None = None
) -> CraftedSupport:
    """Run a support attack on tasks whose queries are the attacker's own; its result, held to threat and mask.

    Raises `RobustMetaError` for a learner in training mode, and for shapes that differ from those of the support.
    """
    if learner.training:
        raise RobustMetaError("a support attack goes through the learner that is judged; call learner.eval() first")
    support, mask = attack.place(known, seeds)
    if support.shape != known.support_x.shape or mask.shape != known.support_y.shape:
        raise RobustMetaError(
            f"an attack on a support of shape {list(known.support_x.shape)} placed {list(support.shape)} with a mask "
            f"of {list(mask.shape)}; both must keep the support's tasks and images"
        )
    base, mask = support.detach(), mask.bool()
    placed = Placed(base, known.support_y, known.query_x, known.query_y, known.index, original_x=known.support_x)
    with torch.enable_grad():
        moved = attack(learner, placed, mask, seeds)
    crafted = held(attack.threat, moved, base)
    strayed = attack.threat.size(crafted.images - base).masked_fill(mask, 0).amax(1)
    images = torch.where(mask[..., None, None, None], crafted.images, base)
    return CraftedSupport(images, torch.maximum(crafted.overshoot, strayed), crafted.outside, base, mask)


def folds(query_y: Tensor) -> tuple[Tensor, Tensor]:
    """Two halves of the queries: columns `[T, Qa]` and `[T, Qb]`, every other query of each class.

    query_y: labels `[T, Q]`, in any order. An attack that knows one half is judged on the other, and the other way
    round, so that each query is judged once, by an attack that has not seen it.
    Raises `RobustMetaError` for a class of fewer than 2 queries, and for tasks whose halves differ in size.
    """
    members = F.one_hot(query_y)  # [T, Q, ways]
    few = (members.sum(1) < 2).nonzero()
    if len(few):
        task, label = few[0].tolist()
        number = int(members[task, :, label].sum())
        raise RobustMetaError(
            f"task {task} has {number} queries of class {label}; a support attack needs 2 or more of each class, "
            "to know some and be judged on the others"
        )
    later = (members.cumsum(1).gather(2, query_y[..., None])[..., 0] - 1) % 2
    size = (later == 0).sum(1)
    if (size != size[0]).any():
        raise RobustMetaError("the tasks of a batch have classes of different numbers of queries; give each batch one")
    order = later.argsort(dim=1, stable=True)
    return order[:, : int(size[0])], order[:, int(size[0]) :]


def with_columns(batch: EpisodeBatch, columns: Tensor) -> EpisodeBatch:
    """The same tasks with some of their queries: `columns` `[T, Q']` of each, as `folds` gives them."""
    task = torch.arange(batch.tasks, device=columns.device)[:, None]
    return replace(batch, query_x=batch.query_x[task, columns], query_y=batch.query_y[task, columns])
