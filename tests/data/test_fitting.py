"""Channels and sizes, fitted as Pillow does to each image alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from robustmeta.data.classes import ImageClasses
from robustmeta.data.fitting import fitted
from robustmeta.errors import RobustMetaError

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 3, 20, 20), dtype=np.uint8)


def classes(images: np.ndarray) -> ImageClasses:
    return ImageClasses("mine/test", torch.from_numpy(images.copy()), (2, 4), ("a", "b"))


def pillow(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0).copy())


def test_nothing_changes_where_the_shapes_agree_and_names_stay():
    made = fitted(classes(COLOUR), (3, 20, 20))
    assert np.array_equal(made.images.numpy(), COLOUR)
    small = fitted(classes(COLOUR), [1, 9, 9])
    assert (small.name, small.counts, small.labels) == ("mine/test", (2, 4), ("a", "b"))


def test_colours_become_their_luminance_as_pillow_has_it():
    made = fitted(classes(COLOUR), (1, 20, 20)).images.numpy()
    assert np.array_equal(made[:, 0], [np.asarray(pillow(image).convert("L")) for image in COLOUR])
    by_hand = np.tensordot([0.299, 0.587, 0.114], COLOUR, (0, 1))
    assert np.abs(made[:, 0] - by_hand).max() < 0.51


def test_white_stays_white_and_grey_stays_grey():
    grey = np.arange(256, dtype=np.uint8).repeat(3).reshape(256, 3, 1, 1)
    made = fitted(ImageClasses("greys/all", torch.from_numpy(grey), (256,), ("a",)), (1, 1, 1))
    assert made.images.flatten().tolist() == list(range(256))


def test_grey_is_repeated():
    made = fitted(classes(COLOUR[:, :1]), (3, 20, 20)).images
    assert made.is_contiguous()
    assert np.array_equal(made.numpy(), COLOUR[:, :1].repeat(3, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
@pytest.mark.parametrize("side", [7, 20, 31])
def test_sizes_are_resized_as_pillow_does(channels, wanted, side):
    made = fitted(classes(COLOUR[:, :channels]), (wanted, side, side)).images.numpy()
    for image, own in zip(made, COLOUR[:, :channels], strict=True):
        mode = pillow(own).convert("L") if wanted < channels else pillow(own)
        truth = np.atleast_3d(np.asarray(mode.resize((side, side), Image.Resampling.LANCZOS))).transpose(2, 0, 1)
        assert np.array_equal(image, truth.repeat(wanted // len(truth), 0))


def test_a_fine_chequer_becomes_grey_and_not_black():
    """The nearest neighbour would take one field of each four, and all of them alike."""
    chequer = np.indices((40, 40)).sum(0)[None, None] % 2 * 255
    made = fitted(classes(chequer.astype(np.uint8).repeat(6, 0)), (1, 10, 10)).images.float()
    assert (made - 127.5).abs().max() < 20


def test_another_aspect_is_cut_to_the_centre():
    wide = np.zeros((6, 1, 8, 16), np.uint8)
    wide[..., 4:12] = COLOUR[:, :1, :8, :8]
    assert np.array_equal(fitted(classes(wide), (1, 8, 8)).images.numpy(), wide[..., 4:12])
    assert fitted(classes(wide), (1, 4, 8)).images.shape == (6, 1, 4, 8)


@pytest.mark.parametrize(
    ("images", "shape", "line"),
    [
        (
            COLOUR[:, :2],
            (3, 20, 20),
            "mine/test has 2 channels and 3 were asked for; between 1 and 3 images are fitted",
        ),
        (COLOUR, (4, 20, 20), "has 3 channels and 4 were asked for"),
        (COLOUR, (20, 20), r"image_shape is \[20, 20\]; it must be \(C, H, W\), as \(3, 32, 32\)"),
        (COLOUR, (3, 0, 20), r"image_shape is \[3, 0, 20\]; it must be"),
    ],
)
def test_what_cannot_be_fitted_is_one_line(images, shape, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        fitted(classes(images), shape)
    assert "\n" not in str(caught.value)


def test_two_channels_are_resized_if_two_are_asked_for():
    assert fitted(classes(COLOUR[:, :2]), (2, 5, 5)).images.shape == (6, 2, 5, 5)
