"""Gaussian-noise training: a control that is random, not adversarial."""

from torch import Tensor

from robustmeta.batch import EpisodeBatch, PosedQueries, Queries
from robustmeta.defenses.base import DEFENSES, Defense
from robustmeta.draws import Draws, seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier, Learner


@DEFENSES.register("noise")
class GaussianNoise(Defense):
    """Training on queries under Gaussian noise (as for smoothing: Cohen et al., 2019): a learner around a learner.

    E over n ~ N(0, sigma^2 I) of L(A(theta, support), query + n).

    Inner loop: the clean support. Outer loop: the learner's own loss on noisy queries. Nothing is attacked: it shows
    what is gained by noise alone, and makes learners fit to be certified by `certify`.

    learner: any learner. sigma: standard deviation in pixel units. clip: whether the noisy queries are clipped to
    [0, 1], as a query attack around it needs; a certificate asks for noise that is not.

    Deviates from the paper in being taken on the queries of adapted classifiers, where the paper trains one network.

    Raises `RobustMetaError` for a sigma that is not above 0.
    """

    def __init__(self, learner: Learner, *, sigma: float = 0.25, clip: bool = False) -> None:
        super().__init__(learner)
        if not sigma > 0:
            raise RobustMetaError(f"sigma is {sigma:g}; it is a standard deviation in pixel units, above 0")
        self.sigma, self.clip = sigma, clip

    @property
    def leaves_range(self) -> bool:
        """Whether its queries leave [0, 1], where no attack can begin."""
        return not self.clip

    def pose(self, batch: EpisodeBatch) -> tuple[Classifier, Queries]:
        """What the inner learner poses, its queries under noise drawn from their own pixels as seed."""
        classifier, queries = super().pose(batch)
        return classifier, PosedQueries(self.noisy(queries.query_x), queries.query_y, queries.index)

    def noisy(self, images: Tensor) -> Tensor:
        """Images `[T, Q, C, H, W]` under noise."""
        noise = Draws(images, seeds_of(images, training=True)).normal(*images.shape[1:])
        moved = images + self.sigma * noise
        return moved.clamp(0, 1) if self.clip else moved
