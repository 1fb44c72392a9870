"""One task's classifier goes unchanged into torchattacks, Foolbox, and the original AutoAttack's call convention."""

import warnings

import pytest
import torch
import torchattacks

from robustmeta.audit.snapshot import Snapshot
from robustmeta.robustify import robustify
from tests.adapters import plain, stand_in_autoattack, stand_in_easyfsl

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package is older than this scipy
    import foolbox

EPS = 0.1
KINDS = ["protonet", "maml", "functions", "easyfsl stand-in", "linear head"]


@pytest.fixture(params=KINDS)
def victim(request, learner, episodes):
    """A learner, and an adapted task of its own: (learner, task, images, labels)."""
    kind, net = request.param, plain.network(batch_norm=True).float()
    if kind == "easyfsl stand-in":
        inner = robustify(stand_in_easyfsl.PrototypicalNetworks(net))
    elif kind == "functions":
        inner = robustify(
            adapt=lambda x, y: torch.stack([net(x[y == label]).mean(0) for label in range(3)]),
            logits=lambda state, x: -torch.cdist(net(x), state),
        )
    else:
        inner = robustify(net) if kind == "linear head" else learner(kind)
    batch = episodes(queries=6).batch([0, 1])
    task = inner.eval().adapt(batch.support_x, batch.support_y).task(1)
    return inner, task, batch.query_x[1], batch.query_y[1]


def fools(task, images, labels) -> float:
    with torch.no_grad():
        return float((task(images).argmax(1) != labels).float().mean())


def loss(task, images, labels) -> float:
    with torch.no_grad():
        return float(torch.nn.functional.cross_entropy(task(images), labels))


def left_as_it_was(before: Snapshot) -> bool:
    return before.changed() in ("", "torch's random state", "numpy's random state")


@pytest.mark.parametrize("attack", [torchattacks.PGD, torchattacks.APGD, torchattacks.FGSM])
def test_torchattacks(victim, attack) -> None:
    inner, task, images, labels = victim
    before = Snapshot(inner)
    attacker = attack(task, eps=EPS) if attack is torchattacks.FGSM else attack(task, eps=EPS, steps=3)
    moved = attacker(images, labels)
    assert (moved - images).abs().max() <= EPS + 1e-6
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert loss(task, moved, labels) > loss(task, images, labels)
    assert left_as_it_was(before)


def test_foolbox(victim) -> None:
    inner, task, images, labels = victim
    before = Snapshot(inner)
    model = foolbox.PyTorchModel(task, bounds=(0, 1), device="cpu")
    assert foolbox.accuracy(model, images, labels) == pytest.approx(1 - fools(task, images, labels))
    for attack in (
        foolbox.attacks.LinfPGD(steps=5),
        foolbox.attacks.FGSM(),
        foolbox.attacks.LinfDeepFoolAttack(steps=5),
    ):
        _, moved, success = attack(model, images, labels, epsilons=EPS)
        assert (moved - images).abs().max() <= EPS + 1e-6
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert float(success.float().mean()) == pytest.approx(fools(task, moved, labels))
        assert success.float().mean() >= fools(task, images, labels)
    assert left_as_it_was(before)


def test_the_call_convention_of_the_original_autoattack(victim) -> None:
    inner, task, images, labels = victim
    before = Snapshot(inner)
    adversary = stand_in_autoattack.AutoAttack(task, norm="Linf", eps=EPS, version="standard", device="cpu")
    moved = adversary.run_standard_evaluation(images, labels, bs=7)
    assert adversary.flags == []
    assert (moved - images).abs().max() <= EPS + 1e-6
    assert loss(task, moved, labels) > loss(task, images, labels)
    assert left_as_it_was(before)
