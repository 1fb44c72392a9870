import pytest
import torch

from robustmeta.data.classes import ImageClasses
from robustmeta.errors import RobustMetaError

IMAGES = torch.zeros(5, 1, 4, 4, dtype=torch.uint8)


def test_images_counts_and_labels_that_agree_are_taken():
    made = ImageClasses("mine/train", IMAGES, (2, 3), ("a", "b"))
    assert (made.counts, made.labels) == ((2, 3), ("a", "b"))


@pytest.mark.parametrize(
    ("images", "counts", "labels", "message"),
    [
        (IMAGES.float(), (2, 3), ("a", "b"), "must be uint8"),
        (IMAGES[:, 0], (2, 3), ("a", "b"), r"\[M, C, H, W\]"),
        (IMAGES, (2, 2), ("a", "b"), "sum to 4"),
        (IMAGES, (2, 3), ("a",), "1 labels"),
        (IMAGES, (5, 0), ("a", "b"), "an image or more a class"),
    ],
)
def test_others_are_refused(images, counts, labels, message):
    with pytest.raises(RobustMetaError, match=message):
        ImageClasses("mine/train", images, counts, labels)
