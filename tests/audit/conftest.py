"""Learners trained for a moment."""

from collections.abc import Callable

import pytest
import torch

from robustmeta.backbones import ConvBlock
from robustmeta.learners import Learner
from robustmeta.training import train


@pytest.fixture(scope="session")
def trained() -> dict[str, Learner]:
    """The learners trained so far, by name."""
    return {}


@pytest.fixture
def honest(trained, learner, episodes) -> Callable[..., Learner]:
    """Makes `protonet`, `maml`, `protonet-aq` or `maml-aq`, trained on the patterns for a moment."""

    def make(name: str = "protonet", norm: str = "group") -> Learner:
        key = f"{name} {norm}"
        if key not in trained:
            slow = "maml" in name
            made = learner(name, norm, width=8, **({"inner_lr": 0.4} if slow else {}))
            for block in made.modules():
                if isinstance(block, ConvBlock):
                    torch.nn.init.ones_(block.scale)
                    torch.nn.init.zeros_(block.shift)
            train(made, episodes(seed=5), steps=20, tasks=2 if slow else 3, lr=1e-2)
            trained[key] = made.eval()
        return trained[key]

    return make
