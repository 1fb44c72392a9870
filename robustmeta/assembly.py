"""From the names and settings of a recipe to learners, episodes and attacks."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from robustmeta.attacks.base import Attack, Threat
from robustmeta.attacks.card import Card, card, resolve, suite_of
from robustmeta.attacks.support.base import SupportAttack
from robustmeta.backbones import BACKBONES
from robustmeta.component import component
from robustmeta.data import DATASETS
from robustmeta.episodes import Episodes
from robustmeta.learners import LEARNERS, Learner
from robustmeta.recipe import Recipe, Row
from robustmeta.robustify import defended
from robustmeta.schema import Source, arguments, guarded


def build_learner(
    recipe: Recipe, row: Row, image_shape: tuple[int, int, int], source: Source, classes: Callable[[], int]
) -> Learner:
    """The learner of a row with its backbone and defense, its initial weights drawn from the training seed.

    image_shape: (C, H, W) of the data set. classes: tells the number of training classes, for learners that ask.
    Raises `RobustMetaError` with the line of the recipe for an unknown name or setting.
    """
    at = ("rows", str(recipe.rows.index(row)))
    torch.manual_seed(recipe.training_of(row).seed)
    channels, size, _ = image_shape
    where = (*at, "backbone")
    inherited = {(*where, *path[1:]): line for path, line in source.lines.items() if path[:1] == ("backbone",)}
    lines = Source(source.name, {**inherited, **source.lines})
    backbone = component(BACKBONES, recipe.backbone_of(row), lines, where, channels=channels, size=size)
    given: dict[str, Any] = {"backbone": backbone, "ways": recipe.test.ways}
    name = row.learner["name"]
    if name in LEARNERS and "classes" in inspect.signature(LEARNERS[name]).parameters:
        given["classes"] = classes()
    learner: Learner = component(LEARNERS, row.learner, source, (*at, "learner"), **given)
    for place, defense in enumerate(row.defenses):
        place_of: tuple[str, ...] = (*at, "defense", str(place)) if isinstance(row.defense, list) else (*at, "defense")
        learner = defended(learner, defense, recipe.threat, source, place_of)
    return learner


def suite_cards(recipe: Recipe, source: Source, channels: int) -> dict[str, Card]:
    """The cards of a recipe by the name its results carry; one that does not fit is replaced by its stand-in.

    channels: of the images.
    """
    cards = guarded(lambda: resolve(recipe.attacks), source, ("attacks",))
    fits = {found.name: partial(found.fit, recipe.threat.norm, recipe.test.ways, channels) for found in cards}
    fitted = {name: guarded(fit, source, ("attacks",)) for name, fit in fits.items()}
    halved = next((name for name, found in fitted.items() if found.target != "query"), None)
    if halved and recipe.test.queries < 2:
        problem = f"is 1; the attack {halved!r} needs 2 or more a class, to know some and be judged on the others"
        raise source.error(("test", "queries"), problem)
    return fitted


def build_attacks(
    recipe: Recipe, source: Source, cards: Mapping[str, Card], twin: Learner | None
) -> dict[str, Attack | SupportAttack]:
    """The attacks of some cards under the recipe's threat; twin: the undefended learner, for attacks by transfer."""
    return {
        name: guarded(partial(found.build, recipe.threat, twin), source, ("attacks",)) for name, found in cards.items()
    }


def survivors_only(recipe: Recipe) -> bool:
    """Whether the recipe's attacks are a suite in which each meets only what those before it left right."""
    suite = suite_of(recipe.attacks)
    return suite is not None and suite.survivors_only


def curve_attacks(recipe: Recipe, source: Source, channels: int) -> dict[str, Attack]:
    """The attack of a recipe's curve at each of its eps, by the eps; channels: of the images.

    Raises `RobustMetaError` for an attack that does not fit the tasks, moves other than queries, or is by transfer.
    """
    found = _followed(recipe, recipe.curve.attack, source, ("curve", "attack"), channels)
    norm = recipe.threat.norm
    threats = {f"{eps:g}": guarded(partial(Threat, norm, eps), source, ("curve", "eps")) for eps in recipe.curve_eps}
    return {eps: guarded(partial(found.build, threat), source, ("curve", "attack")) for eps, threat in threats.items()}


