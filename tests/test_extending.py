"""A learner from outside the package: one class and one registration, and every part of a benchmark takes it."""

from collections.abc import Sequence

import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from robustmeta.batch import check_support
from robustmeta.cli import main
from robustmeta.learners import LEARNERS, Classifier, Learner
from robustmeta.learners.protonet import class_means, squared_distance_logits

RECIPE = """
name: outside
dataset: {name: glyphs}
test: {ways: 3, shots: 2, queries: 2, episodes: 3}
attacks: [pgd-20]
curve: {attack: fgsm, eps: [0.1], episodes: 2}
training: {ways: 3, shots: 2, queries: 2, tasks: 2, steps: 3}
rows:
  - learner: {name: toy, sharpness: 2}
  - learner: {name: toy}
    defense: {name: aq, attack: fgsm}
"""


class ToyClassifier(Classifier):
    """Nearest mean of raw pixels."""

    def __init__(self, means: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.means, self.scale, self.ways = means, scale, means.shape[1]

    def forward(self, query_x: Tensor) -> Tensor:
        return self.scale * squared_distance_logits(query_x.flatten(2), self.means)

    def detach(self) -> "ToyClassifier":
        return ToyClassifier(self.means.detach(), self.scale.detach())

    def select(self, tasks: Sequence[int]) -> "ToyClassifier":
        return ToyClassifier(self.means[list(tasks)], self.scale)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(LEARNERS, "_entries", dict(LEARNERS._entries))  # as it was, after the test

    @LEARNERS.register("toy")
    class Toy(Learner):
        """Nearest mean of raw pixels, with a learned scale."""

        def __init__(self, *, sharpness: float = 1.0) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(sharpness))

        def adapt(self, support_x: Tensor, support_y: Tensor) -> ToyClassifier:
            check_support(support_x, support_y)
            scale = self.scale if self.training else self.scale.detach().clone()
            return ToyClassifier(class_means(support_x.flatten(2), support_y), scale)

    return Toy


def test_a_registered_learner_is_listed_trained_attacked_and_audited(toy, tmp_path):
    path = tmp_path / "outside.yaml"
    path.write_text(RECIPE)
    listed = CliRunner().invoke(main, ["list", "learners"])
    assert "Nearest mean of raw pixels, with a learned scale." in listed.output
    result = CliRunner().invoke(main, ["bench", str(path), "--out", str(tmp_path / "out"), "--threads", "1"])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out" / "results.csv")
    assert set(zip(table["learner"], table["defense"], strict=True)) == {("toy", "natural"), ("toy", "aq")}
    clean, attacked = (table.loc[table["attack"] == name, "accuracy"].mean() for name in ("clean", "pgd-20"))
    assert attacked < clean
    assert len(pd.read_csv(tmp_path / "out" / "audit.csv")) > 20
