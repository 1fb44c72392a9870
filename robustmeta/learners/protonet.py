"""Prototypical networks: the nearest class mean in feature space."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics, detach, select_tasks
from robustmeta.episodes import check_support
from robustmeta.learners.base import LEARNERS, Classifier, Learner, freeze


class PrototypeClassifier(Classifier):
    """Minus the squared Euclidean distance to each class's prototype `[T, ways, D]`."""

    def __init__(
        self, backbone: Backbone, weights: dict[str, Tensor], statistics: Statistics | None, prototypes: Tensor
    ) -> None:
        super().__init__()
        self._backbone = (backbone,)  # in a tuple, so that its parameters are not this module's
        self.weights, self.statistics, self.prototypes = weights, statistics, prototypes
        self.ways = prototypes.shape[1]
        self.inductive = backbone.norm != "transductive"
        # Statistics of each task's own make its weights its own, once they are folded into them.
        self.shares_weights = statistics is None or len(statistics[0].mean) == 1

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        features, _ = functional_call(self._backbone[0], self.weights, (query_x, self.statistics))
        return squared_distance_logits(features, self.prototypes)

    def detach(self) -> "PrototypeClassifier":
        """The same classifiers, constants but for their input."""
        weights, statistics = freeze(self.weights), detach(self.statistics)
        return PrototypeClassifier(self._backbone[0], weights, statistics, self.prototypes.detach())

    def select(self, tasks: Sequence[int]) -> "PrototypeClassifier":
        """The classifiers of some of the tasks, in the order given."""
        statistics = select_tasks(self.statistics, tasks)
        return PrototypeClassifier(self._backbone[0], self.weights, statistics, self.prototypes[list(tasks)])


def squared_distance_logits(features: Tensor, prototypes: Tensor) -> Tensor:
    """-||f - p||^2 for features `[T, Q, D]` and prototypes `[T, ways, D]`: logits `[T, Q, ways]`."""
    cross = features @ prototypes.mT
    return 2 * cross - features.square().sum(-1, keepdim=True) - prototypes.square().sum(-1)[:, None]


def class_means(features: Tensor, labels: Tensor) -> Tensor:
    """Means `[T, ways, D]` of features `[T, N, D]` by label `[T, N]`; classes may have different shots."""
    members = F.one_hot(labels).to(features.dtype)  # [T, N, ways]
    return members.mT @ features / members.sum(1)[..., None]


@LEARNERS.register("protonet")
class ProtoNet(Learner):
    """Prototypical networks (Snell, Swersky & Zemel, 2017).

    Adapted: p_c = mean of f(x) over the support of class c; logits(x)_c = -||f(x) - p_c||^2.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`.

    Deviates from the paper in nothing but the normalization policy, which is the backbone's setting; the paper's
    higher training way is a setting of the training episodes.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def adapt(self, support_x: Tensor, support_y: Tensor) -> PrototypeClassifier:
        """The nearest-prototype classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`.

        Raises `RobustMetaError` for a support that `check_support` refuses.
        """
        check_support(support_x, support_y)
        weights: dict[str, Tensor] = dict(self.backbone.named_parameters())
        if not self.training:
            weights = freeze(weights)  # so that a graph begins at the support or nowhere
        features, statistics = functional_call(self.backbone, weights, (support_x,))
        if self.training:
            self.backbone.track(statistics)
        return PrototypeClassifier(self.backbone, weights, statistics, class_means(features, support_y))
