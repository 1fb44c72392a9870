"""A cache of its own for every test, and the glyphs drawn once."""

from pathlib import Path

import pytest

from robustmeta.data import SPLITS, ImageClasses, load


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("ROBUSTMETA_CACHE", str(folder))
    monkeypatch.delenv("ROBUSTMETA_DATA", raising=False)
    return folder


@pytest.fixture(scope="session")
def glyph_splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ImageClasses]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTMETA_CACHE", str(tmp_path_factory.mktemp("glyphs")))
        splits = {split: load("glyphs", split) for split in SPLITS}
    return splits
