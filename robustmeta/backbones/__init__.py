"""Backbones: one network a file, each registered under the name recipes use."""

from robustmeta.backbones.base import (
    BACKBONES,
    POLICIES,
    Backbone,
    Embedding,
    Moments,
    Statistics,
    detach,
    join_tasks,
    select_tasks,
)
from robustmeta.backbones.conv4 import Conv4
from robustmeta.backbones.conv_block import ConvBlock
from robustmeta.backbones.convolutional import Convolutional, linear
from robustmeta.backbones.r2d2net import R2D2Net
from robustmeta.backbones.resnet12 import ResNet12

__all__ = [
    "BACKBONES", "POLICIES", "Backbone", "Conv4", "ConvBlock", "Convolutional", "Embedding", "Moments", "R2D2Net",
    "ResNet12", "Statistics", "detach", "join_tasks", "linear", "select_tasks",
]  # fmt: skip
