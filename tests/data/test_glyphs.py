import hashlib
import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from PIL import Image

from robustmeta.data import glyph_render, glyphs
from robustmeta.data.glyph_choice import SPLIT_SCRIPTS, choose
from robustmeta.data.glyph_table import classes
from robustmeta.errors import RobustMetaError

LEAST = {"train": 600, "val": 100, "test": 250}


def test_sizes(glyph_splits):
    for split, data in glyph_splits.items():
        assert len(data.labels) == len(set(data.labels)) >= LEAST[split]
        assert data.counts == (20,) * len(data.labels)
        assert data.images.shape == (20 * len(data.labels), 1, 28, 28)
        assert data.images.dtype == torch.uint8
    assert sum(len(data.labels) for data in glyph_splits.values()) >= 1000


def test_scripts_are_many_and_in_one_split_each(glyph_splits):
    scripts = {split: {label.split("/")[0] for label in data.labels} for split, data in glyph_splits.items()}
    assert all(not scripts[one] & scripts[other] for one, other in combinations(scripts, 2))
    assert len(set().union(*scripts.values())) >= 15


def test_every_image_has_ink_and_an_empty_border(glyph_splits):
    images = torch.cat([data.images for data in glyph_splits.values()])
    assert images.flatten(1).amax(1).min() > 127
    border = torch.ones(28, 28, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    assert not images[:, 0, border].any()
    assert 0.05 < images.float().mean() / 255 < 0.2
    assert len(images.flatten(1).unique(dim=0)) == len(images)


def test_every_class_has_four_different_faces():
    for split in LEAST:
        for _, point in classes(split):
            faces = glyph_render.faces(point)
            assert len(faces) >= 4
            plain = {glyph_render.draw(face.outline, glyph_render.Jitter(), face.slanted).tobytes() for face in faces}
            assert len(plain) >= 3, hex(point)


def test_no_class_has_a_double_in_another_split():
    """In each face, every glyph stretched to a square: how much of the ink two of them share, 1 for the same."""
    points = np.array([point for split in LEAST for _, point in classes(split)])
    split = np.array([split for split in LEAST for _ in classes(split)])
    shared, faces = np.zeros((2, len(points), len(points)))
    for file in glyph_render.FILES:
        glyphs_of = {i: glyph_render.outline(p, file) for i, p in enumerate(points) if p in glyph_render.covered(file)}
        rows = np.array([i for i, glyph in glyphs_of.items() if glyph], dtype=int)
        squares = np.array(
            [np.asarray(glyphs_of[i].resize((20, 20), Image.Resampling.BOX), dtype=float).ravel() for i in rows]
        ).reshape(-1, 400)
        ink = (squares**2).sum(1)
        both = squares @ squares.T
        shared[np.ix_(rows, rows)] += both / (ink[:, None] + ink - both)
        faces[np.ix_(rows, rows)] += 1
    alike = np.divide(shared, faces, out=np.zeros_like(shared), where=faces > 0)
    assert np.allclose(np.diag(alike), 1)
    assert alike[split[:, None] != split].max() < 0.92
    assert alike[~np.eye(len(points), dtype=bool)].max() < 0.95


def test_another_process_draws_the_same(glyph_splits):
    program = (
        "import hashlib; from robustmeta.data.glyphs import draw_class; "
        "print(hashlib.sha256(b''.join(draw_class(p).tobytes() for p in (0x541, 0x5d0, 0x2d33))).hexdigest())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    ).stdout
    here = hashlib.sha256()
    data = glyph_splits["test"]
    for label in ("Armenian/U+0541", "Hebrew/U+05D0", "Tifinagh/U+2D33"):
        first = 20 * data.labels.index(label)
        here.update(data.images[first : first + 20].numpy().tobytes())
    assert said.strip() == here.hexdigest()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_nearest_neighbour_in_pixels_is_neither_lost_nor_enough(glyph_splits, split):
    data = glyph_splits[split]
    images = data.images.float().view(len(data.labels), 20, -1)
    rng = np.random.default_rng(0)
    right = []
    for _ in range(200):
        chosen = torch.from_numpy(rng.choice(len(images), 5, replace=False))
        order = torch.from_numpy(rng.permuted(np.tile(np.arange(20), (5, 1)), axis=1))
        task = images[chosen[:, None], order]
        nearest = torch.cdist(task[:, 1:].flatten(0, 1), task[:, 0]).argmin(1)
        right.append((nearest == torch.arange(5).repeat_interleave(19)).float().mean().item())
    assert 0.30 < np.mean(right) < 0.55


def test_a_glyph_is_drawn_where_the_jitter_puts_it():
    block = Image.new("L", (40, 40), 255)
    plain = glyph_render.draw(block, glyph_render.Jitter()).astype(int)
    assert abs(plain.sum() / 255 - 17**2) < 5
    assert (plain[6:22, 6:22] == 255).all()
    assert not plain[:5].any()
    assert not plain[:, 23:].any()
    moved = glyph_render.draw(block, glyph_render.Jitter(shift=(2.0, -3.0))).astype(int)
    assert (moved[3:19, 8:24] == 255).all()
    assert abs(moved.sum() - plain.sum()) / 255 < 12  # a third of a pixel along the edges
    half = glyph_render.draw(block, glyph_render.Jitter(scale=0.5, rotation=np.pi / 4)).astype(int)
    assert abs(half.sum() / 255 - (17 / 2) ** 2) < 5
    far = glyph_render.draw(block, glyph_render.Jitter(shift=(50.0, 0.0), rotation=0.3, scale=3.0))
    assert far[1:-1, 1:-1].any()
    assert not far[:, [0, -1]].any()
    assert not far[[0, -1]].any()


def test_slanting_leans_to_the_right():
    bar = Image.new("L", (10, 60), 255)
    leaning = glyph_render.draw(bar, glyph_render.Jitter(), slanted=True).astype(float)
    top, bottom = (np.average(np.arange(28), weights=leaning[row]) for row in (8, 19))
    assert top - bottom == pytest.approx(0.2 * 11, abs=0.3)


def test_missing_fonts_are_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(glyph_render, "get_data_path", lambda: str(tmp_path))
    glyph_render.covered.cache_clear()
    with pytest.raises(RobustMetaError, match=r"no drawing of U\+0041; reinstall matplotlib"):
        glyphs.draw_class(0x41)
    glyph_render.covered.cache_clear()


def test_the_choice_drops_doubles_within_and_across_splits(monkeypatch):
    monkeypatch.setattr("robustmeta.data.glyph_choice.candidates", lambda words: [ord(sign) for sign in words])
    monkeypatch.setattr(glyph_render, "FILES", ["DejaVuSans.ttf", "DejaVuSerif.ttf"])
    chosen = choose({"test": {"Greek": ("\u0391", "\u03a8")}, "train": {"Latin": ("A", "O", "o", "W", "e")}})
    assert chosen == {"test": {"Greek": [0x391, 0x3A8]}, "train": {"Latin": [ord("O"), ord("W"), ord("e")]}}


def test_the_table_is_of_the_scripts_of_the_choice():
    for split, scripts in SPLIT_SCRIPTS.items():
        assert {script for script, _ in classes(split)} == set(scripts)
