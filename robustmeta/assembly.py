"""From the names and settings of a recipe to learners, episodes and attacks."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.card import Card, card, resolve
from robustmeta.backbones import BACKBONES
from robustmeta.data import DATASETS
from robustmeta.defenses import DEFENSES
from robustmeta.episodes import Episodes
from robustmeta.learners import LEARNERS, Learner
from robustmeta.recipe import Recipe, Row
from robustmeta.registry import Registry
from robustmeta.schema import Source, arguments, guarded


def build_learner(recipe: Recipe, row: Row, image_shape: tuple[int, int, int], source: Source) -> Learner:
    """The learner of a row with its backbone and defense, its initial weights drawn from the training seed.

    image_shape: (C, H, W) of the data set. Raises `RobustMetaError` with the line of the recipe for an unknown
    name or setting.
    """
    at = ("rows", str(recipe.rows.index(row)))
    torch.manual_seed(recipe.training_of(row).seed)
    channels, size, _ = image_shape
    where = (*at, "backbone")
    inherited = {(*where, *path[1:]): line for path, line in source.lines.items() if path[:1] == ("backbone",)}
    lines = Source(source.name, {**inherited, **source.lines})
    backbone = _made(BACKBONES, recipe.backbone_of(row), lines, where, channels=channels, size=size)
    learner: Learner = _made(LEARNERS, row.learner, source, (*at, "learner"), backbone=backbone, ways=recipe.test.ways)
    if row.defense:
        settings: dict[str, Any] = dict(row.defense)
        given: dict[str, Any] = {"learner": learner}
        if "attack" in settings:
            name = settings.pop("attack")
            given["attack"] = training_attack(name, recipe, source, (*at, "defense", "attack"))
        learner = _made(DEFENSES, settings, source, (*at, "defense"), **given)
    return learner


def training_attack(name: object, recipe: Recipe, source: Source, path: tuple[str, ...]) -> Attack:
    """The attack of a card, refused with the line of the recipe unless it is safe in training."""
    if not isinstance(name, str):
        raise source.error(path, f"is {name!r}; it must be the name of an attack, as pgd-7")
    found: Card = guarded(lambda: card(name), source, path)
    if not found.safe_in_training:
        raise source.error(path, f"the attack {name!r} is not safe in training; pgd-7 is")
    return guarded(lambda: found.build(recipe.threat), source, path)


def suite_cards(recipe: Recipe, source: Source) -> dict[str, Card]:
    """The cards of a recipe's suite or list, by name; one that does not fit the tasks is replaced by its stand-in."""
    cards = guarded(lambda: resolve(recipe.attacks), source, ("attacks",))
    ways, norm = recipe.test.ways, recipe.threat.norm
    return {found.name: guarded(partial(found.fit, norm, ways), source, ("attacks",)) for found in cards}


def build_attacks(recipe: Recipe, source: Source) -> dict[str, Attack]:
    """The attacks of a recipe, by the name their rows carry."""
    return {name: found.build(recipe.threat) for name, found in suite_cards(recipe, source).items()}


def curve_attacks(recipe: Recipe, source: Source) -> dict[str, Attack]:
    """The attack of a recipe's curve at each of its eps, by the eps."""
    found = guarded(lambda: card(recipe.curve.attack), source, ("curve", "attack"))
    norm = recipe.threat.norm
    threats = {f"{eps:g}": guarded(partial(Threat, norm, eps), source, ("curve", "eps")) for eps in recipe.curve.eps}
    return {eps: guarded(partial(found.build, threat), source, ("curve", "attack")) for eps, threat in threats.items()}


def episodes_of(
    recipe: Recipe, source: Source, split: str, root: Path | None, device: str, path: tuple[str, ...], **task: int
) -> Episodes:
    """Episodes of a split of the recipe's data set; errors carry the line of the recipe's `path`."""
    name, options = str(recipe.dataset.get("name")), {k: v for k, v in recipe.dataset.items() if k != "name"}
    loader = guarded(lambda: DATASETS[name], source, ("dataset", "name"))
    checked = arguments(loader, options, source, ("dataset",), given=("split", "root"))
    return guarded(lambda: Episodes(name, split, root=root, device=device, **task, **checked), source, path)


def _made(registry: Registry, component: Mapping[str, Any], source: Source, path: tuple[str, ...], **given: Any) -> Any:
    entry = guarded(lambda: registry[str(component.get("name"))], source, (*path, "name"))
    takes = inspect.signature(entry).parameters
    given = {key: value for key, value in given.items() if key in takes}
    settings = {key: value for key, value in component.items() if key != "name"}
    checked = arguments(entry, settings, source, path, given)
    return guarded(lambda: entry(**checked, **given), source, path)
