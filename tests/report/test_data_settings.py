from pathlib import Path

import pytest

from robustmeta.data import DATASETS
from robustmeta.report.data_settings import UNKNOWN, with_data_settings

ACROSS = "dataset: {name: omniglot, by: characters}\ntest: {dataset: {name: folder, path: x, channels: 3}}"


def told(results, tmp_path: Path, recipe: str | None, dataset: str, trained: str) -> tuple[set[str], set[str]]:
    if recipe is not None:
        (tmp_path / "recipe.yaml").write_text(recipe)
    rows = with_data_settings(results.assign(dataset=dataset, train_dataset=trained), tmp_path / "recipe.yaml")
    return set(rows["data"]), set(rows["train_data"])


@pytest.mark.parametrize(
    ("recipe", "dataset", "trained", "data", "train_data"),
    [
        ("dataset: {name: omniglot, rotations: true, by: characters}", "omniglot", "omniglot", *2 * ["by characters"]),
        ("dataset: {name: omniglot, rotations: true, by: alphabets}", "omniglot", "omniglot", "", ""),
        (ACROSS, "folder", "omniglot", "path x", "by characters"),
        ("name: the default data", "glyphs", "glyphs", "", ""),
        ("dataset: {name: mine, b: 2, a: 1}", "mine", "mine", *2 * ["a 1, b 2"]),
    ],
)
def test_settings_are_those_of_the_recipe_that_are_not_the_loaders_defaults(
    results, tmp_path, recipe, dataset, trained, data, train_data
):
    assert told(results, tmp_path, recipe, dataset, trained) == ({data}, {train_data})


@pytest.mark.parametrize("recipe", [None, "dataset: omniglot", "a: [", "just text", "dataset: {name: folder}"])
def test_without_a_recipe_of_the_data_set_its_settings_are_unknown_if_it_has_some(results, tmp_path, recipe):
    assert told(results, tmp_path, recipe, "omniglot", "glyphs") == ({UNKNOWN}, {""})
    assert "mine" not in DATASETS
    assert told(results, tmp_path, recipe, "mine", "cifar_fs") == ({UNKNOWN}, {""})


def test_columns_that_are_there_stay(results, tmp_path):
    given = results.assign(dataset="omniglot", data="by characters")
    rows = with_data_settings(given, tmp_path / "recipe.yaml")
    assert set(rows["data"]) == {"by characters"}
    assert "train_data" not in rows
