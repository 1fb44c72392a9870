"""A plain `nn.Module` with a linear head, adapted by gradient steps on its head or on all of it."""

from torch import Tensor, nn

from robustmeta.adapters.inner_loop import InnerLoopLearner, Weights
from robustmeta.errors import RobustMetaError, unknown

MOVED = ("head", "all")


class LinearHeadModule(InnerLoopLearner):
    """Any network that ends in an `nn.Linear`, fine-tuned by a few gradient steps on each support.

    Adapted: theta_k+1 = theta_k - inner_lr * grad L_support(theta_k), L the cross-entropy, from the network's own
    weights; theta is the last `nn.Linear` registered (`head`, as ANIL; Raghu et al., 2020) or all of the network
    (`all`, as MAML; Finn, Abbeel & Levine, 2017). The outer gradient runs through the steps, unless `first_order`.

    network: gives logits `[N, ways]`; a backbone that gives features becomes one as
    `nn.Sequential(backbone, nn.Linear(features, ways))`. steps, inner_lr: of the inner loop. moves: `head` or `all`.

    Deviates from the papers in that queries move no running statistics.

    Raises `RobustMetaError` for a network without an `nn.Linear`, steps below 1, a learning rate that is not above 0,
    an unknown `moves`, and as `TaskwiseLearner` does.
    """

    looks_for = "an nn.Module that ends in an nn.Linear"

    def __init__(
        self,
        network: nn.Module,
        *,
        steps: int = 5,
        inner_lr: float = 0.1,
        moves: str = "head",
        first_order: bool = False,
    ) -> None:
        super().__init__(network, steps, first_order)
        if moves not in MOVED:
            raise unknown("part to move", moves, MOVED)
        if not inner_lr > 0:
            raise RobustMetaError(f"inner_lr is {inner_lr:g}; it must be above 0")
        if not self.fits(network):
            raise RobustMetaError(
                f"{type(network).__name__} has no nn.Linear to adapt; put one on top, as "
                "nn.Sequential(network, nn.Linear(features, ways))"
            )
        self.inner_lr = inner_lr
        head = [name for name, part in network.named_modules() if isinstance(part, nn.Linear)][-1]
        self._moves = f"{head}." if moves == "head" and head else ""

    @classmethod
    def fits(cls, model: object) -> bool:
        """Whether a model is a network with a linear layer."""
        return isinstance(model, nn.Module) and any(isinstance(part, nn.Linear) for part in model.modules())

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> Weights:
        """The moved weights adapted to a support `[N, C, H, W]` with labels `[N]`."""
        weights = {name: weight for name, weight in self.trained().items() if name.startswith(self._moves)}
        for _ in range(self.steps):
            gradients = self.gradients(weights, support_x, support_y)
            weights |= {name: weights[name] - self.inner_lr * gradient for name, gradient in gradients.items()}
        return weights
