"""The networks a user of the other libraries would write: `torch.nn` modules for one task at a time, in NCHW.

They are the same functions as robustmeta's, with the weights under the names `torch.nn` gives them, so that
gradients can be compared weight by weight. Normalization is torch's own: `F.batch_norm` or `nn.GroupNorm`.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORMS = ("support", "transductive", "group", "running")
"""The policies compared (see robustmeta.backbones). `running` is for learners that share their weights, in training:
the statistics of the supports of all tasks together."""

Moments = Sequence[tuple[Tensor, Tensor]]
"""Mean and variance `[C]` of each normalization layer, to normalise other images with."""


class PlainBlock(nn.Module):
    """A convolution without bias and the normalization after it; ReLU and 2x2 max-pooling follow in `PlainConv4`."""

    def __init__(self, channels: int, width: int, norm: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.written_out = False
        """Whether statistics of its own are computed in the open, for those whom torch's kernel does not serve."""
        grouped = norm == "group"
        self.norm: nn.GroupNorm | nn.BatchNorm2d = (
            nn.GroupNorm(min(8, width), width) if grouped else nn.BatchNorm2d(width, track_running_stats=False)
        )

    def normalised(self, y: Tensor, given: tuple[Tensor, Tensor] | None) -> Tensor:
        """`y` by the module's own normalization, or by `given`: part of the graph in training, else constants."""
        norm = self.norm
        if given is None and not (self.written_out and isinstance(norm, nn.BatchNorm2d)):
            return norm(y)
        mean, var = given or torch.var_mean(y, dim=(0, 2, 3), correction=0)[::-1]
        if not self.training:
            return F.batch_norm(y, mean, var, norm.weight, norm.bias, training=False, eps=norm.eps)
        # Torch's kernel takes given statistics for constants; here the loss must reach them.
        scale = norm.weight * torch.rsqrt(var + norm.eps)
        shift = norm.bias - mean * scale
        return torch.addcmul(shift[:, None, None], y, scale[:, None, None])


class PlainConv4(nn.Module):
    """Four blocks: images `[N, C, H, W]` to features `[N, D]`."""

    def __init__(self, channels: int = 1, width: int = 64, norm: str = "support") -> None:
        super().__init__()
        self.norm_name = norm
        self.blocks = nn.ModuleList(PlainBlock(channels if i == 0 else width, width, norm) for i in range(4))

    def forward(self, images: Tensor, given: Moments | None = None, moments: bool = False) -> Tensor | Moments | None:
        """Features, normalised by the images' own statistics or by `given`; with `moments`, these statistics.

        They are None for the policies that pass none on to the queries.
        """
        found = []
        if moments and self.norm_name in ("group", "transductive"):
            return None
        for i, block in enumerate(self.blocks):
            y = block.conv(images)
            if moments:
                var, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0)
                found.append((mean, var))
            images = F.max_pool2d(F.relu(block.normalised(y, given[i] if given else None)), 2)
        return tuple(found) if moments else images.flatten(1)


class PlainClassifier(nn.Module):
    """Conv4 and a linear layer, what MAML adapts: images `[N, C, H, W]` to logits `[N, ways]`."""

    def __init__(
        self, channels: int = 1, size: int = 28, width: int = 64, ways: int = 5, norm: str = "support"
    ) -> None:
        super().__init__()
        self.backbone = PlainConv4(channels, width, norm)
        self.linear = nn.Linear(width * (size // 16) ** 2, ways)

    def forward(self, images: Tensor, given: Moments | None = None, moments: bool = False) -> Tensor | Moments | None:
        """Logits, normalised by the images' own statistics or by `given`; with `moments`, these statistics."""
        found = self.backbone(images, given, moments)
        return found if moments else self.linear(found)


def write_out(network: nn.Module) -> None:
    """Have all blocks of a network compute their statistics in the open."""
    for module in network.modules():
        if isinstance(module, PlainBlock):
            module.written_out = True


def plain_name(name: str) -> str:
    """The name in a plain network of a weight of robustmeta's Conv4, `LinearHead`, or of a learner around them."""
    name = name.removeprefix("learner.").removeprefix("network.")
    inside, _, rest = name.partition("blocks.")
    if not rest:
        return name
    number, _, leaf = rest.partition(".")
    leaf = {"scale": "norm.weight", "shift": "norm.bias"}.get(leaf, leaf)
    return f"{inside}blocks.{number}.{leaf}"


def plain_weights(named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights or gradients of a robustmeta module under the names of the plain one, contiguous in NCHW."""
    copied = partial(torch.clone, memory_format=torch.contiguous_format)
    return {plain_name(name): copied(tensor.detach()) for name, tensor in named.items()}


def prototypes(features: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Class means `[ways, D]` of features `[N, D]` with labels `[N]`."""
    return torch.stack([features[labels == label].mean(0) for label in range(ways)])
