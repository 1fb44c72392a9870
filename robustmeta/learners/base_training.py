"""Training on the classes of the data set themselves, as one large classification: how transfer baselines begin."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics, detach
from robustmeta.batch import EpisodeBatch, PosedQueries, Queries
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, freeze
from robustmeta.learners.embedding import EmbeddingLearner


class BaseClassifier(Classifier):
    """The cosine classifier of all base classes: images `[T, N, C, H, W]` to logits `[T, N, classes]`."""

    shares_weights = True

    def __init__(self, learner: "BaseTrained", weights: dict[str, Tensor], statistics: Statistics | None) -> None:
        super().__init__()
        self._learner = (learner,)  # in a tuple, so that its parameters are not this module's
        self.weights, self.statistics, self.ways = weights, statistics, len(learner.centres)
        self.inductive = learner.backbone.norm != "transductive"

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, N, classes]` of images `[T, N, C, H, W]`."""
        learner = self._learner[0]
        logits: Tensor = functional_call(learner, self.weights, (learner.base_logits, query_x, self.statistics))
        return logits

    def detach(self) -> "BaseClassifier":
        """The same classifier, constant but for its input."""
        return BaseClassifier(self._learner[0], freeze(self.weights), detach(self.statistics))

    def select(self, tasks: Sequence[int]) -> "BaseClassifier":
        """Itself: every task is the same."""
        return self


class BaseTrained(EmbeddingLearner):
    """A learner whose backbone is trained to tell all base classes apart, by cosine similarity to a centre of each.

    Outer loss: cross-entropy of scale * cos(f(x), w_b) over the base classes b, on all images of a batch, its support
    and its queries. A defense attacks those images, against that classifier: plain adversarial training.
    The statistics of the batch's own images normalise them in training, those of the clean images under a defense too:
    a deviation from adversarial training as usual, whose attacked images have statistics of their own.

    backbone: as `Conv4`. classes: how many base classes there are.

    Raises `RobustMetaError` for a normalization policy other than `running` or `group`, which have no tasks in them,
    and, in training, for batches without `classes`, or of a split with more.
    """

    def __init__(self, backbone: Backbone, classes: int) -> None:
        super().__init__(backbone)
        if backbone.norm not in ("running", "group"):
            raise RobustMetaError(
                f"the normalization policy is {backbone.norm!r}; {type(self).__name__} is trained on images of all "
                "classes together, under running or group"
            )
        self.centres = nn.Parameter(0.1 * torch.randn(classes, backbone.out_features))  # short: they turn faster
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """The classifier of all base classes, and all images of the batch with their classes."""
        if batch.classes is None:
            raise RobustMetaError(f"{type(self).__name__} trains on the classes of a data set; the batch names none")
        if int(batch.classes.max()) >= len(self.centres):
            raise RobustMetaError(
                f"the batch has class {int(batch.classes.max())}; {type(self).__name__} was made for "
                f"{len(self.centres)} of them"
            )
        images = torch.cat([batch.support_x, batch.query_x], dim=1)
        labels = batch.classes.gather(1, torch.cat([batch.support_y, batch.query_y], dim=1))
        _, statistics = self.backbone(images)
        self.backbone.track(statistics)
        classifier = BaseClassifier(self, dict(self.named_parameters()), statistics)
        return classifier, PosedQueries(images, labels, batch.index)

    def base_logits(self, images: Tensor, statistics: Statistics | None) -> Tensor:
        """Scale * cos(f(x), w_b): logits `[T, N, classes]` of images `[T, N, C, H, W]`."""
        return self.cosine_logits(self.backbone(images, statistics)[0], self.centres)

    def cosine_logits(self, features: Tensor, centres: Tensor) -> Tensor:
        """Logits scale * cos(f, c) `[T, Q, ways]` of features `[T, Q, D]` and centres, one set or `[T, ways, D]`."""
        return self.log_scale.exp() * F.normalize(features, dim=-1) @ F.normalize(centres, dim=-1).mT
