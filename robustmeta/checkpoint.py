"""Checkpoints: a learner's weights with everything needed to go on training, in one file that runs no code."""

import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustmeta.errors import RobustMetaError
from robustmeta.files import whole_file

FORMAT = "robustmeta checkpoint 1"


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    weights: the learner's `state_dict`. step: outer steps done. optimizer: its `state_dict`.
    rng: the state of torch's global generator. recipe: what made it, as plain data (empty for a training loop
    without a recipe). log: one dict a progress report: step, loss, clean and robust accuracy.
    losses: of the steps since the last entry of the log. core_seconds: of a processor that the steps took; 0 in a file
    from before it was noted. average: the averaged weights that are tested instead, where training averages them.
    """

    weights: dict[str, torch.Tensor]
    step: int
    optimizer: dict[str, Any]
    rng: torch.Tensor
    recipe: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    core_seconds: float = 0.0
    average: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def tested(self) -> dict[str, torch.Tensor]:
        """The weights to be tested: the average, where there is one."""
        return self.average or self.weights

    def save(self, path: str | Path) -> None:
        """Write the checkpoint to `path`, whole or not at all."""
        with whole_file(path) as part:
            torch.save({"format": FORMAT, **vars(self)}, part)

    def restore(self, learner: nn.Module, path: str | Path, averaged: bool = True) -> None:
        """Put the weights into `learner`, those to be tested or, not `averaged`, those to go on training.

        Raises `RobustMetaError` naming `path` if they do not fit.
        """
        try:
            learner.load_state_dict(self.tested if averaged else self.weights)
        except RuntimeError as error:
            raise RobustMetaError(f"{path} is the checkpoint of another learner; its weights do not fit") from error

    @classmethod
    def load(cls, path: str | Path) -> "Checkpoint":
        """Read a checkpoint, running no code from it.

        Raises `RobustMetaError` if the file is missing, truncated, or not a checkpoint of robustmeta.
        """
        if not Path(path).is_file():
            raise RobustMetaError(f"there is no checkpoint {path}; `robustmeta train` and `bench` write them")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an unusual pickle protocol, which in a checkpoint means damage
                content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged bytes end the unpickler in whatever exception they lead it to first
            raise RobustMetaError(f"{path} is truncated or not a checkpoint of robustmeta; train it anew") from error
        known = {"format", *(each.name for each in fields(cls))}
        if isinstance(content, dict):
            content.setdefault("core_seconds", 0.0)
            content.setdefault("average", {})
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT or {*content, "format"} != known:
            raise RobustMetaError(f"{path} is not a checkpoint of robustmeta ({FORMAT!r})")
        return cls(**{**content, "recipe": _completed(content["recipe"])})


def _completed(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with the settings of training that came later, as it was before them: one chunk, no average."""
    training = recipe.get("training")
    if not isinstance(training, dict) or "tasks" not in training:
        return recipe
    return {**recipe, "training": {"chunk": training["tasks"], "average": 0.0, **training}}
