"""Transfer: crafted against the twin, and against nothing else."""

import pytest
import torch

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.card import card
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.attacks.transfer import Transfer
from robustmeta.errors import RobustMetaError


@pytest.fixture
def batch(episodes):
    return episodes().batch(range(2))


def test_it_is_the_white_box_attack_on_the_twin(learner, batch) -> None:
    twin, target = learner("protonet"), learner("protonet").eval()
    torch.nn.init.normal_(target.backbone.blocks[0].conv.weight)
    attack = Transfer(PGD(0.05, 3), twin)
    classifier = target.adapt(batch.support_x, batch.support_y)
    moved = craft(attack.bound(batch), classifier, batch.query_x, batch.query_y, [1, 2])
    own = twin.eval().adapt(batch.support_x, batch.support_y)
    assert torch.equal(moved, craft(PGD(0.05, 3), own, batch.query_x, batch.query_y, [1, 2]))
    assert not torch.equal(moved, craft(PGD(0.05, 3), classifier, batch.query_x, batch.query_y, [1, 2]))


def test_it_says_what_it_is_and_scales(learner) -> None:
    attack = Transfer(PGD(0.1, 3, loss="margin"), learner("protonet"))
    assert (attack.traits.knowledge, attack.traits.loss, attack.traits.steps) == ("transfer", "margin", 3)
    assert attack.scaled(0.5).threat == Threat("Linf", 0.05)


def test_its_card_crafts_to_the_highest_loss_and_needs_a_twin(learner, batch) -> None:
    twin = learner("protonet")
    made = card("transfer-pgd-50").build(Threat("Linf", 0.1), twin)
    assert isinstance(made, Transfer)
    assert made.twin is twin
    assert not made.attack.until_fooled
    with pytest.raises(RobustMetaError, match="needs the undefended twin of the learner; give a twin"):
        card("transfer-pgd-50").build(Threat("Linf", 0.1))
    with pytest.raises(RobustMetaError, match=r"needs the support of its tasks; call attack.bound\(batch\)"):
        made(None, batch.query_x, batch.query_y)
