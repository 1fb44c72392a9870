"""Small learners that know the patterns, and tasks split into the attacker's queries and the judged ones."""

from collections.abc import Callable
from functools import cache

import pytest
import torch

from robustmeta.attacks.support import folds, with_columns
from robustmeta.backbones import Conv4
from robustmeta.batch import EpisodeBatch
from robustmeta.data.classes import ImageClasses
from robustmeta.episodes import Episodes
from robustmeta.learners import MAML, Learner, ProtoNet


@pytest.fixture(scope="session")
def trained(classes: ImageClasses) -> Callable[[str], Learner]:
    """Makes a `protonet` or a `maml` that has learned the patterns, in evaluation mode."""
    episodes = Episodes(classes, ways=3, shots=2, queries=3, seed=0)

    @cache
    @torch.enable_grad()
    def make(name: str) -> Learner:
        torch.manual_seed(0)
        if name == "protonet":
            learner: Learner = ProtoNet(Conv4(size=16, width=8, norm="running"))
        else:
            learner = MAML(Conv4(size=16, width=8, norm="group"), 3, steps=2, inner_lr=0.1)
        optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
        for step in range(40):
            optimizer.zero_grad()
            learner.loss(episodes.batch([2 * step, 2 * step + 1])).backward()
            optimizer.step()
        return learner.eval()

    return make


@pytest.fixture
def halves(episodes: Callable[..., Episodes]) -> Callable[..., tuple[EpisodeBatch, EpisodeBatch]]:
    """Makes tasks of 3 ways, 2 shots and 4 queries: with the attacker's half of the queries, and with the other."""

    def make(tasks: int = 2, **settings: int) -> tuple[EpisodeBatch, EpisodeBatch]:
        batch = episodes(**{"queries": 4, "seed": 1, **settings}).batch(range(tasks))
        known, judged = folds(batch.query_y)
        return with_columns(batch, known), with_columns(batch, judged)

    return make
