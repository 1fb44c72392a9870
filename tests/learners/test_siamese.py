"""Siamese networks by loops over pairs."""

import pytest
import torch

from robustmeta.errors import RobustMetaError

UNEVEN = torch.tensor([3, 0, 5, 1, 2])
"""Of two images a class, one of class 2 is left out, and they are out of order."""


def pairs(made, batch, x):
    """The log-odds `[3, 9, N]` of each pair, by the formula."""
    rows = []
    for t in range(3):
        support, queries = (made.backbone(images[t : t + 1]).features[0] for images in (x, batch.query_x))
        support, queries = (1 / (1 + torch.exp(-made.twin(x))) for x in (support, queries))
        rows.append([[made.bias - made.weight.abs() @ (f - g).abs() for g in support] for f in queries])
    return torch.stack([torch.stack([torch.stack(row) for row in task]) for task in rows])


def test_logits_are_the_mean_log_odds_of_a_class(learner, batch) -> None:
    made = learner("siamese", "group", units=5).double().eval()
    torch.nn.init.uniform_(made.weight, -5.0, 5.0)
    x, y = batch.support_x[:, UNEVEN], batch.support_y[:, UNEVEN]
    logits = made.adapt(x, y)(batch.query_x)
    found = pairs(made, batch, x)
    for t in range(3):
        for way in range(3):
            torch.testing.assert_close(logits[t, :, way], found[t][:, y[t] == way].mean(1))


def test_its_loss_weighs_pairs_of_one_class_as_much_as_pairs_of_two(learner, batch) -> None:
    made = learner("siamese", "group", units=5).double().train()
    torch.nn.init.uniform_(made.weight, -5.0, 5.0)
    found = pairs(made, batch, batch.support_x)
    same = batch.query_y[:, :, None] == batch.support_y[:, None]
    odds = found.exp()
    expected = -0.5 * (odds / (1 + odds))[same].log().mean() - 0.5 * (1 / (1 + odds))[~same].log().mean()
    loss = made.loss(batch)
    torch.testing.assert_close(loss, expected)
    got = torch.autograd.grad(loss, list(made.parameters()))
    for one, other in zip(got, torch.autograd.grad(expected, list(made.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-12)


def test_the_defense_takes_its_loss_too(learner, batch) -> None:
    made = learner("siamese-aq", "group").double().train()
    made.attack = made.attack.scaled(0.0)
    torch.testing.assert_close(made.loss(batch), made.learner.loss(batch))


def test_no_units_are_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match="units is 0; it must be at least 1"):
        learner("siamese", units=0)
