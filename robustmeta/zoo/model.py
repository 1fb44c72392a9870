"""A trained learner in one file of tensors and text: its weights, what made them and what it was measured in."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from robustmeta.assembly import build_learner
from robustmeta.checkpoint import Checkpoint
from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file
from robustmeta.learners import Learner
from robustmeta.recipe import Recipe
from robustmeta.schema import Source

FORMAT = "robustmeta model 1"


@dataclass(frozen=True)
class Model:
    """A trained learner without what only its training needs.

    weights: the learner's `state_dict`. made: all they depend on (`Recipe.made_by`). step: outer steps done.
    measured: `test` and `attacks` of the recipe of the rows it is kept with. image_shape: (C, H, W).
    classes: how many it was trained on.
    """

    weights: dict[str, torch.Tensor]
    made: dict[str, Any]
    step: int
    measured: dict[str, Any]
    image_shape: tuple[int, int, int]
    classes: int

    def save(self, path: str | Path) -> None:
        """Write the model to `path`, whole or not at all: a safetensors file, its metadata the rest in JSON."""
        about = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "weights"}
        metadata = {"format": FORMAT, "about": json.dumps(about, sort_keys=True)}
        with whole_file(path) as part:
            save_file({name: weight.contiguous() for name, weight in self.weights.items()}, part, metadata)

    @classmethod
    def load(cls, path: str | Path) -> "Model":
        """Read a model; raises `RobustMetaError` if the file is missing, damaged or another's."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            if metadata.get("format") != FORMAT:
                raise RobustMetaError(f"{path} is not a model of robustmeta ({FORMAT!r})")
            about = json.loads(metadata["about"])
            return cls(weights, **{**about, "image_shape": tuple(about["image_shape"])})
        except RobustMetaError:
            raise
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise RobustMetaError(f"{path} is missing, truncated or not a model of robustmeta: {error}") from error

    @property
    def recipe(self) -> Recipe:
        """The recipe of the one row that it was measured in."""
        return replace(Recipe.of_checkpoint(self.made, **self.measured["test"]), attacks=self.measured["attacks"])

    def as_checkpoint(self) -> Checkpoint:
        """The model as the checkpoint of training that has ended."""
        return Checkpoint(self.weights, self.step, {}, torch.get_rng_state(), self.made)

    def learner(self, name: str = "the model") -> Learner:
        """The learner, its weights in place, in evaluation mode; `name` is what errors call it."""
        trained = Recipe.of_checkpoint(self.made)
        with torch.random.fork_rng(devices=[]):
            learner = build_learner(trained, trained.rows[0], self.image_shape, Source(name, {}), lambda: self.classes)
        self.as_checkpoint().restore(learner, name)
        return learner.eval()
