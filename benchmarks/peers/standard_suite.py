"""The attacks of the suite `standard` as torchattacks has them, looped over episodes: what its user would write."""

from collections.abc import Callable, Iterable, Mapping

import torch
import torchattacks
from torch import Tensor, nn

from benchmarks.peers.protonet import Distances, Prototypes
from benchmarks.plain import Moments, PlainConv4, plain_weights, prototypes
from robustmeta.batch import EpisodeBatch


class MarginPGD(torchattacks.PGD):
    """PGD on the margin between the best wrong logit and the right one, which torchattacks does not have.

    Its UPGD with `loss="margin"` divides by a gradient that is 0 once a query is fooled, and returns NaN.
    """

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """As PGD's, but for the loss."""
        images, labels = images.clone().detach(), labels.clone().detach()
        moved = images + torch.empty_like(images).uniform_(-self.eps, self.eps)
        moved = moved.clamp(0, 1).detach()
        for _ in range(self.steps):
            moved.requires_grad = True
            logits = self.get_logits(moved)
            wrong = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
            cost = (wrong - logits.gather(1, labels[:, None])[:, 0]).sum()
            (gradient,) = torch.autograd.grad(cost, moved)
            moved = moved.detach() + self.alpha * gradient.sign()
            delta = (moved - images).clamp(-self.eps, self.eps)
            moved = (images + delta).clamp(0, 1).detach()
        return moved


STANDARD: Mapping[str, Callable[[nn.Module, float], torchattacks.attack.Attack]] = {
    "fgsm": lambda model, eps: torchattacks.FGSM(model, eps=eps),
    "pgd-50": lambda model, eps: torchattacks.PGD(model, eps=eps, alpha=eps / 20, steps=50, random_start=True),
    "pgd-50-margin": lambda model, eps: MarginPGD(model, eps=eps, alpha=eps / 20, steps=50),
    "mifgsm": lambda model, eps: torchattacks.MIFGSM(model, eps=eps, alpha=eps / 10, steps=10, decay=1.0),
    "apgd-ce-100": lambda model, eps: torchattacks.APGD(model, eps=eps, steps=100, loss="ce"),
    "apgd-dlr-100": lambda model, eps: torchattacks.APGD(model, eps=eps, steps=100, loss="dlr"),
    "square-1000": lambda model, eps: torchattacks.Square(model, eps=eps, n_queries=1000, loss="margin"),
}
"""The cards of the suite by name, with their settings; Linf."""


class Positive(Distances):
    """ProtoNet's logits, moved so that the least is 1: torchattacks' margins mask with zeros."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[N, ways]`, the same to softmax and argmax."""
        logits = super().forward(images)
        return logits - logits.detach().amin(1, keepdim=True) + 1


class SuiteLoop:
    """A trained ProtoNet under the suite: adapt once an episode, then every attack on all of its queries.

    weights: of robustmeta's ProtoNet, by name. norm: its normalization policy; under `running` the averages of
    training, as everywhere in evaluation.
    """

    def __init__(self, weights: Mapping[str, Tensor], norm: str, ways: int, eps: float) -> None:
        plain = {name.removeprefix("backbone."): tensor for name, tensor in plain_weights(weights).items()}
        averages = {name: plain.pop(name) for name in list(plain) if "running_" in name}
        width, channels = plain["blocks.0.conv.weight"].shape[:2]
        self.network = PlainConv4(channels, width, norm).requires_grad_(False).eval()
        self.network.load_state_dict(plain)
        self.ways, self.eps = ways, eps
        self.averages: Moments | None = None
        if norm == "running":
            of = [[averages[f"blocks.{i}.running_{part}"] for part in ("mean", "var")] for i in range(4)]
            self.averages = [(mean, var) for mean, var in of]

    def standing(self, batch: EpisodeBatch, attacks: Iterable[str] = STANDARD) -> dict[str, Tensor]:
        """Which queries `[T, Q]` stay right, clean and under each attack."""
        attacks = list(attacks)
        right: dict[str, list[Tensor]] = {name: [] for name in ("clean", *attacks)}
        for task in range(batch.tasks):
            support, labels = batch.support_x[task], batch.support_y[task]
            given = self.averages or self.network(support, moments=True)
            means = prototypes(self.network(support, given), labels, self.ways)
            model = Positive(self.network, Prototypes(means[None], given))
            queries, labels = batch.query_x[task], batch.query_y[task]
            right["clean"].append(_right(model, queries, labels))
            for name in attacks:
                moved = STANDARD[name](model, self.eps)(queries, labels)
                right[name].append(_right(model, moved, labels))
        return {name: torch.stack(each) for name, each in right.items()}


@torch.no_grad()
def _right(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    right: Tensor = model(images).argmax(1) == labels
    return right
