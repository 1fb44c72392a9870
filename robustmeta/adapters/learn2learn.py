"""learn2learn's MAML: `clone()`, then `adapt(loss)`."""

import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.adapters.inner_loop import InnerLoopLearner, Loss, Weights


class Learn2Learn(InnerLoopLearner):
    """MAML or Meta-SGD of learn2learn (Arnold et al., 2020), or of its interface, as a learner.

    Adapted: clone = maml.clone(); `steps` times clone.adapt(loss(clone(support), labels)).

    maml: its `lr` is the inner learning rate, its `first_order` the order of the outer gradient. steps: of the inner
    loop, which learn2learn leaves to the caller's code. loss: what they descend.

    Deviates from learn2learn's examples in taking the queries after adaptation through the clone's weights alone, so
    that they do not move running statistics; and, for attacks on the support, in a second-order clone whatever the
    maml's own order is.

    Raises `RobustMetaError` for steps below 1, and as `TaskwiseLearner` does.
    """

    looks_for = "clone() and adapt(loss) (learn2learn)"

    def __init__(self, maml: nn.Module, *, steps: int = 5, loss: Loss = F.cross_entropy) -> None:
        super().__init__(maml, steps, bool(getattr(maml, "first_order", False)), loss)

    @classmethod
    def fits(cls, model: object) -> bool:
        """Whether a model has learn2learn's interface."""
        return isinstance(model, nn.Module) and all(callable(getattr(model, verb, None)) for verb in ("clone", "adapt"))

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Weights:
        """The weights of a clone adapted to a support `[N, C, H, W]` with labels `[N]`."""
        clone = self.network.clone()  # type: ignore[operator]
        clone.first_order = not self.second_order(support_x)
        for _ in range(self.steps):
            clone.adapt(self._loss(clone(support_x), support_y))
        return dict(clone.named_parameters())
