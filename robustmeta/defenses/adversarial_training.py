"""Adversarial training on the base classes: what the transfer baselines are made robust by."""

from robustmeta.attacks.base import Attack
from robustmeta.defenses.adversarial_querying import AdversarialQuerying
from robustmeta.defenses.base import DEFENSES
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner
from robustmeta.learners.base_training import BaseTrained


@DEFENSES.register("at")
class AdversarialTraining(AdversarialQuerying):
    """Adversarial training on the base classes (Madry et al., 2018; few-shot: Subramanya & Pirsiavash, 2022).

    min over theta of E [ max over ||delta|| <= eps of L(f(x + delta), class of x) ], x any image of the batch.

    Inner loop: none. Outer loop: the base classifier's loss on attacked images, support and queries alike.

    learner: one trained on base classes, as `transfer` or `finetune`. attack: what crafts the images. ramp, precision:
    as in `QueryDefense`.

    Deviates from the papers in the statistics that normalise the attacked images, which are those of the clean ones.

    Raises `RobustMetaError` as `QueryDefense` does, and for a learner that is trained on episodes.
    """

    def __init__(self, learner: Learner, attack: Attack, ramp: float = 0.0, precision: str = "float32") -> None:
        super().__init__(learner, attack, ramp, precision)
        if not isinstance(learner.base, BaseTrained):
            raise RobustMetaError(
                f"{type(learner.base).__name__} is trained on episodes, not on base classes; use 'aq', which attacks "
                "their queries"
            )
