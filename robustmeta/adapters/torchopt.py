"""A network and a functional optimizer of TorchOpt: MAML as TorchOpt's functional examples write it."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.adapters.inner_loop import InnerLoopLearner, Loss, Weights
from robustmeta.errors import RobustMetaError


class TorchOpt(InnerLoopLearner):
    """Functional MAML with an optimizer of TorchOpt (Ren et al., 2022) in the inner loop.

    Adapted: `steps` times updates, s <- inner.update(grad L_support(theta), s); theta <- theta + updates.

    network: gives logits `[N, ways]`. inner: a functional optimizer, as `torchopt.sgd(lr=0.1)` or `torchopt.adam(...)`,
    whose state begins anew with each task. steps, loss: of the inner loop. first_order: whether training takes each
    inner gradient as a constant.

    Deviates from TorchOpt's examples in that queries move no running statistics.

    Raises `RobustMetaError` for an `inner` without `init` and `update`, steps below 1, and as `TaskwiseLearner` does.
    """

    looks_for = "a network with inner= an optimizer that has init and update (TorchOpt)"

    def __init__(
        self,
        network: nn.Module,
        inner: Any,
        *,
        steps: int = 5,
        first_order: bool = False,
        loss: Loss = F.cross_entropy,
    ) -> None:
        super().__init__(network, steps, first_order, loss)
        if not all(callable(getattr(inner, verb, None)) for verb in ("init", "update")):
            raise RobustMetaError(
                f"inner is a {type(inner).__name__}; it must be a functional optimizer, as torchopt.sgd(lr=0.1)"
            )
        self._inner = (inner,)  # in a tuple, as it is a function of what it is given

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Weights:
        """The weights adapted to a support `[N, C, H, W]` with labels `[N]`."""
        (inner,) = self._inner
        weights = self.trained()
        state = inner.init(weights)
        for _ in range(self.steps):
            gradients = self.gradients(weights, support_x, support_y)
            every = {name: gradients.get(name) for name in weights}
            updates, state = inner.update(every, state, params=weights, inplace=False)
            weights = {
                name: weight if updates[name] is None else weight + updates[name] for name, weight in weights.items()
            }
        return weights
