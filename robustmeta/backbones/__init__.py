"""Backbones: one network a file, each registered under the name recipes use."""

from robustmeta.backbones.base import (
    BACKBONES,
    POLICIES,
    Backbone,
    Embedding,
    Moments,
    Statistics,
    detach,
    select_tasks,
)
from robustmeta.backbones.conv4 import Conv4
from robustmeta.backbones.conv_block import ConvBlock

__all__ = [
    "BACKBONES", "POLICIES", "Backbone", "Conv4", "ConvBlock", "Embedding", "Moments", "Statistics", "detach",
    "select_tasks",
]  # fmt: skip
