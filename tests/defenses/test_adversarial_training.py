"""Adversarial training on the base classes: which images are attacked, and around which learners it goes."""

import pytest
import torch
import torch.nn.functional as F

from robustmeta.defenses import AdversarialTraining
from robustmeta.errors import RobustMetaError


@pytest.mark.parametrize("name", ["transfer", "finetune"])
def test_the_loss_is_the_base_classifiers_on_all_images_attacked(learner, episodes, shift, name) -> None:
    batch = episodes().batch([0, 1])
    inner = learner(name, "running")
    images = torch.cat([batch.support_x, batch.query_x], 1)
    labels = torch.stack([batch.classes[t][torch.cat([batch.support_y, batch.query_y], 1)[t]] for t in range(2)])
    classifier, _ = inner.pose(batch)
    wanted = F.cross_entropy(classifier(shift.held(images)).flatten(0, 1), labels.flatten())
    torch.testing.assert_close(AdversarialTraining(inner, shift).loss(batch), wanted)
    assert torch.equal(shift.seen[0], images)


def test_learners_it_does_not_go_around(learner, shift) -> None:
    with pytest.raises(RobustMetaError, match="ProtoNet is trained on episodes, not on base classes; use 'aq'"):
        AdversarialTraining(learner(), shift)
