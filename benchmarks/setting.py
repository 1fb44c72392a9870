"""What is compared: one setting, from which every contender makes its network with the same weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.clock import Clock
from benchmarks.plain import PlainClassifier, PlainConv4, plain_weights
from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import ProjectedGradient
from robustmeta.backbones import Conv4
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses import AdversarialQuerying
from robustmeta.episodes import Episodes
from robustmeta.learners import MAML, ProtoNet
from robustmeta.learners.base import Classifier


@dataclass(frozen=True)
class ClockedPGD(ProjectedGradient):
    """Robustmeta's attack, its time kept."""

    clock: Clock = field(default_factory=Clock, compare=False)

    def __call__(self, classifier: Classifier, images: Tensor, labels: Tensor, seeds: object = None) -> Tensor:
        """As `ProjectedGradient`."""
        with self.clock:
            return super().__call__(classifier, images, labels, seeds)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Setting:
    """An adversarial outer step: learner, network, inner loop and attack.

    learner: `maml` or `protonet`. norm: see `plain.NORMS`. eps: of the attack, Linf, in [0, 1] pixel units; its step
    size is 2.5 eps / attack_steps. random_start: of the attack; off where agreement is asserted. chunk: the tasks of
    a backward pass, which share statistics under `running` (0: all of them). keep, precision: of robustmeta's attack,
    see `ProjectedGradient` and `AdversarialQuerying`; the others have the last iterate and full precision.
    """

    learner: str = "maml"
    norm: str = "support"
    channels: int = 1
    size: int = 28
    width: int = 64
    ways: int = 5
    steps: int = 5
    inner_lr: float = 0.4
    eps: float = 0.1
    attack_steps: int = 7
    random_start: bool = True
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    seed: int = 0
    chunk: int = 0
    keep: str = "best"
    precision: str = "float32"

    @property
    def step_size(self) -> float:
        """Of the attack, in pixel units."""
        return 2.5 * self.eps / self.attack_steps

    def ours(self, clock: Clock | None = None) -> AdversarialQuerying:
        """Robustmeta's learner, in training mode."""
        torch.manual_seed(self.seed)
        backbone = Conv4(self.channels, self.size, self.width, self.norm)
        if self.learner == "maml":
            learner = MAML(backbone, self.ways, steps=self.steps, inner_lr=self.inner_lr)
        else:
            learner = ProtoNet(backbone)
        attack = ClockedPGD(
            Threat("Linf", self.eps),
            steps=self.attack_steps,
            random_start=self.random_start,
            keep=self.keep,
            clock=clock or Clock(),
        )
        return AdversarialQuerying(learner, attack, precision=self.precision).to(self.device, self.dtype).train()

    def plain(self) -> PlainClassifier | PlainConv4:
        """The other libraries' network, with the weights of `ours`; ProtoNet's is the backbone alone."""
        weights = plain_weights(dict(self.ours().named_parameters()))
        if self.learner == "maml":
            network = PlainClassifier(self.channels, self.size, self.width, self.ways, self.norm)
        else:
            network = PlainConv4(self.channels, self.width, self.norm)
            weights = {name.removeprefix("backbone."): weight for name, weight in weights.items()}
        network.load_state_dict(weights, strict=True)
        return network.to(self.device, self.dtype).train()

    def batch(self, episodes: Episodes, first: int, tasks: int) -> EpisodeBatch:
        """Tasks `first` to `first + tasks - 1`, in the setting's type and on its device."""
        drawn = episodes.batch(range(first, first + tasks))
        return EpisodeBatch(
            drawn.support_x.to(self.device, self.dtype),
            drawn.support_y.to(self.device).contiguous(),
            drawn.query_x.to(self.device, self.dtype),
            drawn.query_y.to(self.device).contiguous(),
            drawn.index,
        )


def tasks_of(dataset: str = "omniglot", root: str | Path | None = None) -> Episodes:
    """The training tasks compared: 5 classes, 1 shot, 15 queries a class."""
    return Episodes(dataset, "train", ways=5, shots=1, queries=15, root=root)


class Shifted(Episodes):
    """The tasks of some episodes from one of them on: task 0 here is task `first` there."""

    def __init__(self, episodes: Episodes, first: int) -> None:
        vars(self).update(vars(episodes))
        self.whole, self.first = episodes, first

    def batch(self, indices: Sequence[int]) -> EpisodeBatch:
        """The tasks of the given indices, `first` later."""
        return self.whole.batch([self.first + index for index in indices])
