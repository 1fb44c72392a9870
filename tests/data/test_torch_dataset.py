"""Data sets of PyTorch and their like: images in every form are the same bytes; what cannot be read is said."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from robustmeta.data import from_dataset
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
LABELS = [7, 2, 7, 2, 2, 11]
ORDER = [1, 3, 4, 0, 2, 5]


class Shapes(Dataset):
    """Images in a form and their labels; notes each index that is read."""

    def __init__(self, images, labels=LABELS):
        self.images, self.labels, self.read = images, labels, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.read.append(index)
        return self.images[index], self.labels[index]


FORMS = {
    "float tensor": lambda image: torch.from_numpy(image.transpose(2, 0, 1)).float() / 255,
    "double tensor": lambda image: torch.from_numpy(image.transpose(2, 0, 1)).double() / 255,
    "byte tensor": lambda image: torch.from_numpy(image.transpose(2, 0, 1).copy()),
    "byte array": lambda image: image,
    "float array": lambda image: (image / 255).astype(np.float32),
    "pillow": Image.fromarray,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_colour_images_in_every_form_are_the_same_bytes(form):
    dataset = Shapes([form(image) for image in COLOUR])
    made = from_dataset(dataset)
    assert np.array_equal(made.images.numpy(), COLOUR.transpose(0, 3, 1, 2)[ORDER])
    assert (made.name, made.counts, made.labels) == ("shapes/all", (3, 2, 1), ("2", "7", "11"))
    assert dataset.read == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "form",
    [Image.fromarray, np.array, torch.tensor, lambda image: image[..., None], lambda image: torch.tensor(image)[None]],
    ids=["pillow L", "HW array", "HW tensor", "HW1 array", "1HW tensor"],
)
def test_grey_images_in_every_form_are_the_same_bytes(form):
    made = from_dataset(Shapes([form(image) for image in COLOUR[..., 0]]))
    assert np.array_equal(made.images[:, 0].numpy(), COLOUR[ORDER][..., 0])


def test_images_of_one_bit_are_black_and_white():
    bits = COLOUR[..., 0] > 127
    made = from_dataset(Shapes([Image.fromarray(image) for image in bits]))
    assert np.array_equal(made.images[:, 0].numpy(), bits[ORDER] * 255)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([torch.tensor(label) for label in LABELS], ("2", "7", "11")),
        ([np.array([label]) for label in LABELS], ("2", "7", "11")),  # as MedMNIST has them
        ([np.int8(label) for label in LABELS], ("2", "7", "11")),
        ([{2: "ant", 7: "bee", 11: "cat"}[label] for label in LABELS], ("ant", "bee", "cat")),
        ([np.str_({2: "ant", 7: "bee", 11: "cat"}[label]) for label in LABELS], ("ant", "bee", "cat")),
    ],
)
def test_labels_are_numbers_tensors_or_texts(labels, names):
    made = from_dataset(Shapes(COLOUR, labels))
    assert (made.labels, made.counts) == (names, (3, 2, 1))
    assert np.array_equal(made.images.numpy(), COLOUR.transpose(0, 3, 1, 2)[ORDER])


def test_a_list_of_pairs_and_a_tensor_dataset_are_data_sets():
    truth = COLOUR.transpose(0, 3, 1, 2)
    pairs = list(zip(COLOUR, LABELS, strict=True))
    tensors = TensorDataset(torch.from_numpy(truth.copy()), torch.tensor(LABELS))
    for dataset in (pairs, tensors, torch.utils.data.Subset(tensors, range(6))):
        assert np.array_equal(from_dataset(dataset).images.numpy(), truth[ORDER])
    assert from_dataset(pairs, "mine/train").name == "mine/train"


def test_episodes_come_from_a_data_set_in_one_line():
    values = np.arange(60, dtype=np.uint8)
    dataset = [(np.full((4, 4), 4 * value, np.uint8), f"c{value % 10}") for value in values]
    batch = Episodes(dataset, ways=5, shots=2, queries=3, seed=1)[4]
    assert batch.support_x.shape == (1, 10, 1, 4, 4)
    of = (batch.query_x[0, :, 0, 0, 0] * 255 / 4).round().long() % 10
    assert torch.equal(of, batch.classes[0][batch.query_y[0]])
    splits = [Episodes(dataset, split, ways=2, shots=2, queries=2) for split in ("train", "val", "test")]
    assert [len(tasks.counts) for tasks in splits] == [6, 2, 2]


class Endless(IterableDataset):
    def __iter__(self):
        return iter(())


class Unsized(Dataset):
    def __getitem__(self, index):
        return COLOUR[0], 0


NORMALISED = torch.full((3, 5, 7), -2.118)
BYTES = torch.zeros(3, 5, 7, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("dataset", "line"),
    [
        (Endless(), r"Endless is an IterableDataset, without an index; give list\(dataset\)"),
        (Unsized(), "Unsized is no data set of pairs by number; .* with __getitem__ and __len__"),
        ({"train": []}, "dict is no data set of pairs by number"),
        (7, "int is no data set of pairs by number"),
        (DataLoader(TensorDataset(BYTES)), "a DataLoader has no index; give .* loader.dataset"),
        (Shapes([]), "Shapes is empty"),
        ([(BYTES, 0), {"image": BYTES, "label": 1}], r"item 1 of list is a dict, not a pair \(image, label\)"),
        ([(BYTES, 0), (BYTES, 0, 7)], r"item 1 of list is a tuple, not a pair"),
        (
            [(BYTES, 0), (BYTES, 1), (BYTES[:, :4], 1)],
            r"item 2 of list is \[3, 4, 7\], item 0 of list is \[3, 5, 7\] .* give all one shape, by a Resize",
        ),
        ([(BYTES, 0), (BYTES.mT, 1)], r"item 1 of list is \[3, 7, 5\], item 0 of list is \[3, 5, 7\]"),
        ([(BYTES, 0), (NORMALISED, 0)], "item 1 of list has values from -2.118 to -2.118; .* leave out Normalize"),
        ([(BYTES.float() + 200, 0)], "item 0 of list has values from 200 to 200; .* divide by 255"),
        ([(BYTES.float() * torch.nan, 0)], "without NaN"),
        ([(BYTES.int(), 0)], "item 0 of list has pixels of type torch.int32; use uint8"),
        ([(np.zeros((5, 7), np.dtype("U1")), 0)], "item 0 of list has pixels of type <U1; use uint8"),
        ([(Image.new("RGBA", (7, 5)), 0)], r"item 0 of list has mode 'RGBA'; call .convert\('L'\)"),
        ([("ant.png", 0)], "item 0 of list is a str; use a tensor, an array or an image"),
        ([(torch.zeros(2, 3, 5, 7), 0)], r"item 0 of list has shape \[2, 3, 5, 7\]; a tensor is \[C, H, W\]"),
        ([(torch.zeros(3, 0, 7), 0)], r"item 0 of list has shape \[3, 0, 7\]; a tensor is \[C, H, W\]"),
        ([(torch.zeros(5, 7, 3), 0)], r"shape \[5, 7, 3\], but a tensor is read as \[C, H, W\]; move its axes"),
        ([(np.zeros((3, 5, 7)), 0)], r"shape \[3, 5, 7\], but an array is read as \[H, W, C\]; move its axes"),
        ([(BYTES, 0.5)], "item 0 of list has the label 0.5; it must be a whole number or text"),
        ([(BYTES, None)], "item 0 of list has the label None"),
        ([(BYTES, torch.ones(5))], r"item 0 of list has the label \[5\]"),
        ([(BYTES, 0), (BYTES, "a")], "the labels of list/all are in part numbers and in part text"),
        ([(BYTES, 0), (BYTES + 1, 1)], "without a value above 1, and white is 255"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(dataset, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        Episodes(dataset, ways=2, shots=1, queries=1)
    assert "\n" not in str(caught.value)


def test_an_error_of_the_data_set_itself_is_left_as_it_is():
    class Broken(Shapes):
        def __getitem__(self, index):
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        from_dataset(Broken(COLOUR))
