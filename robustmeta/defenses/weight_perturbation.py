"""Adversarial weight perturbation: the loss under attack, where the weights are moved against it too."""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from robustmeta.attacks.base import Attack
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses.adversarial_querying import around_queries
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.defenses.query_defense import QueryDefense
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Learner


@DEFENSES.register("awp")
class WeightPerturbation(Defense):
    """Adversarial weight perturbation (Wu, Xia & Wang, 2020), around a defense of the queries or any learner.

    min over theta of L'(theta + v), v = gamma * ||w|| * grad_w L' / ||grad_w L'|| for each weight w of two dimensions
    or more, L' the inner defense's loss on queries attacked at theta.

    Inner loop: adaptation to the clean support, from theta + v. Outer loop: the gradient is taken at theta + v, and
    moves theta.

    learner: a defense that attacks queries, as `aq` or `trades-aq`; or any learner, with an attack. attack: of
    adversarial querying around the learner, where that is no such defense. ramp: of that querying. gamma: the length
    of v, in lengths of w. after: the share of training before which v is 0.

    Deviates from the paper in moving the initialisation of a learner that adapts by gradient steps, whose adapted
    weights move with it, and in taking v from one gradient at theta, as its code does where it takes one step.

    Raises `RobustMetaError` for a gamma below 0, `after` outside [0, 1], and where there is no attack, or two.
    """

    learner: QueryDefense
    takes_objective = True

    def __init__(
        self,
        learner: Learner,
        attack: Attack | None = None,
        ramp: float = 0.0,
        *,
        gamma: float = 0.005,
        after: float = 0.0,
    ) -> None:
        super().__init__(around_queries("awp", learner, attack, ramp))
        if not gamma >= 0 or not 0 <= after <= 1:
            raise RobustMetaError(
                f"gamma is {gamma:g} and after {after:g}; the one must be at least 0, the other a share of training, "
                "0 to 1"
            )
        self.gamma, self.after = gamma, after

    def objective(self, batch: EpisodeBatch) -> Tensor:
        """The inner defense's objective at the moved weights, on queries attacked at the weights as they are."""
        classifier, queries = self.learner.pose(batch)
        attacked = self.learner.crafted(classifier, queries)
        loss = self.learner.against(classifier, queries, attacked)
        if self.progress < self.after or not self.gamma or not loss.requires_grad:
            return loss
        moved = self._moved(loss)
        # On copies of the buffers, as the batch has been tracked once.
        buffers = {f"defense.{name}": buffer.clone() for name, buffer in self.learner.named_buffers()}
        again: Tensor = functional_call(_Asked(self.learner), {**moved, **buffers}, (batch, attacked))
        return again

    def _moved(self, loss: Tensor) -> dict[str, Tensor]:
        """The weights theta + v by name, v a constant, so that a gradient to them is one to theta."""
        weights: dict[str, Tensor] = {f"defense.{name}": weight for name, weight in self.learner.named_parameters()}
        large = {name: weight for name, weight in weights.items() if weight.requires_grad and weight.dim() > 1}
        gradients = torch.autograd.grad(loss, list(large.values()), allow_unused=True)
        for (name, weight), gradient in zip(large.items(), gradients, strict=True):
            if gradient is not None:
                v = self.gamma * weight.norm() * gradient / gradient.norm().clamp_min(torch.finfo(gradient.dtype).tiny)
                weights[name] = weight + v.detach()
        return weights


class _Asked(nn.Module):
    """A defense's loss on given attacked queries, in the shape that `functional_call` needs."""

    def __init__(self, defense: QueryDefense) -> None:
        super().__init__()
        self.defense = defense

    def forward(self, batch: EpisodeBatch, attacked: Tensor) -> Tensor:
        classifier, queries = self.defense.pose(batch)
        return self.defense.against(classifier, queries, attacked)