def step_attacks(recipe: Recipe, source: Source, channels: int) -> dict[str, Attack]:
    """The attack of a recipe's `steps` at each number of them but 0, by the number; none where it has no such section.

    channels: of the images. Raises `RobustMetaError` as `curve_attacks` does, and for an attack without steps.
    """
    if recipe.steps is None:
        return {}
    found = _followed(recipe, recipe.steps.attack, source, ("steps", "attack"), channels)
    if "steps" not in found.parameters:
        problem = f"is {found.name!r}, whose card has no 'steps'; name one that has, as pgd-20-margin"
        raise source.error(("steps", "attack"), problem)
    at = {
        str(number): replace(found, parameters={**found.parameters, "steps": number}) for number in recipe.steps.steps
    }
    build = {number: partial(made.build, recipe.threat) for number, made in at.items() if number != "0"}
    return {number: guarded(make, source, ("steps", "steps")) for number, make in build.items()}


def _followed(recipe: Recipe, name: str, source: Source, at: tuple[str, ...], channels: int) -> Card:
    """The card of an attack that is followed along something, which must fit the tasks."""
    found = guarded(lambda: card(name), source, at)
    fitting = guarded(partial(found.fit, recipe.threat.norm, recipe.test.ways, channels), source, at)
    if fitting != found:
        raise source.error(at, f"is {found.name!r}, which does not fit these tasks; {fitting.name!r} does")
    if found.target != "query" or found.knowledge == "transfer":
        problem = f"is {found.name!r}; a curve takes an attack on the queries that needs no twin, as pgd-20-margin"
        raise source.error(at, problem)
    return found


def episodes_of(
    recipe: Recipe, source: Source, split: str, root: Path | None, device: str, path: tuple[str, ...], **task: int
) -> Episodes:
    """Episodes of a split of the data set that rows are trained on; errors carry the line of the recipe's `path`."""
    make = _episodes(recipe.dataset, source, ("dataset",))
    return guarded(lambda: make(split, root=root, device=device, **task), source, path)


def evaluation_episodes(
    recipe: Recipe, source: Source, root: Path | None, device: str, image_shape: tuple[int, int, int] | None = None
) -> Episodes:
    """The episodes that a recipe's rows are evaluated on, of its data set or of another one.

    The images of another one are fitted to the shape of those trained on: image_shape, or, without it, what is found in
    their data set. Raises `RobustMetaError` with the line of the recipe.
    """
    test, at = recipe.test, ("test", "dataset")
    task = {"ways": test.ways, "shots": test.shots, "queries": test.queries, "seed": test.seed}
    if test.dataset is None:
        return episodes_of(recipe, source, test.split, root, device, at[:1], **task)
    make = _episodes(test.dataset, source, at)
    if image_shape is None:
        trained = episodes_of(recipe, source, "val", root, "cpu", ("dataset",), ways=2, shots=1, queries=1)
        image_shape = trained.image_shape
    fit = partial(make, test.split, root=root, device=device, image_shape=image_shape, **task)
    return guarded(fit, source, at[:1])


def check_unseen(recipe: Recipe, source: Source, root: Path | None, tasks: Episodes) -> None:
    """Raise `RobustMetaError` where classes of the test `tasks` are known to be among those that rows are trained on.

    Of one data set and its settings the splits have no class in common; of others it is known where both take their
    classes from one collection.
    """
    trained, tested, of = recipe.dataset, recipe.tested_on, DATASETS.collection_of
    if trained == tested or not of(tested["name"]) or of(tested["name"]) != of(trained["name"]):
        return
    known = episodes_of(recipe, source, "train", root, "cpu", ("dataset",), ways=2, shots=1, queries=1).data.known_as
    seen = [each for each in tasks.data.known_as if each and each in set(known)]
    if seen:
        raise source.error(
            ("test", "dataset"),
            f"{len(seen)} of the {len(tasks.counts)} classes of {tasks.name} are trained on, as {seen[0]}; few-shot "
            "tests are of new classes: test on another data set, or on the one trained on with the same settings",
        )


def _episodes(dataset: Mapping[str, Any], source: Source, path: tuple[str, ...]) -> Callable[..., Episodes]:
    """What makes episodes of a data set, whose name and settings are checked."""
    name, options = str(dataset.get("name")), {key: value for key, value in dataset.items() if key != "name"}
    loader = guarded(lambda: DATASETS[name], source, (*path, "name"))
    return partial(Episodes, name, **arguments(loader, options, source, path, given=("split", "root")))
