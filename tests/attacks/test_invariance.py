"""What must change no attack's outcome: a constant added to all logits, and the order of the queries.

Attacks that draw random numbers draw them by position, so another order gives a query other draws: for these the claim
holds where the answer is certain, well above and below the smallest perturbation, and not for every image between.
"""

from dataclasses import replace

import pytest
import torch

from robustmeta.attacks.apgd import AutoPGD
from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.card import card, names
from robustmeta.attacks.square import Square
from robustmeta.attacks.torchattacks_adapter import TorchAttack

BRIEF = {"steps": 20, "n_queries": 60, "nb_iter": 10, "nb_sample": 16, "N": 2, "eot_iter": 1, "max_iterations": 20}
CARDS = [name for name in names() if card(name).target == "query" and card(name).knowledge != "transfer"]

STEADY = {
    "bim", "cw", "deepfool", "eaden", "eadl1", "fab-t-100", "fgsm", "mifgsm", "nifgsm", "pifgsm", "pifgsmpp",
    "sinifgsm", "torchattacks-fgsm", "upgd-margin",
}  # fmt: skip
"""The cards whose attacks draw no random number."""
AWAY = {"tpgd", *(name for name in CARDS if card(name).parameters.get("loss") == "kl")}
"""The cards that climb the divergence from the clean prediction: its gradient is 0 where they begin, but for chance."""


def ready(problem, name: str, factor: float):
    """An attack with the card's parameters, but few steps, at some smallest perturbations, and what it attacks."""
    made = card(name)
    norm = made.norm[-1]
    p = problem(norm, tasks=1, queries=6, ways=5, size=8, channels=made.channels or 1, flat=bool(made.channels))
    attack = made.build(Threat(norm, factor * p.distance))
    if isinstance(attack, TorchAttack):
        brief = {key: min(value, BRIEF.get(key, value)) for key, value in attack.parameters.items()}
        attack = TorchAttack(attack.method, attack.threat, brief)
    if isinstance(attack, AutoPGD | Square):
        at = "steps" if isinstance(attack, AutoPGD) else "n_queries"
        attack = replace(attack, **{at: BRIEF[at]})
    if name == "tpgd":  # in float64: it goes where the tiny noise at its start points, and rounding may turn that
        p.images = p.images.double()
        p.classifier.weight, p.classifier.bias = p.classifier.weight.double(), p.classifier.bias.double()
    return attack, p


@pytest.mark.parametrize("name", CARDS)
def test_adding_a_constant_to_all_logits_changes_no_outcome(problem, name) -> None:
    attack, p = ready(problem, name, 3.0 if card(name).knowledge == "black-box" else 1.6)
    plain, low, high = (
        p.fooled(craft(attack, p.scaled(1, shift), p.images, p.labels, [0])) for shift in (0.0, -64.0, 64.0)
    )
    assert p.scaled(1, -64.0)(p.images).max() < 0
    assert torch.equal(low, plain)
    assert torch.equal(high, plain)


@pytest.mark.parametrize("name", CARDS)
def test_asking_in_another_order_changes_no_outcome(problem, name) -> None:
    order = [4, 0, 5, 2, 1, 3]
    for factor, certain in ((0.95, False), (8.0, True)):
        attack, p = ready(problem, name, factor)
        moved = craft(attack, p.classifier, p.images, p.labels, [0])
        again = craft(attack, p.classifier, p.images[:, order], p.labels[:, order], [0])
        if name in STEADY:
            assert torch.allclose(again, moved[:, order], atol=1e-5)
        elif name not in AWAY or not certain:  # these start out by chance, towards the boundary or away from it
            assert (p.fooled(moved) == certain).all()
            assert ((p.classifier(again).argmax(-1) != p.labels[:, order]) == certain).all()
