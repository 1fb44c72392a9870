"""First-order MAML: MAML whose outer gradient takes the inner ones as constants."""

from robustmeta.backbones import Backbone
from robustmeta.learners.base import LEARNERS
from robustmeta.learners.maml import MAML


@LEARNERS.register("fomaml")
class FOMAML(MAML):
    """First-order MAML (Finn, Abbeel & Levine, 2017).

    Adapted: theta_k+1 = theta_k - inner_lr * grad L_support(theta_k); the outer gradient of a task is
    grad L_query(theta_K), taken at the adapted weights as if it were at theta_0.

    The settings are those of `MAML`, but for `first_order`, which is what this one has.

    Deviates from the paper in what `MAML` does.

    Raises `RobustMetaError` for what `MAML` does.
    """

    order = "first"

    def __init__(
        self,
        backbone: Backbone,
        ways: int = 5,
        *,
        steps: int = 5,
        inner_lr: float = 0.4,
        test_steps: int | None = None,
        test_inner_lr: float | None = None,
        engine: str = "auto",
    ) -> None:
        super().__init__(
            backbone,
            ways,
            steps=steps,
            inner_lr=inner_lr,
            test_steps=test_steps,
            test_inner_lr=test_inner_lr,
            first_order=True,
            engine=engine,
        )
