"""What the tests share: one torch thread, a cache of their own, small data whose classes differ, small learners."""

import inspect
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from robustmeta.attacks.base import Threat
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.backbones import Conv4
from robustmeta.batch import EpisodeBatch
from robustmeta.data.classes import ImageClasses
from robustmeta.defenses import AdversarialQuerying, FreeAdversarialQuerying
from robustmeta.episodes import Episodes
from robustmeta.learners import LEARNERS, Learner

SMALL = {"ways": 3, "steps": 2, "inner_lr": 0.1, "samples": 3, "classes": 12}
"""Settings of the small learners that take them."""


@pytest.fixture(autouse=True, scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTMETA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Puts them back on where a job in this process turned them off; hypothesis draws no float without them."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def classes() -> ImageClasses:
    """Twelve classes of eight grey 16x16 images: a chequered pattern each, under noise."""
    generator = np.random.default_rng(0)
    pattern = generator.integers(0, 256, (12, 1, 1, 4, 4)).repeat(4, -1).repeat(4, -2)
    noisy = pattern + generator.normal(0, 40, (12, 8, 1, 16, 16))
    images = torch.from_numpy(noisy.clip(0, 255).astype(np.uint8)).flatten(0, 1)
    return ImageClasses("patterns/train", images, (8,) * 12, tuple(f"pattern {i}" for i in range(12)))


@pytest.fixture
def episodes(classes: ImageClasses) -> Callable[..., Episodes]:
    """Makes the task distribution of the patterns: 3 ways, 2 shots and 3 queries unless told otherwise."""

    def make(**settings: int) -> Episodes:
        return Episodes(classes, **{"ways": 3, "shots": 2, "queries": 3, "seed": 0, **settings})

    return make


@pytest.fixture
def batch(episodes: Callable[..., Episodes]) -> EpisodeBatch:
    """Three tasks in float64, where independent computations agree to many digits."""
    single = episodes().batch(range(3))
    return EpisodeBatch(single.support_x.double(), single.support_y, single.query_x.double(), single.query_y, (0, 1, 2))


@pytest.fixture
def learner() -> Callable[..., Learner]:
    """Makes a learner by name, `-aq` or `-free` after it, for the patterns, with scales and shifts unlike 1 and 0."""

    def make(
        name: str = "protonet", norm: str = "support", width: int = 4, seed: int = 0, **settings: object
    ) -> Learner:
        torch.manual_seed(seed)
        backbone = Conv4(size=16, width=width, norm=norm)
        for block in backbone.blocks:
            torch.nn.init.uniform_(block.scale, 0.5, 1.5)
            torch.nn.init.uniform_(block.shift, -0.2, 0.5)
            torch.nn.init.uniform_(block.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(block.running_var, 0.05, 0.2)
        kind, _, defense = name.rpartition("-") if name.endswith(("-aq", "-free")) else (name, "", "")
        takes = inspect.signature(LEARNERS[kind]).parameters
        defaults = {key: value for key, value in SMALL.items() if key in takes}
        made: Learner = LEARNERS[kind](backbone, **{**defaults, **settings})  # type: ignore[arg-type]
        if defense == "free":
            return FreeAdversarialQuerying(made, Threat("Linf", 0.05), replays=2, ramp=0.5)
        return AdversarialQuerying(made, PGD(0.05, steps=2), ramp=0.5) if defense else made

    return make
