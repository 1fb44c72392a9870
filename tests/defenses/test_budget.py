"""The recipes that compare defenses give each of them the same number of gradient evaluations."""

from dataclasses import replace

import pytest
import torch

from robustmeta.assembly import build_learner
from robustmeta.backbones import Backbone
from robustmeta.batch import EpisodeBatch
from robustmeta.learners import Learner
from robustmeta.recipe import Recipe, Row
from robustmeta.recipe_file import find
from robustmeta.schema import Source

RECIPES = ("defenses-omniglot", "reference-omniglot-5w1s", "reference-omniglot-20w1s", "reference-cifar-fs-5w5s")
SIZE = 16
CHANNELS = {"omniglot": 1, "cifar_fs": 3}
HALVES = (0.92, 1.0)
"""A point in a clean stretch of LCAT and one in an adversarial stretch; other defenses are the same at both."""


def small(name: str) -> tuple[Recipe, Source]:
    """A recipe with a narrow backbone, as what is counted does not hang on it."""
    recipe, source = find(name)
    return replace(recipe, backbone={**recipe.backbone, "width": 2}), source


def shape_of(recipe: Recipe) -> tuple[int, int, int]:
    """(C, H, W) of the recipe's images, made small."""
    return (CHANNELS[recipe.dataset["name"]], SIZE, SIZE)


def tasks(recipe: Recipe, row: Row) -> EpisodeBatch:
    """A batch of the row's training tasks, of noise."""
    own = recipe.training_of(row)
    labels = torch.arange(own.ways)
    support, queries = (labels.repeat_interleave(each).expand(own.tasks, -1) for each in (own.shots, own.queries))
    images = [torch.rand(*labels.shape, *shape_of(recipe)) for labels in (support, queries)]
    classes = torch.randint(50, (own.tasks, own.ways))
    return EpisodeBatch(images[0], support, images[1], queries, tuple(range(own.tasks)), classes)


def gradient_evaluations(recipe: Recipe, source: Source, row: Row) -> float:
    """Images passed through the backbone with a graph, in a step of training, averaged over both halves."""
    learner = build_learner(recipe, row, shape_of(recipe), source, lambda: 50)
    passed: list[int] = []

    def count(module: Backbone, given: tuple, made: tuple) -> None:
        passed.append(given[0].shape[:2].numel() if made[0].requires_grad else 0)

    (backbone,) = {module for module in learner.modules() if isinstance(module, Backbone)}
    backbone.register_forward_hook(count)
    for progress in HALVES:
        for module in learner.modules():
            if isinstance(module, Learner):
                module.progress = progress
        learner.loss(tasks(recipe, row)).backward()
    return sum(passed) / len(HALVES)


@pytest.mark.parametrize("learner", ["protonet", "maml", "r2d2", "transfer"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_defense_of_a_learner_has_the_same_budget(name, learner) -> None:
    recipe, source = small(name)
    rows = [row for row in recipe.rows if row.learner["name"].removeprefix("unicorn-") == learner]
    spent = {row.name: recipe.training_of(row).steps * gradient_evaluations(recipe, source, row) for row in rows}
    reference = spent.get(f"{learner}-aq", spent.get(f"{learner}-at"))
    assert {name: round(each / reference, 1) for name, each in spent.items()} == dict.fromkeys(spent, 1.0)
