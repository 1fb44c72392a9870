"""Projected gradient against the closed form, against torchattacks, and against its own record."""

import pytest
import torch
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustmeta.attacks.ascent import random_start
from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.projected_gradient import LOSSES, ProjectedGradient
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier

# 40 steps of 2.5 budgets in all turn a random point of the sphere to within 16 degrees of the gradient: 1 / cos = 1.04.
JUST_ABOVE = {"Linf": 1.02, "L2": 1.06}


def fgsm(threat: Threat) -> ProjectedGradient:
    return ProjectedGradient(threat, steps=1, step_size=threat.eps, random_start=False)


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("queries", [1, 3, 8])
@pytest.mark.parametrize("ways", [2, 3, 5, 20])
def test_it_succeeds_just_above_the_smallest_perturbation_and_fails_just_below(problem, norm, queries, ways) -> None:
    p = problem(norm, queries=queries, ways=ways, seed=ways)
    assert not p.fooled(p.images).any()
    for make in (
        fgsm,
        lambda threat: ProjectedGradient(threat, steps=40),
        lambda threat: ProjectedGradient(threat, steps=40, loss="margin"),
    ):
        above, below = (make(Threat(norm, factor * p.distance)) for factor in (JUST_ABOVE[norm], 0.98))
        assert p.fooled(craft(above, p.classifier, p.images, p.labels, range(2))).all()
        assert not p.fooled(craft(below, p.classifier, p.images, p.labels, range(2))).any()


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_no_budget_returns_the_clean_images_exactly(problem, norm) -> None:
    p = problem(norm)
    for attack in (fgsm(Threat(norm, 0)), ProjectedGradient(Threat(norm, 0), steps=3)):
        assert torch.equal(attack(p.classifier, p.images, p.labels), p.images)


