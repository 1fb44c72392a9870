"""Training on base classes: the loss is plain cross-entropy over all of them, on all images, attacked or not."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.backbones import Conv4
from robustmeta.defenses import AdversarialQuerying
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Transfer


@pytest.fixture
def made():
    torch.manual_seed(0)
    return Transfer(Conv4(size=16, width=4, norm="running"), classes=12)


def by_hand(made: Transfer, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the base classes under batch normalization, on images `[N, C, H, W]`."""
    features = images
    for block in made.backbone.blocks:
        features = F.conv2d(features, block.conv.weight, padding=1)
        features = F.batch_norm(features, None, None, block.scale, block.shift, training=True)
        features = F.max_pool2d(F.relu(features), 2)
    features, centres = (each / each.norm(dim=1, keepdim=True) for each in (features.flatten(1), made.centres))
    return F.cross_entropy(10 * features @ centres.T, labels)


def test_the_loss_is_cross_entropy_over_all_base_classes_on_all_images(made, episodes):
    tasks = episodes()
    batch = tasks.batch(range(3))
    images, labels = [], []
    for task in range(3):
        chosen, rows = tasks.drawn(task)
        images.append(tasks._images[rows].flatten(0, 1))
        labels += chosen.repeat(5).tolist()
    expected = by_hand(made, torch.cat(images).float() / 255, torch.tensor(labels))
    loss = made.loss(batch)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, list(made.parameters()))
    wanted = torch.autograd.grad(expected, [p for p in made.parameters() if p is not made.log_scale])
    others = [g for g, p in zip(found, made.parameters(), strict=True) if p is not made.log_scale]
    torch.testing.assert_close(others, list(wanted), rtol=1e-3, atol=1e-5)
    assert all(gradient.abs().sum() > 0 for gradient in found)


def test_a_defense_attacks_all_images_against_the_base_classifier(made, episodes):
    batch = episodes().batch(range(2))
    robust = AdversarialQuerying(made, PGD(0.1, steps=3))
    clean = made.loss(batch).item()
    seen = []
    original = made.outer_loss
    made.outer_loss = lambda classifier, queries: seen.append(queries) or original(classifier, queries)
    attacked = robust.loss(batch).item()
    assert attacked > clean + 0.1
    whole = torch.cat([batch.support_x, batch.query_x], dim=1)
    moved = (seen[0].query_x - whole).abs().flatten(2).amax(-1)
    assert moved.shape == (2, 15)
    assert (moved > 0.05).all()
    assert moved.max() <= 0.1 + 1e-6


def test_training_moves_the_running_statistics_and_adaptation_then_uses_them(made, episodes):
    batch = episodes().batch(range(2))
    before = made.backbone.blocks[0].running_mean.clone()
    made.loss(batch)
    assert not torch.equal(made.backbone.blocks[0].running_mean, before)


@pytest.mark.parametrize("norm", ["support", "transductive"])
def test_statistics_of_tasks_are_refused(norm):
    with pytest.raises(
        RobustMetaError, match=f"normalization policy is '{norm}'; Transfer is trained on images of all"
    ):
        Transfer(Conv4(size=16, width=4, norm=norm), classes=12)


def test_batches_without_classes_or_with_too_many_are_refused(made, episodes):
    batch = episodes().batch(range(2))
    with pytest.raises(RobustMetaError, match="Transfer trains on the classes of a data set; the batch names none"):
        made.loss(replace(batch, classes=None))
    with pytest.raises(RobustMetaError, match="the batch has class 12; Transfer was made for 12"):
        made.loss(replace(batch, classes=batch.classes * 0 + 12))
