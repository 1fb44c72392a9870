"""The torchattacks adapter: closed form, seeds, what it leaves untouched, and what it refuses."""

import functools

import pytest
import torch
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.attacks.torchattacks_classes import CLASSES, signature
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier

MIFGSM = {"steps": 10, "step_size_over_eps": 0.1}
APGD_CE, APGD_DLR = {"steps": 20, "loss": "ce"}, {"steps": 20, "loss": "dlr"}
GRADIENT = [("MIFGSM", MIFGSM), ("APGD", APGD_CE), ("APGD", APGD_DLR)]
EVERY = [*GRADIENT, ("Square", {"n_queries": 100}), ("FAB", {"steps": 2, "multi_targeted": True})]
NAMES = [f"{method}-{parameters.get('loss', '')}" for method, parameters in EVERY]


USABLE = [method for method, known in CLASSES.items() if not known.refused]
COLOUR_ONLY = [method for method in USABLE if CLASSES[method].channels == 3]


def smallest(method: str) -> dict[str, object]:
    """The fewest parameters a class needs."""
    known = signature(method)
    steps = {name: 3 for name in ("steps", "n_queries", "nb_iter", "num_iter_set") if name in known}
    fewer = {"SPSA": {"nb_sample": 8}, "EADL1": {"max_iterations": 10}, "EADEN": {"max_iterations": 10}}
    sizes = {"alpha", "lr"} & known.keys() and not CLASSES[method].minimum_norm
    return steps | fewer.get(method, {}) | ({"step_size_over_eps": 0.5} if sizes else {})


def threat_of(method: str, eps: float) -> Threat:
    return Threat(CLASSES[method].norms[0], eps)


@pytest.mark.parametrize(("method", "parameters"), EVERY, ids=NAMES)
def test_no_budget_returns_the_clean_images_exactly_and_calls_nobody(problem, monkeypatch, method, parameters) -> None:
    p = problem("Linf")
    attack = TorchAttack(method, Threat("Linf", 0), parameters)
    monkeypatch.setattr(torchattacks, method, None)
    assert torch.equal(attack(p.classifier, p.images, p.labels), p.images)


@pytest.mark.parametrize("method", USABLE)
def test_every_class_runs_and_keeps_to_it(learner, tasks, method) -> None:
    channels = 3 if method in COLOUR_ONLY else 1
    support, support_y, images, labels = tasks(channels)
    classifier = learner("protonet", channels=channels).eval().adapt(support, support_y)
    attack = TorchAttack(method, threat_of(method, 0.2), smallest(method))
    if attack.fewest_ways > 3:
        with pytest.raises(RobustMetaError, match="4 ways or more"):
            attack(classifier, images, labels)
        return
    before = torch.get_rng_state()
    with torch.no_grad():
        moved = craft(attack, classifier, images, labels, [1, 2])
    assert torch.equal(torch.get_rng_state(), before)
    assert not moved.requires_grad
    assert moved.shape == images.shape
    assert (attack.threat.size(moved - images) <= 0.2 + 1e-6).all()
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert torch.equal(craft(attack, classifier, images, labels, [1, 2]), moved)


