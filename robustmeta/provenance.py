"""What every result row says about where it comes from."""

import inspect
from dataclasses import replace
from typing import Any

from robustmeta.attacks.card import suite_of
from robustmeta.backbones import BACKBONES
from robustmeta.learners import LEARNERS
from robustmeta.recipe import Recipe, Row
from robustmeta.rows import suite_columns


def about_row(recipe: Recipe, row: Row, trained: int | None = None) -> dict[str, Any]:
    """The columns that all result rows of one learner share, but for the threat.

    trained: the outer steps that its training has done; None for all of the recipe's.
    """
    training, test = recipe.training_of(row), recipe.test
    backbone = _defaults(recipe.backbone_of(row)["name"]) | recipe.backbone_of(row)
    learner = row.learner["name"]
    return {
        "row": row.name,
        "variant": _variant(recipe, row),
        "learner": learner,
        "defense": row.defended,
        "backbone": "-".join(filter(None, [backbone["name"], str(backbone.get("width", ""))])),
        "norm_policy": backbone.get("norm", ""),
        "dataset": recipe.tested_on["name"],
        "split": test.split,
        "ways": test.ways,
        "shots": test.shots,
        "queries": test.queries,
        "seed": test.seed,
        **suite_columns(suite_of(recipe.attacks)),
        "order": "first" if row.learner.get("first_order") else LEARNERS[learner].order,
        "train_dataset": recipe.dataset["name"],
        "train_ways": training.ways,
        "train_shots": training.shots,
        "train_steps": training.steps if trained is None else trained,
        "planned_steps": training.steps,
        "train_tasks": training.tasks,
        "train_chunk": training.chunk,
        "train_seed": training.seed,
        "selection": f"average of {100 * training.average:g}% of the steps" if training.average else "last step",
        "config": recipe.hash,
    }


def _variant(recipe: Recipe, row: Row) -> str:
    """The first row that differs from this one in nothing but its training seed, by which rows over seeds are told."""

    def kind(other: Row) -> tuple[Any, ...]:
        training = replace(recipe.training_of(other), seed=0)
        return other.learner, other.defense, recipe.backbone_of(other), training

    return next(other.name for other in recipe.rows if kind(other) == kind(row))


def _defaults(backbone: str) -> dict[str, Any]:
    parameters = inspect.signature(BACKBONES[backbone]).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}
