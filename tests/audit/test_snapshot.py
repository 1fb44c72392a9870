"""Every kind of change behind an attack's back is named, and put back."""

import random

import numpy as np
import pytest
import torch

from robustmeta.audit import Snapshot


def weights(learner, classifier) -> None:
    next(learner.parameters()).data.add_(1e-3)


def buffers(learner, classifier) -> None:
    next(learner.buffers()).add_(1)


def fast_weights(learner, classifier) -> None:
    classifier.weights["linear.bias"].data.mul_(2)


def gradients(learner, classifier) -> None:
    next(learner.parameters()).grad = torch.zeros_like(next(learner.parameters()))


def frozen(learner, classifier) -> None:
    learner.requires_grad_(False)


CHANGES = {
    "torch's random state": lambda learner, classifier: torch.rand(1),
    "numpy's random state": lambda learner, classifier: np.random.rand(1),  # noqa: NPY002
    "Python's random state": lambda learner, classifier: random.random(),
    "the mode of ": lambda learner, classifier: learner.train(),
    "weights MAML.": weights,
    "buffer MAML.": buffers,
    "tensor FastWeightsClassifier.weights.linear.bias": fast_weights,
    "a gradient in weights MAML.": gradients,
    "whether weights MAML.": frozen,
}


@pytest.mark.parametrize("said", CHANGES)
def test_a_change_is_named_and_put_back(learner, batch, said) -> None:
    made = learner("maml", "running").double().eval()
    classifier = made.adapt(batch.support_x, batch.support_y).detach()
    before = Snapshot(made, classifier)
    assert before.changed() == ""
    classifier(batch.query_x)
    assert before.changed() == ""
    CHANGES[said](made, classifier)
    assert before.changed().startswith(said)
    before.restore()
    assert before.changed() == ""


def test_reseeding_is_a_change_even_before_a_number_is_drawn() -> None:
    before = Snapshot()
    torch.manual_seed(torch.initial_seed() + 1)
    assert before.changed() == "torch's random state"
    before.restore()
