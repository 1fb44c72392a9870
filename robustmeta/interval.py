"""The mean of a sample of episodes and its 95% Student t interval."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit  # the quantile behind scipy.stats.t, whose own import takes a second

from robustmeta.errors import RobustMetaError


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """The mean of n episodes, and the half-width of its 95% interval (Student, 1908).

    Half-width: t(0.975, n - 1) * s / sqrt(n), s the sample standard deviation. It is NaN for one episode, which
    has no spread to judge by, and exactly 0 for a constant sample. For the drop from clean, pass the differences
    of each episode, so that the interval is of paired values.

    values: `[n]`, one number an episode. Raises `RobustMetaError` if it is empty, not flat, or not finite.

    Deviates from the field's usual 1.96 * s / sqrt(n) in using the t quantile, which is wider for few episodes.

    >>> mean, half_width = mean_interval([0.2, 0.4, 0.6])  # t(0.975, 2) = 4.3027, s = 0.2
    >>> f"{mean:.4f} ± {half_width:.4f}"
    '0.4000 ± 0.4968'
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise RobustMetaError(f"an interval was asked of values of shape {list(sample.shape)}; it needs [n], n >= 1")
    if not np.isfinite(sample).all():
        at = int(np.flatnonzero(~np.isfinite(sample))[0])
        raise RobustMetaError(f"value {at} of an interval is {sample[at]}; every episode needs a finite number")
    if sample.size > 1 and np.ptp(sample) == 0:  # the rounding of the mean would leave a spread of about 1e-17
        return float(sample[0]), 0.0
    if sample.size == 1:
        return float(sample[0]), float("nan")
    quantile = stdtrit(sample.size - 1, 0.975)
    return float(sample.mean()), float(quantile * sample.std(ddof=1) / np.sqrt(sample.size))
