"""What the adapters to code with an inner loop of gradient steps share."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.adapters.taskwise import TaskwiseLearner
from robustmeta.adapters.undisturbed import called
from robustmeta.errors import RobustMetaError

Loss = Callable[[Tensor, Tensor], Tensor]
Weights = dict[str, Tensor]


class InnerLoopLearner(TaskwiseLearner):
    """A learner whose state is the adapted weights of a network, by name; a subclass defines `adapt_one`.

    network: gives logits `[N, ways]`. steps: of the inner loop. loss: what they descend, of logits and labels.
    first_order: whether training takes each inner gradient as a constant.

    Raises `RobustMetaError` for steps below 1, and, at the first support, where no weight that it moves trains.
    """

    def __init__(self, network: nn.Module, steps: int, first_order: bool = False, loss: Loss = F.cross_entropy) -> None:
        super().__init__()
        if steps < 1:
            raise RobustMetaError(f"steps is {steps}; an inner loop takes at least 1")
        self.network, self.steps, self._loss = network, steps, loss
        self.order = "first" if first_order else "second"

    def logits_one(self, state: Weights, query_x: Tensor) -> Tensor:
        """Logits `[Q, ways]` of queries `[Q, C, H, W]` by the adapted network."""
        logits: Tensor = called(self.network, state, query_x)
        return logits

    def second_order(self, support_x: Tensor) -> bool:
        """Whether the inner loop on a support is to be differentiated: not in evaluation, but for attacks on it."""
        return self.order == "second" if self.training else support_x.requires_grad

    def support_loss(self, weights: Weights, support_x: Tensor, support_y: Tensor) -> Tensor:
        """The loss (a scalar) of the network with these weights on a support `[N, C, H, W]` with labels `[N]`."""
        return self._loss(called(self.network, weights, support_x), support_y)

    def gradients(self, weights: Weights, support_x: Tensor, support_y: Tensor) -> Weights:
        """The gradient of the support's loss at the weights, by name; only of those it hangs on."""
        if not weights:
            raise RobustMetaError(
                f"the inner loop finds nothing to move in {type(self.network).__name__}: all the parameters that are "
                "its to move are frozen; call requires_grad_(True) on them"
            )
        loss = self.support_loss(weights, support_x, support_y)
        found = torch.autograd.grad(
            loss, list(weights.values()), create_graph=self.second_order(support_x), allow_unused=True
        )
        return {name: gradient for name, gradient in zip(weights, found, strict=True) if gradient is not None}

    def trained(self) -> Weights:
        """The weights of the network that train, by name."""
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}
