"""What every result row says about where it comes from."""

from typing import Any

from robustmeta.attacks.card import suite_of
from robustmeta.recipe import Recipe, Row


def about_row(recipe: Recipe, row: Row) -> dict[str, Any]:
    """The columns that all result rows of one learner share, but for the threat."""
    training, test, backbone = recipe.training_of(row), recipe.test, recipe.backbone_of(row)
    suite = suite_of(recipe.attacks)
    learner = row.learner["name"]
    return {
        "row": row.name,
        "learner": learner,
        "defense": row.defense.get("name", "natural"),
        "backbone": f"{backbone['name']}-{backbone.get('width', 64)}",
        "norm_policy": backbone.get("norm", "running"),
        "dataset": recipe.dataset["name"],
        "split": test.split,
        "ways": test.ways,
        "shots": test.shots,
        "queries": test.queries,
        "seed": test.seed,
        "suite": suite.name if suite else "",
        "order": ("first" if row.learner.get("first_order") else "second") if learner == "maml" else "",
        "train_ways": training.ways,
        "train_shots": training.shots,
        "train_steps": training.steps,
        "train_tasks": training.tasks,
        "train_seed": training.seed,
        "selection": "last step",
        "config": recipe.hash,
    }
