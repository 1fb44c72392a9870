"""Transfer: images crafted against the undefended twin of a learner, tried on the learner itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from robustmeta.attacks.apgd import AutoPGD
from robustmeta.attacks.base import Attack, EpisodeAttack, Threat, Traits, traits_of
from robustmeta.attacks.card import card
from robustmeta.attacks.engine import ENGINES
from robustmeta.attacks.meter import Meter, MeteredLearner
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


@dataclass(frozen=True)
class Transfer(EpisodeAttack):
    """Transfer from another learner (Papernot, McDaniel & Goodfellow, 2016).

    x_adv = attack(A(twin, support), x, y), scored by A(learner, support): the same episodes, other weights.

    attack: what crafts the images, against the twin. twin: a learner, commonly the undefended one of the same backbone.
    fewest_ways, channels: of the tasks and images that the attack can do; None for any channels.

    Deviates from the paper, which trained a substitute on the target's answers, in that the twin never saw them.
    """

    attack: Attack
    twin: Learner = field(repr=False)
    fewest_ways: int = 2
    channels: int | None = None

    @property
    def threat(self) -> Threat:
        """The threat of the attack inside."""
        return self.attack.threat

    @property
    def traits(self) -> Traits:
        """Those of the attack inside, with the knowledge `transfer`."""
        return replace(traits_of(self.attack), knowledge="transfer")

    def scaled(self, factor: float) -> "Transfer":
        """The same transfer with the attack's eps times `factor`."""
        return replace(self, attack=self.attack.scaled(factor))  # type: ignore[attr-defined]

    def bound(self, batch: EpisodeBatch, meter: Meter) -> Attack:
        """The attack on the tasks of `batch`, whose supports the twin is adapted to; `meter` counts the twin's use."""
        twin = MeteredLearner(self.twin.eval(), meter)
        return _Bound(self.attack, twin.adapt(batch.support_x, batch.support_y).detach())

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        """Raises `RobustMetaError`: a transfer needs the support, so it is called as `bound(batch, meter)`."""
        raise RobustMetaError("a transfer attack needs the support of its tasks; call attack.bound(batch, meter)(...)")


@dataclass(frozen=True)
class _Bound:
    attack: Attack
    twin: Classifier

    @property
    def threat(self) -> Threat:
        return self.attack.threat

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: Sequence[int] | None = None
    ) -> Tensor:
        return self.attack(self.twin, images, labels, seeds)


@ENGINES.register("transfer")
def transfer(threat: Threat, *, attack: str, twin: Learner | None = None) -> Attack:
    """The transfer attack of a card whose `attack` names another card, crafted to the highest loss.

    Raises `RobustMetaError` if there is no twin, or if the other card is not of a white-box attack on queries.
    """
    found = card(attack)
    if (found.target, found.knowledge) != ("query", "white-box"):
        raise RobustMetaError(f"a transfer of {attack!r} cannot be: it takes a white-box attack on queries, as pgd-50")
    inner = found.build(threat)
    if isinstance(inner, ProjectedGradient | AutoPGD):
        inner = replace(inner, until_fooled=False)  # what barely fools the twin seldom fools another
    if twin is None:
        raise RobustMetaError(f"a transfer of {attack!r} needs the undefended twin of the learner; give a twin")
    return Transfer(inner, twin, found.fewest_ways, found.channels)
