"""Every class of torchattacks against the closed form, or run to show why it is refused."""

import pytest
import torch
import torchattacks

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.attacks.torchattacks_classes import CLASSES, TorchClass, about, reasons
from robustmeta.errors import RobustMetaError

STEPS = {"steps": 5, "step_size_over_eps": 0.5}
EAD = {"max_iterations": 20, "beta": 1e-4, "binary_search_steps": 4, "initial_const": 0.1}

# Each gradient attack at its fewest steps, and how many smallest perturbations it is given: 1.02, but for the attacks
# that return a point near the sphere's or the boundary's nearest (1.06), that look for few changed pixels rather than
# a short way (EAD), and whose loss leans the direction (Jitter, by the logit that it divides by).
GRADIENT = [
    *[(method, STEPS, 1.02) for method in ("BIM", "RFGSM", "PGD", "EOTPGD", "MIFGSM", "NIFGSM", "SINIFGSM")],
    *[(method, {**STEPS, "N": 2}, 1.02) for method in ("VMIFGSM", "VNIFGSM")],
    *[("UPGD", {**STEPS, "loss": loss}, 1.02) for loss in ("ce", "margin", "dlr")],
    ("FGSM", {}, 1.02),
    ("FFGSM", {"step_size_over_eps": 2.0}, 1.02),
    ("PGDRS", STEPS, 1.02),
    ("DIFGSM", {**STEPS, "diversity_prob": 0.0}, 1.02),
    ("TIFGSM", {**STEPS, "diversity_prob": 0.0}, 1.02),
    ("PIFGSM", {"num_iter_set": 3}, 1.02),
    ("PIFGSMPP", {"num_iter_set": 3}, 1.02),
    ("Jitter", {"steps": 10, "step_size_over_eps": 0.25, "std": 0.0}, 1.25),
    ("APGD", {"steps": 12, "loss": "ce"}, 1.04),
    ("APGD", {"steps": 12, "loss": "dlr"}, 1.04),
    ("APGDT", {"steps": 10}, 1.04),
    ("FAB", {"steps": 3}, 1.02),
    ("FAB", {"steps": 3, "multi_targeted": True}, 1.02),
    ("PGDL2", {"steps": 20, "step_size_over_eps": 0.25}, 1.06),
    ("PGDRSL2", {"steps": 20, "step_size_over_eps": 0.25}, 1.06),
    ("CW", {"steps": 300, "lr": 0.01, "c": 5}, 1.06),
    ("DeepFool", {"steps": 10}, 1.06),
    ("EADL1", EAD, 1.2),
    ("EADEN", EAD, 1.2),
]
SMOOTHED = ("TIFGSM", "PIFGSM", "PIFGSMPP")
NAMES = ["-".join([method, *map(str, [parameters.get("loss", "")])]).strip("-") for method, parameters, _ in GRADIENT]


@pytest.mark.parametrize(("method", "parameters", "above"), GRADIENT, ids=NAMES)
def test_it_succeeds_just_above_the_smallest_perturbation_and_fails_just_below(
    problem, method, parameters, above
) -> None:
    for norm in about(method).norms:
        for ways, queries in [(ways, queries) for ways in (2, 3, 5, 20) for queries in (1, 3, 8)]:
            made = TorchAttack(method, Threat(norm), parameters)
            if ways < made.fewest_ways:
                continue
            shape = {"channels": made.channels or 1, "flat": method in SMOOTHED}
            p = problem(norm, tasks=1, queries=queries, ways=ways, seed=ways, **shape)
            for factor, fools in ((above, True), (0.98, False)):
                attack = TorchAttack(method, Threat(norm, factor * p.distance), parameters)
                moved = craft(attack, p.classifier, p.images, p.labels, [7])
                assert (p.fooled(moved) == fools).all(), (norm, ways, queries, factor)
                if CLASSES[method].minimum_norm:  # it would move the images as far, and have them put back
                    assert (attack.threat.size(moved - p.images) > 0.98 * p.distance).all()
                    break


def test_what_is_tested_here_is_every_class_that_follows_gradients_to_the_boundary() -> None:
    follow = {name for name, known in CLASSES.items() if not known.refused and known.knowledge == "white-box"}
    assert follow - {method for method, _, _ in GRADIENT} == {"TPGD"}


def test_tpgd_climbs_away_from_the_clean_prediction_whichever_way_it_starts(problem) -> None:
    p = problem("Linf", tasks=1, queries=8)
    by_seed = []
    for seed in range(8):
        attack = TorchAttack("TPGD", Threat("Linf", 1.02 * p.distance), STEPS)
        by_seed.append(p.fooled(craft(attack, p.classifier, p.images, p.labels, [seed]))[0])
        below = TorchAttack("TPGD", Threat("Linf", 0.98 * p.distance), STEPS)
        assert not p.fooled(craft(below, p.classifier, p.images, p.labels, [seed])).any()
    fooled = torch.stack(by_seed)
    assert fooled.any(0).all()  # where it sets out for the boundary it crosses it
    assert not fooled.all()  # and it does not always


