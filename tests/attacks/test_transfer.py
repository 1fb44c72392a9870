"""Transfer: crafted against the twin, and against nothing else."""

import pytest
import torch
import yaml

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.card import card
from robustmeta.attacks.meter import Meter
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
    classifier, meter = target.adapt(batch.support_x, batch.support_y), Meter()
    moved = craft(attack.bound(batch, meter), classifier, batch.query_x, batch.query_y, [1, 2])
    own = twin.eval().adapt(batch.support_x, batch.support_y)
    assert torch.equal(moved, craft(PGD(0.05, 3), own, batch.query_x, batch.query_y, [1, 2]))
    assert not torch.equal(moved, craft(PGD(0.05, 3), classifier, batch.query_x, batch.query_y, [1, 2]))
    number = batch.query_y.numel()
    assert (meter.forwards, meter.backwards) == (batch.support_y.numel() + 4 * number, 3 * number)


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
    with pytest.raises(RobustMetaError, match=r"needs the support of its tasks; call attack.bound\(batch, meter\)"):
        made(None, batch.query_x, batch.query_y)


def mine(tmp_path, inner: str, **keys: object):
    """A card of one's own that transfers `inner`."""
    text = {"name": "mine", "version": 1, "engine": "transfer", "norm": ["Linf"], "parameters": {"attack": inner},
            "target": "query", "knowledge": "transfer", "fewest_ways": 2, "safe_in_training": False,
            "source": {"authors": "Me", "year": 2026, "title": "Mine"}, **keys}  # fmt: skip
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.dump(text))
    return card(str(path))


@pytest.mark.parametrize(
    ("inner", "keys", "message"),
    [
        ("apgd-dlr-100", {}, "fewest_ways: is 2; these parameters need 3 or more"),
        ("tifgsm", {}, "works on images of 3 channels only; say channels: 3"),
        ("poison-20", {}, "it takes a white-box attack on queries"),
        ("pgd-50", {"knowledge": "white-box"}, "knowledge: is white-box; the engine transfer is transfer"),
        ("pgd-50", {"safe_in_training": True}, "safe_in_training: is true; only a white-box attack on queries is safe"),
    ],
)
def test_a_card_says_of_its_engine_what_is_so(learner, tmp_path, inner, keys, message) -> None:
    with pytest.raises(RobustMetaError, match=f"mine.yaml:.*{message}"):
        mine(tmp_path, inner, **keys).build(Threat("Linf", 0.1), learner("protonet"))
    assert mine(tmp_path, "apgd-dlr-100", fewest_ways=3).build(Threat("Linf", 0.1), learner("protonet"))
