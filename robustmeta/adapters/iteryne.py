"""iteryne's MAML: `clone()`, then `adapt_on(loss, images, labels)`."""

import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.adapters.inner_loop import InnerLoopLearner, Loss, Weights
from robustmeta.adapters.undisturbed import called


class Iteryne(InnerLoopLearner):
    """MAML, ANIL or Meta-SGD of iteryne (2026) as a learner.

    Adapted: maml.clone().adapt_on(loss, support, labels, steps=steps).

    maml: its `inner_lr`, `first_order` and `adapt_names` hold. steps: of the inner loop; by default its `inner_steps`.
    loss: what they descend.

    Deviates from iteryne in that queries move no running statistics; and, for attacks on the support, in second-order
    steps whatever the maml's own order is.

    Raises `RobustMetaError` for steps below 1, and as `TaskwiseLearner` does.
    """

    looks_for = "clone() and inner_steps (iteryne)"

    def __init__(self, maml: nn.Module, *, steps: int | None = None, loss: Loss = F.cross_entropy) -> None:
        own = int(getattr(maml, "inner_steps", 1))
        super().__init__(maml, own if steps is None else steps, bool(getattr(maml, "first_order", False)), loss)

    @classmethod
    def fits(cls, model: object) -> bool:
        """Whether a model has iteryne's interface."""
        return (
            isinstance(model, nn.Module) and callable(getattr(model, "clone", None)) and hasattr(model, "inner_steps")
        )

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Weights:
        """The weights adapted to a support `[N, C, H, W]` with labels `[N]`."""
        learner = self.network.clone()  # type: ignore[operator]
        learner.first_order = not self.second_order(support_x)
        adapted: Weights = learner.adapt_on(self._loss, support_x, support_y, steps=self.steps).params
        return adapted

    def logits_one(self, state: Weights, query_x: Tensor) -> Tensor:
        """Logits `[Q, ways]` of queries `[Q, C, H, W]` by the adapted module."""
        logits: Tensor = called(self.network.module, state, query_x)  # type: ignore[arg-type]
        return logits
