"""What a row says of itself, against the recipe it comes from and the defaults of what it names."""

import inspect
from dataclasses import replace

import pytest

from robustmeta.attacks.card import suite_of
from robustmeta.backbones import Conv4
from robustmeta.learners import MAML
from robustmeta.provenance import about_row
from robustmeta.recipe_file import read

RECIPE, _ = read(
    """
name: mine
test: {ways: 3, shots: 2, queries: 7, seed: 5, split: val}
backbone: {name: conv4, width: 16}
training: {ways: 20, shots: 3, steps: 40, tasks: 2, seed: 4}
rows:
  - {learner: {name: maml}, backbone: {norm: group}}
  - {learner: {name: maml, first_order: true}, backbone: {width: 8}, training: {ways: 5}, name: first}
  - {learner: {name: protonet}, defense: {name: aq, attack: pgd-7}}
""",
    "mine.yaml",
)


@pytest.fixture(params=range(3))
def about(request):
    return about_row(RECIPE, RECIPE.rows[request.param])


def test_a_row_says_where_it_comes_from():
    assert about_row(RECIPE, RECIPE.rows[2]) == {
        "row": "protonet-aq", "variant": "protonet-aq", "learner": "protonet",
        "defense": "aq", "backbone": "conv4-16", "norm_policy": "running",
        "dataset": "glyphs", "split": "val", "ways": 3, "shots": 2, "queries": 7, "seed": 5, "suite": "quick",
        "suite_card": suite_of("quick").hash,
        "order": "", "train_dataset": "glyphs", "train_ways": 20, "train_shots": 3, "train_steps": 40,
        "planned_steps": 40, "train_tasks": 2, "train_chunk": 2, "train_seed": 4,
        "selection": "last step", "config": RECIPE.hash,
    }  # fmt: skip


def test_a_row_that_is_tested_on_other_data_says_both():
    across = replace(RECIPE, test=replace(RECIPE.test, dataset={"name": "omniglot"}))
    about = about_row(across, across.rows[0])
    assert (about["dataset"], about["train_dataset"], about["config"]) == ("omniglot", "glyphs", across.hash)


def test_what_a_row_changes_is_told_of_that_row():
    second, first = (about_row(RECIPE, row) for row in RECIPE.rows[:2])
    told = ("row", "defense", "backbone", "norm_policy", "order", "train_ways")
    assert [second[key] for key in told] == ["maml-natural", "natural", "conv4-16", "group", "second", 20]
    assert [first[key] for key in told] == ["first", "natural", "conv4-8", "running", "first", 5]


def test_what_a_recipe_leaves_out_is_told_as_the_backbone_has_it():
    bare, _ = read("name: x\nrows:\n  - learner: {name: maml}\n", "x.yaml")
    defaults = inspect.signature(Conv4).parameters
    about = about_row(bare, bare.rows[0])
    assert about["backbone"] == f"conv4-{defaults['width'].default}"
    assert about["norm_policy"] == defaults["norm"].default
    assert about["order"] == ("first" if inspect.signature(MAML).parameters["first_order"].default else "second")


def test_all_rows_have_the_same_columns(about):
    assert list(about) == list(about_row(RECIPE, RECIPE.rows[0]))