@given(
    which=st.sampled_from(range(4)),
    norm=st.sampled_from(["Linf", "L2"]),
    eps=st.floats(1e-6, 1),
    binary=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_results_stay_in_the_ball_and_in_the_pixel_range(which, norm, eps, binary, seed) -> None:
    class Waves(Classifier):
        ways = 4

        def forward(self, query_x):
            return (query_x.flatten(2) @ weight).sin()

        def detach(self):
            return self

        def select(self, tasks):
            return self

    method, parameters = EVERY[which]
    g = torch.Generator().manual_seed(seed)
    weight = torch.randn(36, 4, generator=g)
    images = torch.rand(2, 3, 1, 6, 6, generator=g)
    images = images.round() if binary else images
    threat = Threat("Linf" if method == "MIFGSM" else norm, eps)
    attack = TorchAttack(method, threat, {**parameters, **({"steps": 3} if "steps" in parameters else {})})
    moved = attack(Waves(), images, torch.randint(4, (2, 3), generator=g), [seed, seed + 1])
    assert (threat.size(moved - images) <= eps + 1e-6).all()
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize(("method", "parameters"), EVERY, ids=NAMES)
def test_a_tasks_outcome_does_not_depend_on_the_tasks_beside_it(problem, method, parameters) -> None:
    p = problem("Linf", tasks=3)
    attack = TorchAttack(method, Threat("Linf", 1.2 * p.distance), parameters)
    together = attack(p.classifier, p.images, p.labels, [3, 1, 4])
    order = [2, 0]
    apart = attack(p.classifier.select(order), p.images[order], p.labels[order], [4, 3])
    assert torch.equal(together[order], apart)


def test_without_seeds_the_global_generator_decides(problem) -> None:
    p = problem("Linf")
    attack = TorchAttack("PGD", Threat("Linf", p.distance), {"steps": 1, "step_size_over_eps": 0.01})
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        draws.append(attack(p.classifier, p.images, p.labels))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("shift", [-64.0, 0.0, 64.0])
@pytest.mark.parametrize(
    ("method", "parameters"),
    [*GRADIENT, ("Square", {"n_queries": 50}), ("UPGD", {"steps": 10, "step_size_over_eps": 0.2, "loss": "margin"})],
)
def test_adding_a_constant_to_all_logits_changes_nothing(problem, method, parameters, shift) -> None:
    p = problem("Linf", queries=8)
    attack = TorchAttack(method, Threat("Linf", 1.04 * p.distance), parameters)
    fooled = p.fooled(attack(p.scaled(1, shift), p.images, p.labels, [0, 1]))
    assert torch.equal(fooled, p.fooled(attack(p.classifier, p.images, p.labels, [0, 1])))
    assert fooled.all() or method == "Square"


def test_large_logits_silence_cross_entropy_but_not_dlr(problem) -> None:
    p = problem("Linf", queries=8)
    for parameters, fools in ((APGD_CE, False), (APGD_DLR, True)):
        attack = TorchAttack("APGD", Threat("Linf", 1.04 * p.distance), parameters)
        assert (p.fooled(attack(p.scaled(1000), p.images, p.labels, [0, 1])) == fools).all()


@pytest.fixture
def handed(monkeypatch):
    """What the classes of torchattacks are handed, call by call."""

    def record(method: str) -> list[dict[str, object]]:
        calls = []
        original = getattr(torchattacks, method).__init__

        @functools.wraps(original)  # keeps the signature
        def init(self, model, **arguments):
            calls.append(arguments)
            original(self, model, **arguments)

        monkeypatch.setattr(getattr(torchattacks, method), "__init__", init)
        return calls

    return record


@pytest.mark.parametrize(("ways", "classes"), [(4, 4), (5, 5), (20, 10)])
def test_targets_are_the_other_classes_nine_at_most(problem, handed, ways, classes) -> None:
    p, calls = problem("L2", ways=ways), handed("APGDT")
    moved = TorchAttack("APGDT", Threat("L2", 0.1), {"steps": 1})(p.classifier, p.images, p.labels, [7, 8])
    same = {"norm": "L2", "eps": 0.1, "steps": 1, "n_classes": classes, "verbose": False}
    assert calls == [{**same, "seed": 7}, {**same, "seed": 8}]
    assert not moved.requires_grad


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        ("MIFGSM", {"steps": 2, "step_size_over_eps": 0.5}, {"eps": 0.1, "steps": 2, "alpha": 0.05}),
        ("MIFGSM", {"steps": 2, "alpha": 0.5}, {"eps": 0.1, "steps": 2, "alpha": 0.5}),
        ("SPSA", {"nb_iter": 1, "nb_sample": 2, "lr": 0.5}, {"eps": 0.1, "nb_iter": 1, "nb_sample": 2, "lr": 0.5}),
        ("SPSA", {"nb_iter": 1, "step_size_over_eps": 1.0}, {"eps": 0.1, "nb_iter": 1, "lr": 0.1}),
        ("FFGSM", {"step_size_over_eps": 1.25}, {"eps": 0.1, "alpha": 0.125}),
    ],
)
def test_budget_and_step_are_handed_over_in_pixels(problem, handed, method, parameters, expected) -> None:
    p, calls = problem("Linf", tasks=1), handed(method)
    TorchAttack(method, Threat("Linf", 0.1), parameters)(p.classifier, p.images, p.labels)
    assert calls == [expected]


def test_scaled_scales_the_budget_and_a_step_size_in_pixels() -> None:
    attack = TorchAttack("MIFGSM", Threat("Linf", 0.2), {"steps": 5, "alpha": 0.1}).scaled(0.5)
    assert (attack.threat.eps, attack.parameters) == (0.1, {"steps": 5, "alpha": 0.05})
    relative = TorchAttack("MIFGSM", Threat("Linf", 0.2), MIFGSM).scaled(0.5)
    assert relative == TorchAttack("MIFGSM", Threat("Linf", 0.1), MIFGSM)
    assert hash(relative) == hash(TorchAttack("MIFGSM", Threat("Linf", 0.1), MIFGSM))


@pytest.mark.parametrize("method", COLOUR_ONLY)
def test_grey_images_are_refused_by_the_attacks_of_colour(problem, method) -> None:
    p = problem("Linf")
    with pytest.raises(RobustMetaError, match="3 channels only, these have 1"):
        TorchAttack(method, Threat("Linf", 0.1), smallest(method))(p.classifier, p.images, p.labels)
