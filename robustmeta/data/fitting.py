"""Images of one shape from images of another, as learners meet them that were trained on other data."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from robustmeta.data.classes import ImageClasses
from robustmeta.errors import RobustMetaError

#: Weights of red, green and blue in the luminance of ITU-R 601, in 65,536ths.
LUMINANCE = (19595, 38470, 7471)


def fitted(classes: ImageClasses, image_shape: Sequence[int]) -> ImageClasses:
    """The same classes with images of `image_shape`, (C, H, W), C being 1, grey, or 3, colours.

    Grey is repeated in three channels; of colours the luminance 0.299 R + 0.587 G + 0.114 B (ITU-R 601) is taken.
    Images of another size are resized (Lanczos, which is antialiased) in their 256 levels, once, those of another
    aspect cut to the largest centred rectangle. Nothing else is changed: ink stays as bright as it is.

    Raises `RobustMetaError` for a shape that is none, and other numbers of channels, unless they agree.
    """
    if len(image_shape) != 3 or min(image_shape) < 1:
        raise RobustMetaError(f"image_shape is {list(image_shape)}; it must be (C, H, W), as (3, 32, 32)")
    wanted, height, width = image_shape
    images = classes.images
    channels = images.shape[1]
    if channels != wanted and {channels, wanted} != {1, 3}:
        raise RobustMetaError(
            f"{classes.name} has {channels} channels and {wanted} were asked for; between 1 and 3 images are fitted"
        )
    if wanted < channels:
        weights = torch.tensor(LUMINANCE)[:, None, None]
        images = torch.stack([(image * weights).sum(0, keepdim=True) + (1 << 15) >> 16 for image in images]).byte()
    if images.shape[2:] != (height, width):
        images = _resized(images, (width, height))
    if wanted > channels:
        images = images.expand(-1, wanted, -1, -1).contiguous()
    return replace(classes, images=images)


def _resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images `[M, C, H, W]` with another width and height, channel by channel."""
    small = torch.empty(*images.shape[:2], size[1], size[0], dtype=torch.uint8)
    for plane, image in zip(small.flatten(0, 1), images.flatten(0, 1), strict=True):
        fit = ImageOps.fit(Image.fromarray(image.numpy()), size, Image.Resampling.LANCZOS)
        plane.copy_(torch.from_numpy(np.array(fit)))
    return small
