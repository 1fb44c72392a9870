"""Arrays in every layout against pixels placed by hand, and what is refused."""

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from robustmeta.data import ImageClasses, as_classes, from_arrays
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError

GREY = np.arange(6 * 5 * 7, dtype=np.uint8).reshape(6, 5, 7)
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
LABELS = [7, 2, 7, 2, 2, 11]
ORDER = [1, 3, 4, 0, 2, 5]
"""Of 2, 7 and 11, as numbers and not as text, the images of each as they came."""


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
@pytest.mark.parametrize(
    "labels", [LABELS, np.array(LABELS, np.int16), torch.tensor(LABELS), np.array(LABELS)[:, None]]
)
@pytest.mark.parametrize(
    ("images", "truth"),
    [
        (GREY, GREY[:, None]),
        (GREY[:, None], GREY[:, None]),
        (GREY[..., None], GREY[:, None]),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2)),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2)),
    ],
    ids=["MHW", "M1HW", "MHW1", "MHWC", "MCHW"],
)
def test_every_layout_is_grouped_by_label(kind, labels, images, truth):
    made = from_arrays(kind(images), labels, "mine/train")
    assert np.array_equal(made.images.numpy(), truth[ORDER])
    assert (made.name, made.counts, made.labels) == ("mine/train", (3, 2, 1), ("2", "7", "11"))


def test_texts_are_in_the_order_of_the_alphabet():
    made = from_arrays(GREY, np.array(["b", "a", "c", "a", "b", "a"]))
    assert (made.counts, made.labels) == ((3, 2, 1), ("a", "b", "c"))
    assert np.array_equal(made.images[:, 0].numpy(), GREY[[1, 3, 5, 0, 4, 2]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_that_were_bytes_are_those_bytes_again(dtype):
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 8, 8)
    floats = images.to(dtype) / 255
    assert torch.equal(from_arrays(floats, [0] * 4).images[:, 0], images)
    assert torch.equal(from_arrays(floats.numpy(), [0] * 4).images[:, 0], images)


def test_floats_are_rounded_to_the_nearest_level():
    floats = torch.tensor([0.0, 0.4, 0.6, 254.4, 254.6, 255.0]).reshape(1, 2, 3) / 255
    assert from_arrays(floats, ["a"]).images.flatten().tolist() == [0, 0, 1, 254, 255, 255]


@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("step", [1, -1])
def test_arrays_that_cannot_be_written_or_run_backwards_are_read(step, writeable):
    images = COLOUR.copy()[::step, :, ::step]
    images.flags.writeable = writeable
    assert np.array_equal(from_arrays(images, LABELS).images.numpy(), images[ORDER].transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("images", "labels", "line"),
    [
        (np.zeros((6, 3, 5, 3), np.uint8), LABELS, r"\[M, C, H, W\] with 3 channels, or \[M, H, W, C\] with 3; say"),
        (np.zeros((6, 5, 7, 9), np.uint8), LABELS, r"\[6, 5, 7, 9\]; it must be .* at most 4 channels"),
        (np.zeros((6, 35), np.uint8), LABELS, r"shape \[6, 35\]; it must be \[M, H, W\]"),
        (np.zeros((0, 5, 7), np.uint8), [], r"shape \[0, 5, 7\]; there must be one or more"),
        (GREY.astype(np.int64), LABELS, "type torch.int64; use uint8"),
        (GREY.astype(object), LABELS, "type object; use uint8"),
        (GREY.astype(np.float32), LABELS, "values from 0 to 209; floats must lie in .* or divide by 255"),
        (GREY / 255.0 - 0.5, LABELS, "values from -0.5 to 0.3196; floats must lie in .* leave out Normalize"),
        (np.full((6, 5, 7), np.nan), LABELS, "without NaN"),
        ((GREY > 90).astype(np.uint8), LABELS, "without a value above 1, and white is 255"),
        (GREY, LABELS[:-1], "6 images and 5 labels"),
        (GREY, 3, "labels is 3; it must be a list, array or tensor"),
        (GREY, torch.tensor(3), r"labels is tensor\(3\); it must be a list, array or tensor"),
        (GREY, np.array(3), r"labels is array\(3\); it must be a list, array or tensor"),
        (GREY, iter(LABELS), "labels is <.*; it must be a list, array or tensor"),
        (GREY, [0.5] * 6, "image 0 has the label 0.5; it must be a whole number or text"),
        (GREY, np.eye(6), r"image 0 has the label \[6\]; it must be"),
        (GREY, [1, 2, "3", 4, 5, 6], "in part numbers and in part text"),
        (list(GREY), LABELS, "images is a list; use one tensor or array"),
    ],
)  # fmt: skip
def test_others_are_refused_in_one_line(images, labels, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        from_arrays(images, labels)
    assert "\n" not in str(caught.value)


def test_what_two_readings_fit_is_read_as_the_error_says():
    images = torch.arange(6 * 27, dtype=torch.uint8).reshape(6, 3, 3, 3)
    assert torch.equal(as_classes(TensorDataset(images, torch.tensor(LABELS))).images, images[ORDER])


def test_episodes_come_from_a_pair_of_arrays():
    images = np.arange(60, dtype=np.uint8).repeat(16).reshape(60, 4, 4) * 4
    labels = np.arange(60) % 10  # image i is filled with 4 i
    tasks = Episodes((images, labels), ways=5, shots=1, queries=3, seed=3)
    assert (tasks.name, tasks.image_shape, tasks.counts.tolist()) == ("arrays/all", (1, 4, 4), [6] * 10)
    batch = tasks[0]
    of = (batch.query_x[0, :, 0, 0, 0] * 255 / 4).round().long() % 10
    assert torch.equal(of, batch.classes[0][batch.query_y[0]])


def test_a_split_takes_its_share_of_the_classes():
    images, labels = np.full((200, 2, 2), 9, np.uint8), [f"c{i % 100}" for i in range(200)]
    parts = {split: as_classes((images, labels), split) for split in ("train", "val", "test")}
    assert [len(part.labels) for part in parts.values()] == [64, 16, 20]
    assert len({label for part in parts.values() for label in part.labels}) == 100
    assert parts["val"].name == "arrays/val"
    tasks = Episodes((images, labels), "test", ways=2, shots=1, queries=1, shares=[0.5, 0.2, 0.3])
    assert (tasks.name, len(tasks.counts)) == ("arrays/test", 30)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"shares": (0.5, 0.2, 0.3)}, "without a split; say which"),
        ({"split": "tset"}, "unknown split 'tset'; did you mean 'test'"),
        ({"rotations": True}, "data of your own: rotations: is not a setting here"),
        ({"root": "here"}, "data of your own: root: is not a setting here"),
    ],
)
def test_wrong_settings_beside_arrays_are_one_line(settings, line):
    with pytest.raises(RobustMetaError, match=line):
        Episodes((GREY, LABELS), ways=2, shots=1, queries=1, **settings)


def test_image_classes_are_taken_as_they_are_and_not_shared_out():
    classes = ImageClasses("mine/test", torch.zeros(4, 1, 2, 2, dtype=torch.uint8), (2, 2), ("a", "b"))
    assert as_classes(classes) is classes
    with pytest.raises(RobustMetaError, match="mine/test is one split already; leave out split, here 'train'"):
        Episodes(classes, "train", ways=2, shots=1, queries=1)
