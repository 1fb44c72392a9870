"""Memory-augmented neural network: a recurrent controller that writes what it sees to a memory, and reads it again."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import Backbone
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.embedding import EmbeddingLearner
from robustmeta.learners.fast_weights import check_ways


class Memory(NamedTuple):
    """What the support left: slots `[T, S, W]`, the controller's state `[T, H]`, the last read and the last label."""

    slots: Tensor
    hidden: Tensor
    cell: Tensor
    read: Tensor
    label: Tensor


def addressed(keys: Tensor, slots: Tensor, sharpness: Tensor) -> Tensor:
    """softmax_s(sharpness * cos(k, M_s)): of keys `[T, ..., R, W]` and slots `[T, S, W]`, `[T, ..., R, S]`.

    sharpness: `[R]`, of each head. Empty slots, which point nowhere, have a cosine of 0.
    """
    keys, slots = (x * (x.square().sum(-1, keepdim=True) + 1e-4).rsqrt() for x in (keys, slots))
    cosines = (keys.flatten(1, -2) @ slots.mT).view(*keys.shape[:-1], -1)
    return (sharpness[:, None] * cosines).softmax(-1)


def least_used(usage: Tensor, heads: int) -> Tensor:
    """The slot to be overwritten by each head, one-hot `[T, R, S]`: those with the least usage `[T, S]`."""
    return F.one_hot(usage.argsort(dim=-1, stable=True)[:, :heads], usage.shape[-1]).to(usage.dtype)


def written(slots: Tensor, keys: Tensor, least: Tensor, weights: Tensor) -> Tensor:
    """M_s = M_s * [s is not a least used slot] + sum over heads of w_s * k: slots `[T, S, W]` of keys `[T, R, W]`."""
    return slots * (1 - least.sum(1))[..., None] + weights.mT @ keys


@LEARNERS.register("mann")
class MANN(EmbeddingLearner):
    """Memory-augmented neural network (Santoro, Bartunov, Botvinick, Wierstra & Lillicrap, 2016).

    Adapted: for each support image, in an order drawn for the task, an LSTM sees its features, its label, and what was
    read at the image before; it makes keys k and gates a, reads r = sum_s w^r_s M_s with w^r = softmax cos(k, M),
    and writes M <- M + w^w k with w^w = sigmoid(a) w^r_before + (1 - sigmoid(a)) w^lu, where w^lu are the least used
    slots, emptied first; usage w^u <- gamma w^u + w^r + w^w. Each query is seen next after the support, by itself
    and without its label; logits = W [h, r]. The order is a matter of the support in training, and the same for all
    tasks in evaluation.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`. ways: classes of a task, fixed by the
    labels that the controller sees.
    slots, slot_size: S and W, the size of the memory. hidden: units of the controller. reads: heads, which read and
    write. gamma: how much of the usage is left after each image.
    delayed: whether the label of a support image is seen one image later, as in the paper, and not with it.

    Deviates from the paper in a backbone before the controller, in learned factors of the cosines, where the paper's
    are 1 and no read is sharp, in reading before writing, so that no image finds itself, and in scoring queries only,
    each from the state that the support left, where the paper scores every image of one long sequence and so must show
    its label later (`delayed`), which takes far longer to learn.

    Raises `RobustMetaError` for sizes below 1, fewer slots than heads, or a gamma outside [0, 1].
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        slots: int = 128,
        slot_size: int = 40,
        hidden: int = 200,
        reads: int = 4,
        gamma: float = 0.95,
        delayed: bool = False,
    ) -> None:
        super().__init__(backbone)
        if min(ways, slot_size, hidden, reads) < 1 or slots < reads or not 0 <= gamma <= 1:
            raise RobustMetaError(
                f"slots is {slots}, slot_size {slot_size}, hidden {hidden}, reads {reads} and gamma {gamma:g}; sizes "
                "must be at least 1, slots at least reads, and gamma must lie in [0, 1]"
            )
        self.ways, self.slots, self.slot_size, self.reads, self.gamma = ways, slots, slot_size, reads, gamma
        self.delayed = delayed
        self.controller = nn.LSTMCell(backbone.out_features + ways + reads * slot_size, hidden)
        self.key = nn.Linear(hidden, reads * slot_size)
        self.gate = nn.Linear(hidden, reads)
        self.sharpness = nn.Parameter(torch.full((reads,), 10.0))
        self.output = nn.Linear(hidden + reads * slot_size, ways)

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Memory:
        """The memories of supports with features `[T, N, D]` and labels `[T, N]`."""
        check_ways(self, labels, self.ways)
        order = draws.orders(features.shape[1])[..., None]
        features = features.gather(1, order.expand_as(features))
        wanted = F.one_hot(labels.gather(1, order[..., 0]), self.ways).to(features.dtype)

        def empty(*shape: int) -> Tensor:
            return features.new_zeros(len(features), *shape)

        hidden, read = empty(self.controller.hidden_size), empty(self.reads * self.slot_size)
        memory = Memory(empty(self.slots, self.slot_size), hidden, hidden, read, empty(self.ways))
        usage, weights = empty(self.slots), empty(self.reads, self.slots)  # weights of the last read
        for image, label in zip(features.unbind(1), wanted.unbind(1), strict=True):
            if not self.delayed:
                memory, label = memory._replace(label=label), torch.zeros_like(label)
            hidden, cell, keys, found, read = (part.squeeze(1) for part in self._seen(memory, image[:, None]))
            least = least_used(usage, self.reads)
            writing = torch.lerp(least, weights, self.gate(hidden).sigmoid()[..., None])
            usage = self.gamma * usage + found.sum(1) + writing.sum(1)
            memory, weights = Memory(written(memory.slots, keys, least, writing), hidden, cell, read, label), found
        return memory

    def logits(self, state: Memory, features: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of features `[T, Q, D]`, each seen next after the support."""
        hidden, _, _, _, read = self._seen(state, features)
        logits: Tensor = self.output(torch.cat([hidden, read], -1))
        return logits

    def _seen(self, memory: Memory, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What comes of each of `[T, Q, D]`, seen next: hidden, cell, keys, reading weights and what is read."""
        shape = features.shape[:2]
        hidden, cell, read, label = (part[:, None].expand(*shape, -1).flatten(0, 1) for part in memory[1:])
        given = torch.cat([features.flatten(0, 1), label, read], -1)
        hidden, cell = (part.view(*shape, -1) for part in self.controller(given, (hidden, cell)))
        keys = self.key(hidden).tanh().unflatten(-1, (self.reads, self.slot_size))  # [T, Q, R, W]
        weights = addressed(keys, memory.slots, self.sharpness)
        read = (weights.flatten(1, 2) @ memory.slots).view(*shape, -1)
        return hidden, cell, keys, weights, read
