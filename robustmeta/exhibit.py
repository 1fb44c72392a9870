"""One task to be looked at: its images before and after an attack, and what the classifier says of each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robustmeta.attacks.base import ENDING, Attack, bound_to, craft
from robustmeta.batch import EpisodeBatch
from robustmeta.files import whole_file
from robustmeta.learners.base import Learner
from robustmeta.npz import read_npz
from robustmeta.outcomes import Outcomes
from robustmeta.scoring import task_seed

QUERIES = 5
"""The most queries that are shown, one a class."""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A few queries of one task, before and after an attack.

    attack: its name. support: `[ways, C, H, W]` in [0, 1], the first shot of each class. clean, moved: `[n, C, H, W]`,
    the queries. labels: `[n]`, their classes, from 0. before, after: `[n]`, the class that the adapted classifier gives
    to each; sure_before, sure_after: the probability it gives to that class, by the softmax of its logits.
    """

    attack: str
    support: np.ndarray
    clean: np.ndarray
    moved: np.ndarray
    labels: np.ndarray
    before: np.ndarray
    sure_before: np.ndarray
    after: np.ndarray
    sure_after: np.ndarray

    def save(self, path: str | Path) -> None:
        """Write the exhibit to an `.npz` file, whole or not at all."""
        with whole_file(path) as part:
            np.savez_compressed(part, **asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> "Exhibit":
        """Read an exhibit back; raises `RobustMetaError` if the file is damaged."""

        def made(arrays: dict[str, Any]) -> "Exhibit":
            return cls(**{**arrays, "attack": str(arrays["attack"])})

        return read_npz(path, made, "delete it to attack the task again")


def hardest(outcomes: Outcomes, attacks: Sequence[str], survivors_only: bool = False) -> str | None:
    """The attack that took most queries of the first episode, of several the one that took most of all episodes.

    None where there are no attacks. survivors_only: each attack met what those before it left, and is credited with
    what it took of that.
    """
    before = outcomes.right["clean"]
    taken = {}
    for name in attacks:
        lost = before & ~outcomes.right[name]
        taken[name] = (int(lost[0].sum()), int(lost.sum()))
        before = outcomes.right[name] if survivors_only else before
    return max(attacks, key=taken.__getitem__, default=None)


def exhibit(learner: Learner, batch: EpisodeBatch, name: str, attack: Attack, seed: int) -> Exhibit:
    """The task of a batch of one under an attack, with the random stream it has in the table: `QUERIES` of its queries.

    The first query of each class, of the first classes. All queries are attacked together, as the attack's own row of
    the table has them; in a suite whose attacks meet only what those before them left, as `autoattack`, the table has
    fewer of them in the later rows. An attack that raises an exception moves nothing.
    """
    classifier = learner.eval().adapt(batch.support_x, batch.support_y).detach()
    bound = bound_to(attack, batch)
    seeds = [task_seed(seed, name, index) for index in batch.index or (0,)]
    try:
        moved = craft(bound, classifier, batch.query_x, batch.query_y, seeds)
    except ENDING:
        raise
    except Exception:  # the audit says of it what there is to say
        moved = batch.query_x
    support, shown = _first(batch.support_y[0]), _first(batch.query_y[0])[:QUERIES]
    with torch.no_grad():
        before, after = (classifier(images)[0, shown].double().softmax(-1).max(-1) for images in (batch.query_x, moved))
    return Exhibit(
        attack=name,
        support=_plain(batch.support_x[0, support]),
        clean=_plain(batch.query_x[0, shown]),
        moved=_plain(moved[0, shown]),
        labels=_plain(batch.query_y[0, shown]),
        before=_plain(before.indices),
        sure_before=_plain(before.values),
        after=_plain(after.indices),
        sure_after=_plain(after.values),
    )


def _plain(values: torch.Tensor) -> np.ndarray:
    found: np.ndarray = values.cpu().numpy()
    return found


def _first(labels: torch.Tensor) -> list[int]:
    """Where each class, from 0, first stands in labels `[N]`."""
    listed: list[int] = labels.tolist()
    return [listed.index(label) for label in sorted(set(listed))]
