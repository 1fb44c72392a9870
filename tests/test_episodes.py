"""Episodes against hard-coded draws and the promises of a pure sampler; batches against wrong input."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.batch import EpisodeBatch
from robustmeta.data.classes import ImageClasses
from robustmeta.episodes import Episodes
from robustmeta.errors import RobustMetaError

UNEVEN = (3, 5, 4, 7, 3, 6)


def marked(counts=UNEVEN) -> ImageClasses:
    """Image i of class c is filled with 10 c + i, so that a picture tells where it came from."""
    values = [10 * c + i for c, count in enumerate(counts) for i in range(count)]
    images = torch.tensor(values, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2).contiguous()
    return ImageClasses("marked/train", images, tuple(counts), tuple(f"c{i}" for i in range(len(counts))))


def origin(images: torch.Tensor) -> np.ndarray:
    return (images[..., 0, 0, 0] * 255).round().int().numpy()


GOLDEN = {
    (7, 0): [[12, 18, 17], [19, 20, 21], [2, 1, 0]],
    (7, 17): [[24, 26, 25], [4, 7, 5], [16, 14, 17]],
    (8, 17): [[1, 0, 2], [4, 5, 6], [20, 21, 19]],
}
"""Rows of (seed, index), drawn once; tasks may never change, or numbers in old reports could not be compared."""


def test_the_draws_are_the_same_forever() -> None:
    episodes = Episodes(marked(), ways=3, shots=1, queries=2, seed=7)
    assert episodes.drawn(0)[1].tolist() == GOLDEN[7, 0]
    assert episodes.drawn(17)[1].tolist() == GOLDEN[7, 17]
    assert Episodes(marked(), ways=3, shots=1, queries=2, seed=8).drawn(17)[1].tolist() == GOLDEN[8, 17]


def test_another_process_draws_the_same() -> None:
    code = """
