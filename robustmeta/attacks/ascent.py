"""Where a gradient ascent inside a threat begins, and which way it steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from robustmeta.attacks.base import Threat, uniform


def direction(threat: Threat, gradient: Tensor) -> Tensor:
    """The step of size 1 that climbs fastest, image by image: sign(g) for Linf, g / ||g|| for L2; 0 where g is 0.

    gradient: `[T, N, C, H, W]`.
    """
    if threat.norm == "Linf":
        return gradient.sign()
    # Scaled to 1 first: the squares of a small gradient are 0 in float32, and its direction would be lost.
    largest = gradient.abs().amax((-3, -2, -1), keepdim=True).clamp_min(torch.finfo(gradient.dtype).tiny)
    scaled = gradient / largest
    length = scaled.square().sum((-3, -2, -1), keepdim=True).sqrt().clamp_min(1e-12)
    return (scaled / length).nan_to_num(0.0)


def random_start(threat: Threat, images: Tensor, seeds: Sequence[int] | None = None) -> Tensor:
    """A random point of the ball round each of `images` `[T, N, C, H, W]`, in [0, 1].

    Linf: uniform in the box. L2: a point of the sphere. Task i draws from its own stream, seeded `seeds[i]`.
    """
    noise = 2 * uniform(images, seeds) - 1
    if threat.norm == "L2":
        noise = unit(noise)
    return threat.project(images + threat.eps * noise, images)


def unit(vectors: Tensor) -> Tensor:
    """Each image of `[..., C, H, W]` scaled to an L2 length of 1."""
    length: Tensor = vectors.flatten(-3).norm(dim=-1)
    return vectors / length[..., None, None, None]
