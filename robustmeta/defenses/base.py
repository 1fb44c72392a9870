"""What every defense is: a learner around a learner; and their registry."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from robustmeta.attacks.base import Attack
from robustmeta.batch import EpisodeBatch, Queries
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner
from robustmeta.learners.base_training import BaseTrained
from robustmeta.registry import Registry

DEFENSES: Registry[type[Learner]] = Registry("defense")


class Defense(Learner):
    """A learner around a learner, whose classifiers are the inner one's; a subclass changes how it is trained.

    It may change what is posed (`pose`), what is asked of it (`outer_loss`), or what training minimises (`objective`).
    Defenses go round each other: those of the first two kinds inside, as the outer one takes what the inner one poses
    and asks; one of the third kind is around them all, but for those that say what they take (`takes_objective`).

    learner: any learner. ramp: the share of training over which eps grows from 0 to its full size; 0 is a constant eps.

    Raises `RobustMetaError` for a ramp outside [0, 1], a learner under a defense that this one would undo, or which it
    repeats, and, in training, a loss that reaches no parameter.
    """

    takes_objective: bool = False
    """Whether it makes its own objective of the inner defense's."""

    adapts_in_training: bool = False
    """Whether it means nothing to a learner that is trained on base classes, without adapting."""

    undoes: tuple[str, ...] = ()
    """The defenses that would lose their effect inside this one, by name."""

    def __init__(self, learner: Learner, ramp: float = 0.0) -> None:
        super().__init__()
        if not 0 <= ramp <= 1:
            raise RobustMetaError(f"ramp is {ramp:g}; it is a share of training, 0 to 1")
        own = DEFENSES.name_of(type(self)) or type(self).__name__.lower()
        if has_objective(learner) and not self.takes_objective:
            raise RobustMetaError(
                f"{own} around {learner.defense} would take the place of what that one trains for; put it inside, or "
                "leave one of them out"
            )
        inside = learner.defense.split("+")
        if lost := {own, *self.undoes} & {*inside}:
            raise RobustMetaError(
                f"{own} around {learner.defense} would leave {lost.pop()} without its effect, or have it twice; put it "
                "the other way round, or leave one of them out"
            )
        if self.adapts_in_training and isinstance(learner.base, BaseTrained):
            raise RobustMetaError(
                f"{own} changes the support, and {type(learner.base).__name__} adapts to none in training; use 'at', "
                "which attacks all its images"
            )
        self.learner, self.ramp, self.replays = learner, ramp, learner.replays
        self.progress = learner.progress
        self.defense = own if learner.defense == "natural" else f"{learner.defense}+{own}"

    @property
    def progress(self) -> float:
        """How far training has come, 0 to 1; what is set here is set for all inside."""
        return self._progress

    @progress.setter
    def progress(self, share: float) -> None:
        self._progress = share
        self.learner.progress = share

    @property
    def base(self) -> Learner:
        """The learner inside, without any defense."""
        return self.learner.base

    @property
    def eps_share(self) -> float:
        """The share of the full eps at this point of training, 0 to 1."""
        return min(1.0, self.progress / self.ramp) if self.ramp else 1.0

    def scaled(self, attack: Attack) -> Attack:
        """The attack at this point of training: at its share of the full eps."""
        if not self.ramp:
            return attack
        if not hasattr(attack, "scaled"):
            raise RobustMetaError(f"ramp is {self.ramp:g}, and the attack {attack!r} has no method scaled(factor)")
        at_share: Attack = attack.scaled(self.eps_share)
        return at_share

    def adapt(self, support_x: Tensor, support_y: Tensor) -> Classifier:
        """The inner learner's classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`."""
        return self.learner.adapt(support_x, support_y)

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses."""
        return self.learner.pose(batch)

    def outer_loss(self, classifier: Classifier, queries: Queries) -> Tensor:
        """The inner learner's."""
        return self.learner.outer_loss(classifier, queries)

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """What training minimises, a scalar: by default the outer loss on what is posed."""
        return self.outer_loss(*self.pose(batch))

    def loss(self, batch: EpisodeBatch) -> Tensor:
        """The objective, a scalar."""
        loss = self.objective(batch)
        trains = self.training and torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if trains and not loss.requires_grad:
            raise RobustMetaError(
                f"the outer loss reaches no parameter of {type(self.base).__name__}: its adapt detaches the weights or "
                "runs without gradients; let its classifiers hang on the parameters in training"
            )
        return loss


def stack(learner: Learner) -> Iterator[Learner]:
    """The learner, the one it is around, and so on to the innermost."""
    yield learner
    while isinstance(learner, Defense):
        learner = learner.learner
        yield learner


def has_objective(learner: Learner) -> bool:
    """Whether a learner is a defense with an objective of its own."""
    return isinstance(learner, Defense) and type(learner).objective is not Defense.objective


@contextmanager
def asked_once(classifier: Classifier) -> Iterator[None]:
    """Within it a classifier that is asked about the same tensor twice running answers with the same logits."""
    forward = classifier.forward
    last: list[Tensor] = []

    def remembering(query_x: Tensor) -> Tensor:
        if not last or last[0] is not query_x:
            last[:] = query_x, forward(query_x)
        logits: Tensor = last[1]
        return logits

    outer = classifier.__dict__.get("forward")
    classifier.__dict__["forward"] = remembering
    try:
        yield
    finally:
        del classifier.__dict__["forward"]
        if outer is not None:
            classifier.__dict__["forward"] = outer
