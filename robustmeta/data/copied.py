"""What the readers of local copies give: a label an image, and the images one by one."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Copied:
    """The images of a split as a copy has them, in its order.

    labels: of each image. image: reads the one of a number, in L or RGB.
    """

    labels: list[str]
    image: Callable[[int], Image.Image]


def spellings(split: str) -> tuple[str, ...]:
    """What people call a split."""
    return (split, "validation") if split == "val" else (split,)