@pytest.mark.parametrize(
    ("method", "norm", "parameters"),
    [
        ("Square", "Linf", {"n_queries": 300}),
        ("Square", "L2", {"n_queries": 300}),
        ("SPSA", "Linf", {"nb_iter": 10, "step_size_over_eps": 0.25, "nb_sample": 32}),
    ],
)
def test_attacks_without_gradients_find_a_wide_opening_and_none_where_there_is_none(
    problem, method, norm, parameters
) -> None:
    for ways, queries in ((2, 1), (3, 3), (5, 8), (20, 3)):
        p = problem(norm, tasks=1, queries=queries, ways=ways, size=10, seed=ways)
        for factor, fools in ((5, True), (0.98, False)):
            attack = TorchAttack(method, Threat(norm, factor * p.distance), parameters)
            assert (p.fooled(craft(attack, p.classifier, p.images, p.labels, [3])) == fools).all(), (ways, factor)


def test_the_table_knows_every_class_and_reasons_cover_those_it_refuses() -> None:
    assert set(CLASSES) == set(torchattacks.__all__)
    assert reasons() == {name: known.refused for name, known in CLASSES.items()}
    for method, refused in reasons().items():
        if refused:
            with pytest.raises(RobustMetaError, match="cannot be used: it ") as caught:
                TorchAttack(method, Threat())
            assert refused in str(caught.value)


@pytest.fixture
def run(problem):
    """Runs a class of torchattacks bare; how far it moved images whose boundary is 0.05 away, in the Linf norm."""
    p = problem("Linf", tasks=1, channels=3)
    model = p.classifier.task(0)
    model.register_parameter("probe", torch.nn.Parameter(torch.empty(0)))

    def run(method: str, **arguments: object) -> float:
        torch.manual_seed(0)
        moved = getattr(torchattacks, method)(model, **arguments)(p.images[0], p.labels[0])
        return (moved - p.images[0]).abs().max().item()

    return run


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_reasons_are_true(run) -> None:
    assert run("VANILA") == 0
    assert run("GN", std=0.2) > 0.4
    assert run("OnePixel", pixels=20, steps=2, popsize=4) > 0.3
    assert run("SparseFool") > 0.3
    assert run("Pixle", restarts=2, max_iterations=2) > 0.1
    with pytest.raises(IndexError):
        run("JSMA")
    with pytest.raises(TypeError, match="trainloader"):
        run("LGV")
    with pytest.raises(TypeError, match="missing"):
        torchattacks.MultiAttack()
    whole = torchattacks.AutoAttack(torch.nn.Linear(1, 5), n_classes=5)
    parts = [each for each in whole._attacks.values() if hasattr(each, "steps")]
    assert {each.steps for each in parts} == {10}


def test_a_class_of_another_version_is_taken_by_the_rule(monkeypatch, problem) -> None:
    class NewL2(torchattacks.PGDL2):
        pass

    class Boundless(torchattacks.PGD):
        def __init__(self, model, radius=1.0):
            super().__init__(model)

    class Novel(torchattacks.APGD):
        pass

    for new in (NewL2, Boundless, Novel):
        monkeypatch.setattr(torchattacks, new.__name__, new, raising=False)
    monkeypatch.setattr(torchattacks, "__all__", [*torchattacks.__all__, "NewL2", "Boundless", "Novel"])
    assert about("NewL2") == TorchClass(("L2",), "other")
    assert about("Novel") == TorchClass(("Linf", "L2"), "other")
    assert reasons()["Boundless"].startswith("has no eps")
    p = problem("L2", tasks=1)
    attack = TorchAttack("NewL2", Threat("L2", 1.06 * p.distance), {"steps": 20, "step_size_over_eps": 0.25})
    assert p.fooled(craft(attack, p.classifier, p.images, p.labels, [0])).all()
    with pytest.raises(RobustMetaError, match="unknown torchattacks class 'NewL3'; did you mean 'NewL2'"):
        about("NewL3")


@pytest.mark.parametrize("method", ["CW", "DeepFool", "EADL1", "EADEN"])
def test_the_smallest_perturbations_are_put_back_where_they_exceed_the_budget(problem, method) -> None:
    p = problem("L2", tasks=1, queries=8)
    parameters = {name: value for name, value, _ in GRADIENT}[method]
    moved = TorchAttack(method, Threat("L2", 0.9 * p.distance), parameters)(p.classifier, p.images, p.labels, [0])
    assert torch.equal(moved, p.images)
    free = TorchAttack(method, Threat("L2", 9.0), parameters)(p.classifier, p.images, p.labels, [0])
    length = (free - p.images).flatten(2).norm(dim=-1) / p.distance
    assert (length > 0.99).all()
    assert (length < 1.25).all()
