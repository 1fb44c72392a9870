"""What is known to go wrong in torchattacks goes right through the adapter: faults shown bare, then absent."""

import pytest
import torch
import torchattacks

from robustmeta.attacks.base import Threat
from robustmeta.attacks.torchattacks_adapter import PULL, TorchAttack
from robustmeta.errors import RobustMetaError

CW = {"steps": 300, "lr": 0.01, "c": 5}
UPGD = {"steps": 10, "step_size_over_eps": 0.2, "loss": "margin"}


def bare(classifier):
    """Task 0 of a classifier as torchattacks is handed it by most."""
    model = classifier.task(0)
    model.register_parameter("probe", torch.nn.Parameter(torch.empty(0)))
    return model


@pytest.mark.parametrize("ways", [2, 3, 5])
@pytest.mark.parametrize("method", ["CW", "UPGD"])
def test_negative_logits_hide_the_gradient_from_margins_by_masking(problem, method, ways) -> None:
    norm = "L2" if method == "CW" else "Linf"
    p = problem(norm, tasks=1, queries=8, ways=ways, seed=ways)
    negative = p.scaled(1, -300.0)
    assert negative(p.images).max() < 0
    eps = 1.06 * p.distance
    theirs = {"eps": eps, "alpha": 0.2 * eps, "steps": 10, "loss": "margin"} if method == "UPGD" else CW
    alone = getattr(torchattacks, method)(bare(negative), **theirs)(p.images[0], p.labels[0])
    assert not p.fooled(alone[None]).all()
    attack = TorchAttack(method, Threat(norm, eps), CW if method == "CW" else UPGD)
    assert p.fooled(attack(negative, p.images, p.labels, [0])).all()


def test_cw_moves_pixels_that_are_exactly_0_or_1(learner, tasks) -> None:
    support, support_y, images, _ = tasks()
    assert set(images.unique().tolist()) == {0.0, 1.0}
    classifier = learner("protonet").eval().adapt(support, support_y).detach()
    labels = classifier(images).argmax(-1)
    cw = {"steps": 80, "lr": 0.05, "c": 10}
    alone = torchattacks.CW(bare(classifier), **cw)(images[0], labels[0])
    assert torch.equal(alone, images[0])
    threat = Threat("L2", 4.0)
    moved = TorchAttack("CW", threat, cw)(classifier, images, labels, [0, 1])
    fooled = classifier(moved).argmax(-1) != labels
    assert fooled.float().mean() > 0.5
    assert (threat.size(moved - images) <= 4.0 + 1e-6).all()
    missed = threat.size(moved - images)[~fooled]
    assert (missed <= PULL * 16 + 1e-6).all()  # what does not fool is given back as it was, but for the pull


def test_the_global_random_numbers_go_on_where_theirs_begin_again(problem) -> None:
    p = problem("Linf", tasks=1, ways=5)
    classes = [
        ("APGD", {"steps": 1}), ("APGDT", {"steps": 1}), ("FAB", {"steps": 1}), ("Square", {"n_queries": 1})
    ]  # fmt: skip
    for method, parameters in classes:
        draws = []
        for _ in range(2):
            alone = getattr(torchattacks, method)(
                bare(p.classifier), **parameters, **({"n_classes": 5} if method == "APGDT" else {})
            )
            alone(p.images[0], p.labels[0])
            draws.append(torch.rand(1))
        assert torch.equal(*draws), method  # the episodes drawn after it repeat
        torch.manual_seed(0)
        expected = torch.rand(2)
        torch.manual_seed(0)
        for number in expected:
            TorchAttack(method, Threat("Linf", 0.1), parameters)(p.classifier, p.images, p.labels, [0])
            assert torch.rand(1) == number


def test_default_classes_crash_a_task_of_five_ways_and_ours_does_not(problem) -> None:
    p = problem("Linf", tasks=1, ways=5)
    with pytest.raises(IndexError):
        torchattacks.APGDT(bare(p.classifier), steps=1)(p.images[0], p.labels[0])
    attack = TorchAttack("APGDT", Threat("Linf", 1.1 * p.distance), {"steps": 10})
    assert p.fooled(attack(p.classifier, p.images, p.labels, [0])).all()


def test_a_model_that_was_training_is_neither_switched_nor_left_switched(problem) -> None:
    p = problem("Linf", tasks=1)

    class Moody(type(p.classifier)):
        """Notes the mode of a dropout layer inside it, frozen on purpose."""

        def __init__(self, weight, bias) -> None:
            super().__init__(weight, bias)
            self.drop, self.modes = drop, modes

        def forward(self, query_x):
            self.modes.append(self.drop.training)
            return super().forward(query_x)

        def detach(self):
            return self

        def select(self, tasks):
            return self

    plain = torch.nn.Sequential(torch.nn.Dropout(0.0).eval(), torch.nn.Flatten(), torch.nn.Linear(36, 3))
    plain.training = True
    torchattacks.FGSM(plain)(p.images[0], p.labels[0])
    assert plain[0].training  # what was frozen on purpose no longer is
    drop, modes = torch.nn.Dropout(0.0), []
    for training in (True, False):
        drop.train(training)
        modes.clear()
        TorchAttack("FAB", Threat(), {"steps": 2})(Moody(p.classifier.weight, p.classifier.bias), p.images, p.labels)
        assert set(modes) == {training}
        assert drop.training == training


def test_an_error_inside_leaves_nothing_switched(problem) -> None:
    p = problem("Linf", tasks=1)
    weight = torch.nn.Parameter(torch.ones(1))
    before = torch.get_rng_state()

    def fail(module, inputs):
        raise RobustMetaError("the classifier fails")

    p.classifier.register_parameter("gain", weight)
    p.classifier.detach = lambda: p.classifier
    p.classifier.select = lambda tasks: p.classifier
    p.classifier.register_forward_pre_hook(fail)
    with pytest.raises(RobustMetaError, match="the classifier fails"):
        TorchAttack("APGD", Threat(), {"steps": 2})(p.classifier, p.images, p.labels, [0])
    assert weight.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