import torch
from robustmeta.data.classes import ImageClasses
from robustmeta.episodes import Episodes
torch.manual_seed(99)
classes = ImageClasses("x", torch.zeros(28, 1, 2, 2, dtype=torch.uint8), (3, 5, 4, 7, 3, 6), tuple("abcdef"))
print(Episodes(classes, ways=3, shots=1, queries=2, seed=7).drawn(17)[1].tolist())
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(GOLDEN[7, 17])


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_classes_and_images_are_drawn_without_replacement(data) -> None:
    counts = data.draw(st.lists(st.integers(2, 9), min_size=2, max_size=9), label="counts")
    ways = data.draw(st.integers(2, len(counts)), label="ways")
    shots = data.draw(st.integers(1, min(counts) - 1), label="shots")
    queries = data.draw(st.integers(1, min(counts) - shots), label="queries")
    seed, index = data.draw(st.integers(0, 2**32), label="seed"), data.draw(st.integers(0, 2**40), label="index")

    batch = Episodes(marked(counts), ways=ways, shots=shots, queries=queries, seed=seed)[index]

    assert batch.support_x.shape == (1, ways * shots, 1, 2, 2)
    assert batch.query_x.shape == (1, ways * queries, 1, 2, 2)
    support, query = origin(batch.support_x[0]), origin(batch.query_x[0])
    assert len({*support, *query}) == ways * (shots + queries)
    labelled = dict(zip(batch.support_y[0].tolist(), support // 10, strict=True))
    assert len(set(labelled.values())) == ways
    for image, label in [
        *zip(support, batch.support_y[0].tolist(), strict=True),
        *zip(query, batch.query_y[0].tolist(), strict=True),
    ]:
        assert image // 10 == labelled[label]
        assert image % 10 < counts[image // 10]
    assert batch.support_y[0].bincount().tolist() == [shots] * ways
    assert batch.query_y[0].bincount().tolist() == [queries] * ways
    assert (batch.tasks, batch.ways, batch.index) == (1, ways, (index,))


def test_a_task_does_not_depend_on_when_or_in_which_batch_it_is_drawn(episodes) -> None:
    e = episodes()
    together = e.batch([4, 0, 2])
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global generator is what must not matter
    numpys, torchs = np.random.random(3), torch.rand(3)  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    for place, index in ((1, 0), (2, 2), (0, 4)):
        alone = episodes()[index]
        for name in ("support_x", "support_y", "query_x", "query_y"):
            assert torch.equal(getattr(alone, name)[0], getattr(together, name)[place])
    assert np.array_equal(np.random.random(3), numpys)  # noqa: NPY002 - and drawing tasks leaves it alone
    assert torch.equal(torch.rand(3), torchs)
    assert not torch.equal(e[0].support_x, e[1].support_x)
    assert not torch.equal(e[0].support_x, episodes(seed=1)[0].support_x)


def test_every_class_and_image_has_its_turn_equally_often() -> None:
    counts = (4,) * 5
    e = Episodes(marked(counts), ways=2, shots=1, queries=1)
    drawn = np.bincount(np.concatenate([e.drawn(i)[1].ravel() for i in range(2000)]), minlength=20)
    expected = 2000 * 4 / 20
    chi_square = ((drawn - expected) ** 2 / expected).sum()
    assert chi_square < 43.8  # the 0.999 quantile for 19 degrees of freedom


def test_the_first_images_drawn_of_a_class_are_its_support() -> None:
    e = Episodes(marked(), ways=2, shots=2, queries=1, seed=3)
    rows, batch = e.drawn(5)[1], e[5]
    values = e._images[:, 0, 0, 0].numpy()
    assert origin(batch.support_x[0]).tolist() == values[rows[:, :2]].ravel().tolist()
    assert origin(batch.query_x[0]).tolist() == values[rows[:, 2:]].ravel().tolist()


def test_pixels_are_the_bytes_over_255_in_float32(classes) -> None:
    e = Episodes(classes, ways=3, shots=2, queries=3)
    x = e[0].query_x
    assert x.dtype == torch.float32
    assert torch.equal(x[0, 0], classes.images[e.drawn(0)[1][0, 2]].float() / 255)
    assert e.image_shape == (1, 16, 16)


def test_a_named_data_set_is_loaded_and_its_errors_pass_through() -> None:
    with pytest.raises(RobustMetaError, match="unknown data set 'glyhps'; did you mean 'glyphs'"):
        Episodes("glyhps")
    with pytest.raises(RobustMetaError, match="unknown split 'tset'; did you mean 'test'"):
        Episodes("glyphs", "tset")


def test_images_fitted_to_another_shape_are_the_same_tasks(classes) -> None:
    own, named = (lambda **shape: Episodes(classes, ways=3, shots=2, queries=3, **shape)), Episodes
    for made in (own, lambda **shape: named("glyphs", "val", ways=3, shots=2, queries=3, **shape)):
        plain, fit = made(), made(image_shape=(3, 12, 12))
        assert (plain.name, plain.image_shape[0], fit.name, fit.image_shape) == (fit.name, 1, plain.name, (3, 12, 12))
        assert all(np.array_equal(*pair) for pair in zip(plain.drawn(7), fit.drawn(7), strict=True))
        small = torch.nn.functional.interpolate(plain[7].query_x[0], (12, 12), mode="bicubic", antialias=True)
        assert (fit[7].query_x[0] - small).abs().mean() < 0.03  # the same images, by another filter
        assert fit[7].query_y.equal(plain[7].query_y)
    with pytest.raises(RobustMetaError, match="patterns/train has 1 channels and 2 were asked for"):
        own(image_shape=(2, 16, 16))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ways": 7}, "7 ways asked of marked/train, which has 6 classes"),
        (
            {"shots": 2, "queries": 2},
            r"shots \+ queries = 4 images a class asked of marked/train, whose class 'c0' has 3",
        ),
        ({"ways": 1}, "ways is 1; it must be at least 2"),
        ({"shots": 0}, "shots is 0; it must be at least 1"),
        ({"queries": 0}, "queries is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
    ],
)
def test_tasks_that_the_data_cannot_give_are_refused(wrong, message) -> None:
    with pytest.raises(RobustMetaError, match=message) as error:
        Episodes(marked(), **{"ways": 2, "shots": 1, "queries": 1, **wrong})
    assert "\n" not in str(error.value)


def test_indices_that_are_none_are_refused(episodes) -> None:
    with pytest.raises(RobustMetaError, match=r"task -1 asked of patterns/train; tasks are numbered 0, 1, 2"):
        episodes()[-1]
    for none in ([], range(0)):
        with pytest.raises(
            RobustMetaError, match="a batch of no tasks asked of patterns/train; give at least one index"
        ):
            episodes().batch(none)


def good() -> dict[str, torch.Tensor]:
    return {
        "support_x": torch.rand(2, 3, 1, 4, 4),
        "support_y": torch.tensor([[0, 1, 2], [2, 0, 1]]),
        "query_x": torch.rand(2, 4, 1, 4, 4),
        "query_y": torch.tensor([[0, 1, 2, 2], [0, 0, 0, 0]]),
    }


def changed(name: str, **at: float) -> torch.Tensor:
    tensor = good()[name].clone()
    tensor[1, 2] = at["to"]
    return tensor


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"query_x": changed("query_x", to=1.01)}, r"query_x has values from .* to 1.01; images must lie in \[0, 1\]"),
        ({"support_x": changed("support_x", to=-0.01)}, "support_x has values from -0.01"),
        ({"support_x": changed("support_x", to=float("nan"))}, "support_x has values from nan to nan"),
        ({"query_x": changed("query_x", to=float("inf"))}, "to inf"),
        ({"query_x": (good()["query_x"] * 255).byte()}, "query_x"),
        ({"query_x": good()["query_x"].bool()}, "query_x"),
        ({"query_x": torch.rand(4, 1, 4, 4)}, r"query_x has shape \[4, 1, 4, 4\]; it must be \[T, N, C, H, W\]"),
        ({"query_x": torch.rand(2, 0, 1, 4, 4), "query_y": torch.zeros(2, 0, dtype=torch.int64)}, "query_x"),
        ({"query_x": torch.rand(1, 4, 1, 4, 4), "query_y": torch.zeros(1, 4, dtype=torch.int64)}, "differ in tasks"),
        ({"query_x": torch.rand(2, 4, 3, 4, 4)}, "differ in tasks or image size"),
        ({"query_y": torch.zeros(2, 3, dtype=torch.int64)}, r"the labels of query_x have shape \[2, 3\]; .* \[2, 4\]"),
        ({"query_y": changed("query_y", to=3)}, r"labels run from 0 to 3; they must be 0 to ways-1 = 2"),
        ({"query_y": changed("query_y", to=-1)}, "labels run from -1 to 2"),
        ({"support_y": changed("support_y", to=-1)}, "labels run from -1 to 2"),
        ({"support_y": changed("support_y", to=0)}, "task 1 has no support image of class 1; each of the 3 ways"),
        ({"query_y": good()["query_y"].float()}, "query_y has type torch.float32; labels must be"),
        ({"support_y": good()["support_y"].bool()}, "support_y has type torch.bool"),
        ({"support_y": good()["support_y"].int()}, "support_y has type torch.int32"),
        ({"index": (1, 2, 3)}, "3 .*2 tasks"),
    ],
)  # fmt: skip
def test_batches_that_are_none_are_refused_in_one_line(wrong, message) -> None:
    EpisodeBatch(**good())
    with pytest.raises(RobustMetaError, match=message) as error:
        EpisodeBatch(**{**good(), **wrong})
    assert "\n" not in str(error.value)


def test_a_batch_cannot_be_changed_but_by_making_another() -> None:
    batch = EpisodeBatch(**good(), index=(4, 9))
    with pytest.raises(AttributeError):
        batch.query_x = good()["query_x"]
    other = batch.with_queries(torch.ones(2, 4, 1, 4, 4))
    assert other.support_x is batch.support_x
    assert other.index == (4, 9)
    with pytest.raises(RobustMetaError, match="must lie in"):
        batch.with_queries(torch.full((2, 4, 1, 4, 4), 1.5))
    there = batch.to("cpu")
    assert torch.equal(there.query_x, batch.query_x)
    assert there.index == (4, 9)
    assert replace(batch, index=()).index == ()


def test_a_batch_knows_the_classes_behind_its_labels(classes) -> None:
    e = Episodes(classes, ways=3, shots=2, queries=3, seed=4)
    batch = e.batch([6, 2])
    assert batch.classes.shape == (2, 3)
    for task in range(2):
        for way in range(3):
            (own,) = {image // 8 for image in e.drawn((6, 2)[task])[1][way]}  # eight images a class, class after class
            assert batch.classes[task, way] == own
    assert torch.equal(batch.to("cpu").classes, batch.classes)
