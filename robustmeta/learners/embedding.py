"""Learners that embed every image with one set of weights, and classify features by what the support made of a task."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.func import functional_call

from robustmeta.backbones import Backbone, Statistics, detach, select_tasks
from robustmeta.batch import check_support, ways_of
from robustmeta.draws import Draws, seeds_of
from robustmeta.learners.base import Classifier, Learner, freeze


class EmbeddingLearner(Learner):
    """A learner whose tasks share their weights: features f(x) of a backbone, and a state of each task's own.

    A subclass defines `fit`, from the support's features to the state, and `logits`, from the state to the logits of
    queries; both may use parameters of the learner's own. The state is a NamedTuple of tensors `[T, ...]`.

    backbone: images `[T, N, C, H, W]` to features `[T, N, D]`, as `Conv4`.
    """

    samples: int = 0
    """How many random draws the logits are an average over."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def fit(self, features: Tensor, labels: Tensor, draws: Draws) -> Any:
        """The state of T tasks from the features `[T, N, D]` of their supports and labels `[T, N]`.

        draws: the random numbers of the adaptation, for learners that need any.
        """
        raise NotImplementedError(f"{type(self).__name__} must define fit(features, labels, draws) -> state")

    def logits(self, state: Any, features: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of the features `[T, Q, D]` of queries, each by itself."""
        raise NotImplementedError(f"{type(self).__name__} must define logits(state, features) -> logits")

    def redrawn(self, state: Any, draws: Draws) -> Any:
        """The state with other draws; the same for learners that draw nothing."""
        return state

    def adapt(self, support_x: Tensor, support_y: Tensor) -> "EmbeddingClassifier":
        """The classifiers of supports `[T, N, C, H, W]` with labels `[T, N]`.

        Raises `RobustMetaError` for a support that `check_support` refuses.
        """
        check_support(support_x, support_y)
        weights: dict[str, Tensor] = dict(self.named_parameters())
        if not self.training:
            weights = freeze(weights)  # so that a graph begins at the support or nowhere
        draws = Draws(support_x, seeds_of(support_x, self.training))
        state, statistics = functional_call(self, weights, (self._read, support_x, support_y, draws))
        if self.training:
            self.backbone.track(statistics)
        return EmbeddingClassifier(self, weights, statistics, state, ways_of(support_y))

    def forward(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        """`verb`, a method of this learner: what `functional_call` needs to run it with other weights."""
        return verb(*arguments)

    def _read(self, support_x: Tensor, support_y: Tensor, draws: Draws) -> tuple[Any, Statistics | None]:
        features, statistics = self.backbone(support_x)
        return self.fit(features, support_y, draws), statistics

    def answer(
        self, verb: Callable[[Any, Tensor], Tensor], query_x: Tensor, statistics: Statistics | None, state: Any
    ) -> Tensor:
        """What `verb`, as `logits`, says of queries `[T, Q, C, H, W]`, normalised with `statistics`."""
        return verb(state, self.backbone(query_x, statistics)[0])


class EmbeddingClassifier(Classifier):
    """The classifiers of T tasks: the weights and statistics of an `EmbeddingLearner`, and the state of each task."""

    def __init__(
        self,
        learner: EmbeddingLearner,
        weights: dict[str, Tensor],
        statistics: Statistics | None,
        state: Any,
        ways: int,
    ) -> None:
        super().__init__()
        self._learner = (learner,)  # in a tuple, so that its parameters are not this module's
        self.weights, self.statistics, self.state, self.ways = weights, statistics, state, ways
        self.inductive = learner.backbone.norm != "transductive"
        # Statistics of each task's own make its weights its own, once they are folded into them.
        self.shares_weights = statistics is None or len(statistics[0].mean) == 1
        self.samples = learner.samples

    def forward(self, query_x: Tensor) -> Tensor:
        """Logits `[T, Q, ways]` of queries `[T, Q, C, H, W]`."""
        return self.asked(self._learner[0].logits, query_x)

    def asked(self, verb: Callable[[Any, Tensor], Tensor], query_x: Tensor) -> Tensor:
        """What a verb of the learner, from state and features as `logits` is, says of queries `[T, Q, C, H, W]`."""
        learner = self._learner[0]
        call = (learner.answer, verb, query_x, self.statistics, self.state)
        answer: Tensor = functional_call(learner, self.weights, call)
        return answer

    def detach(self) -> "EmbeddingClassifier":
        """The same classifiers, constants but for their input."""
        state = self.state._make(part.detach() for part in self.state)
        return self._with(freeze(self.weights), detach(self.statistics), state)

    def select(self, tasks: Sequence[int]) -> "EmbeddingClassifier":
        """The classifiers of some of the tasks, in the order given."""
        state = self.state._make(part[list(tasks)] for part in self.state)
        return self._with(self.weights, select_tasks(self.statistics, tasks), state)

    def resampled(self, seed: int) -> "EmbeddingClassifier":
        """The same classifiers with other draws, of a seed always the same."""
        draws = Draws(self.state[0], [seed] * len(self.state[0]))
        return self._with(self.weights, self.statistics, self._learner[0].redrawn(self.state, draws))

    def _with(self, weights: dict[str, Tensor], statistics: Statistics | None, state: Any) -> "EmbeddingClassifier":
        return EmbeddingClassifier(self._learner[0], weights, statistics, state, self.ways)