@given(
    norm=st.sampled_from(["Linf", "L2"]),
    eps=st.floats(0, 1),
    loss=st.sampled_from(list(LOSSES)),
    binary=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_results_stay_in_the_ball_and_in_the_pixel_range(norm, eps, loss, binary, seed) -> None:
    class Waves(Classifier):
        ways = 3

        def forward(self, query_x: Tensor) -> Tensor:
            return (query_x.flatten(2) @ weight).sin()

    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(16, 3, generator=g)
    images = torch.rand(2, 3, 1, 4, 4, generator=g)
    images = images.round() if binary else images
    labels = torch.randint(3, (2, 3), generator=g)
    threat = Threat(norm, eps)
    attack = ProjectedGradient(threat, steps=4, loss=loss, restarts=2)
    moved = attack(Waves(), images, labels, [seed, seed + 1])
    assert (threat.size(moved - images) <= eps + 1e-6).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_result_is_the_best_iterate_met(learner, tasks, loss) -> None:
    support, support_y, images, labels = tasks()
    classifier = learner("protonet").eval().adapt(support, support_y)
    met: list[Tensor] = []
    classifier.register_forward_pre_hook(lambda _, inputs: met.append(inputs[0].detach().clone()))
    attack = ProjectedGradient(Threat("Linf", 0.2), steps=5, step_size=0.15, loss=loss, restarts=2)
    result = attack(classifier, images, labels, [0, 1])
    iterates = torch.stack(met)
    assert len(iterates) == 12
    with torch.no_grad():
        logits = torch.stack([classifier(x) for x in iterates])
        rank = torch.stack([LOSSES[loss](each, labels) + 1e4 * (each.argmax(-1) != labels) for each in logits])
    best = rank.argmax(0)  # the first of equals, as the attack keeps it
    for t in range(2):
        for q in range(4):
            assert torch.equal(result[t, q], iterates[best[t, q], t, q])


def test_one_step_away_from_the_clean_prediction_worked_by_hand(learner, tasks) -> None:
    """It climbs the divergence, and sees no labels."""
    support, support_y, images, labels = tasks()
    classifier = learner("protonet").eval().adapt(support, support_y)
    threat = Threat("Linf", 0.1)
    attack = ProjectedGradient(threat, steps=1, step_size=0.02, loss="kl", keep="last")
    found = attack(classifier, images, labels, [5, 6])
    assert torch.equal(found, attack(classifier, images, (labels + 1) % 3, [5, 6]))
    start = random_start(threat, images, [5, 6]).requires_grad_()
    p, q = classifier(images).softmax(-1).detach(), classifier(start).softmax(-1)
    (gradient,) = torch.autograd.grad((p * (p / q).log()).sum(), start)
    torch.testing.assert_close(found, threat.project(start.detach() + 0.02 * gradient.sign(), images))
    assert attack.traits.loss == "other"


@pytest.mark.parametrize("norm", ["Linf", "L2"])
def test_a_tasks_outcome_does_not_depend_on_the_tasks_beside_it(problem, norm) -> None:
    p = problem(norm, tasks=4)
    attack = ProjectedGradient(Threat(norm, 0.5 * p.distance), steps=2, step_size=1e-3, restarts=2)
    together = attack(p.classifier, p.images, p.labels, [3, 1, 4, 5])
    order = [2, 0]
    apart = attack(p.classifier.select(order), p.images[order], p.labels[order], [4, 3])
    assert torch.allclose(together[order], apart, atol=1e-6)
    assert not torch.allclose(together, attack(p.classifier, p.images, p.labels, [9, 8, 7, 6]), atol=1e-4)


def test_every_restart_begins_elsewhere(problem) -> None:
    p = problem("Linf")
    begun = []
    p.classifier.register_forward_pre_hook(lambda _, inputs: begun.append(inputs[0].detach().clone()))
    attack = ProjectedGradient(Threat("Linf", 0.5 * p.distance), steps=1, restarts=3)
    for seeds in ([3, 1], None):
        begun.clear()
        attack(p.classifier, p.images, p.labels, seeds)
        starts = begun[::2]
        assert len(starts) == 3
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert not torch.isclose(starts[i], starts[j], atol=1e-6).flatten(1).all(1).any()


def test_fgsm_is_that_of_torchattacks_pixel_for_pixel(problem) -> None:
    p = problem("Linf", tasks=3)
    ours = fgsm(Threat("Linf", 0.7 * p.distance))(p.classifier, p.images, p.labels)
    for i in range(3):
        task = p.classifier.task(i)
        task.register_parameter("probe", torch.nn.Parameter(torch.empty(0)))
        theirs = torchattacks.FGSM(task, eps=0.7 * p.distance)(p.images[i], p.labels[i])
        assert torch.equal(ours[i], theirs)


@pytest.mark.parametrize("binary", [True, False])
def test_pgd_fools_where_torchattacks_does(learner, tasks, binary) -> None:
    support, support_y, images, labels = tasks(queries=16)
    images = images if binary else 0.2 + 0.6 * images
    classifier = learner("protonet").eval().adapt(support, support_y)
    ours = ProjectedGradient(Threat("Linf", 0.1), steps=10, step_size=0.02, random_start=False)
    fooled = classifier(ours(classifier, images, labels)).argmax(-1) != labels
    agree = []
    for i in range(2):
        task = classifier.task(i)
        task.register_parameter("probe", torch.nn.Parameter(torch.empty(0)))
        pgd = torchattacks.PGD(task, eps=0.1, alpha=0.02, steps=10, random_start=False)
        theirs = task(pgd(images[i], labels[i])).argmax(-1) != labels[i]
        assert not (theirs & ~fooled[i]).any()
        agree.append(theirs == fooled[i])
    assert torch.cat(agree).float().mean() > 0.9  # the best iterate may fool where the last does not


def test_large_logits_silence_cross_entropy_but_not_the_margin(problem) -> None:
    p = problem("Linf", queries=8)
    saturated = p.scaled(1000)
    x = p.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(LOSSES["ce"](saturated(x), p.labels).sum(), x)
    assert not gradient.any()
    threat = Threat("Linf", 1.02 * p.distance)
    for loss, fools in (("ce", False), ("margin", True)):
        attack = ProjectedGradient(threat, steps=20, loss=loss)
        assert (p.fooled(attack(saturated, p.images, p.labels, [0, 1])) == fools).all()


def test_l2_keeps_the_direction_of_a_vanishing_gradient(problem) -> None:
    p = problem("L2")
    attack = ProjectedGradient(Threat("L2", 1.02 * p.distance), steps=40, loss="margin", random_start=False)
    assert p.fooled(attack(p.scaled(1e-25), p.images, p.labels)).all()


def test_margin_is_the_best_wrong_logit_minus_the_right_one() -> None:
    logits = torch.tensor([[[1.0, 4.0, 2.0], [1.0, 4.0, 2.0]]])
    assert torch.equal(LOSSES["margin"](logits, torch.tensor([[1, 0]])), torch.tensor([[-2.0, 3.0]]))


def test_scaled_scales_budget_and_step() -> None:
    attack = ProjectedGradient(Threat("Linf", 0.2), steps=5, step_size=0.1).scaled(0.5)
    assert (attack.threat.eps, attack.step_size) == (0.1, 0.05)
    assert ProjectedGradient(Threat("Linf", 0.2)).scaled(0.5).step_size is None


@pytest.mark.parametrize(
    ("settings", "part"),
    [({"loss": "cw"}, "unknown attack loss"), ({"steps": 0}, "at least 1"), ({"restarts": 0}, "at least 1")],
)
def test_wrong_settings_are_refused(settings, part) -> None:
    with pytest.raises(RobustMetaError, match=part):
        ProjectedGradient(**settings)
