import hashlib

import pytest
import torch

from robustmeta.data.classes import ImageClasses
from robustmeta.data.grouping import part_of, shared_out
from robustmeta.errors import RobustMetaError

LABELS = [f"class {i}" for i in range(25)]


def test_classes_are_cut_in_the_order_of_their_hashes():
    hashed = sorted(LABELS, key=lambda label: hashlib.sha256(label.encode()).hexdigest())
    cut = {"train": hashed[:16], "val": hashed[16:20], "test": hashed[20:]}  # 0.64, 0.80 and 1 of 25
    for split, wanted in cut.items():
        assert shared_out(LABELS, split) == sorted(wanted, key=LABELS.index)
        assert set(shared_out(LABELS[::-1], split)) == set(wanted)
    assert shared_out(LABELS, "val", (0.4, 0.2, 0.4)) == sorted(hashed[10:15], key=LABELS.index)


def test_the_shares_of_a_name_never_change():
    assert shared_out(["ant", "bee", "cat", "dog", "elk"], "test", (0.4, 0.2, 0.4)) == ["cat", "dog"]


def test_shares_of_nothing_and_everything():
    assert shared_out(LABELS, "test", (0, 0, 1)) == LABELS
    with pytest.raises(RobustMetaError, match=r"of 25 classes, shares \[0, 0, 1\] leave none for 'val'"):
        shared_out(LABELS, "val", (0, 0, 1))


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.5, -0.5, 0), (0.2, 0.2, 0.2, 0.4)])
def test_shares_are_three_with_the_sum_1(shares):
    with pytest.raises(RobustMetaError, match="three numbers for train, val, test, with sum 1"):
        shared_out(LABELS, "train", shares)


def test_a_part_has_the_images_of_its_classes():
    counts = tuple(1 + i % 3 for i in range(25))
    images = torch.tensor([i for i, count in enumerate(counts) for _ in range(count)], dtype=torch.uint8)
    classes = ImageClasses("mine/all", images[:, None, None, None], counts, tuple(LABELS))
    part = part_of(classes, "test")
    chosen = [LABELS.index(label) for label in shared_out(LABELS, "test")]
    assert part.labels == tuple(LABELS[i] for i in chosen)
    assert part.counts == tuple(counts[i] for i in chosen)
    assert part.images.flatten().tolist() == [i for i in chosen for _ in range(counts[i])]
    assert part.name == "mine/test"
