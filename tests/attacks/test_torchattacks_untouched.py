"""Attacking with torchattacks leaves learners, gradients and random numbers as they were."""

import random

import numpy as np
import pytest
import torch

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.attacks.torchattacks_classes import CLASSES
from robustmeta.batch import EpisodeBatch
from robustmeta.learners.base import query_loss

EVERY = [
    ("MIFGSM", {"steps": 2, "step_size_over_eps": 0.5}),
    ("APGD", {"steps": 2, "loss": "ce"}),
    ("APGD", {"steps": 2, "loss": "dlr"}),
    ("Square", {"n_queries": 5}),
    ("FAB", {"steps": 2, "multi_targeted": True}),
]
BACKWARD = [  # they call .backward(), and so do both forms of FAB
    ("FAB", {"steps": 2}),
    ("CW", {"steps": 2}),
    ("DeepFool", {"steps": 2}),
    ("EADL1", {"max_iterations": 10, "binary_search_steps": 1}),
    ("EADEN", {"max_iterations": 10, "binary_search_steps": 1}),
    ("PIFGSM", {"num_iter_set": 2}),
    ("PIFGSMPP", {"num_iter_set": 2}),
]


@pytest.mark.parametrize("name", ["protonet", "maml"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["running", "transductive"])
def test_everything_outside_is_left_as_it_was(learner, tasks, name, training, norm) -> None:
    support, support_y, images, labels = tasks(3)
    model = learner(name, norm=norm, channels=3).train(training)
    next(model.modules()).training = training
    weights = list(model.parameters())
    weights[0].grad = torch.ones_like(weights[0])
    weights[1].requires_grad_(False) if name == "protonet" else None
    classifier = model.adapt(support, support_y)

    def state() -> list[object]:
        return [
            {key: value.tolist() for key, value in model.state_dict().items()},
            [module.training for module in model.modules()],
            [weight.requires_grad for weight in weights],
            [None if weight.grad is None else weight.grad.tolist() for weight in weights],
            [torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()],  # noqa: NPY002
            [images.tolist(), labels.tolist(), images.requires_grad],
        ]

    before = state()
    for method, parameters in [*EVERY, *BACKWARD]:
        threat = Threat(CLASSES[method].norms[0], 0.1)
        craft(TorchAttack(method, threat, parameters), classifier, images, labels, [0, 1])
        assert state() == before, method
    if training:  # the graph of the adaptation has survived, too
        query_loss(classifier, EpisodeBatch(support, support_y, images, labels)).backward()
        assert weights[-1].grad is not None


@pytest.mark.parametrize(("method", "parameters"), BACKWARD, ids=[method for method, _ in BACKWARD])
def test_the_outer_loss_of_maml_is_that_without_an_attack(learner, tasks, method, parameters) -> None:
    model = learner("maml", channels=3).train()
    batch = EpisodeBatch(*tasks(3))
    gradients = []
    for attacked in (False, True):
        model.zero_grad()
        classifier = model.adapt(batch.support_x, batch.support_y)
        if attacked:
            attack = TorchAttack(method, Threat(CLASSES[method].norms[0], 0.1), parameters)
            craft(attack, classifier, batch.query_x, batch.query_y, [0, 1])
        query_loss(classifier, batch).backward()
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
