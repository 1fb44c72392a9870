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


def test_the_digest_changes_with_pixels_counts_and_labels_alone():
    made = ImageClasses("mine/train", IMAGES, (2, 3), ("a", "b"))
    other = IMAGES.clone()
    other[3, 0, 0, 0] ^= 1
    digests = {
        made.digest,
        ImageClasses("mine/train", other, (2, 3), ("a", "b")).digest,
        ImageClasses("mine/train", IMAGES, (3, 2), ("a", "b")).digest,
        ImageClasses("mine/train", IMAGES, (2, 3), ("a", "c")).digest,
        ImageClasses("mine/train", IMAGES.reshape(5, 1, 1, 16), (2, 3), ("a", "b")).digest,
    }
    assert len(digests) == 5
    assert ImageClasses("yours/test", IMAGES.clone(), (2, 3), ("a", "b"), ("x/a", "")).digest == made.digest


def test_what_classes_are_known_as_is_one_each():
    with pytest.raises(RobustMetaError, match="mine/train has 2 labels and is known as 1"):
        ImageClasses("mine/train", IMAGES, (2, 3), ("a", "b"), ("x/a",))
