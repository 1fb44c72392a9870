"""Relation networks by an ordinary convolution of the concatenated maps, pair after pair."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robustmeta.backbones import Conv4
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner, RelationNet

UNEVEN = torch.tensor([3, 0, 5, 1, 2])
"""Of two images a class, one of class 2 is left out, and they are out of order."""


def made_with(poolings: int, size: int = 16, **settings: object) -> Learner:
    torch.manual_seed(0)
    made = RelationNet(Conv4(size=size, width=4, norm="group", poolings=poolings), channels=16, **settings)
    for norm in made.norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.2, 0.5)
    return made.double()


def score(made: Learner, pair: Tensor) -> Tensor:
    """The relation module on one pair of maps `[2C, H, W]`, as the paper draws it: concatenated, then convolved."""
    x = pair[None]
    for kernel, norm in zip(
        (torch.cat([made.of_class.weight, made.of_query.weight], 1), made.second.weight), made.norms, strict=True
    ):
        x = F.relu(F.group_norm(F.conv2d(x, kernel, padding=1), 2, norm.weight, norm.bias))
        x = F.max_pool2d(x, 2) if min(x.shape[2:]) > 1 else x
    return made.score(F.relu(made.linear(x.flatten()))).squeeze()


@pytest.mark.parametrize(("poolings", "size", "side"), [(4, 16, 1), (3, 16, 2), (2, 16, 4), (2, 20, 5)])
def test_logits_are_those_of_the_relation_module_on_each_pair(poolings, size, side) -> None:
    made = made_with(poolings, size).eval()
    images = torch.rand(2, 8, 1, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    support, queries, labels = images[:, :5], images[:, 5:], torch.tensor([[0, 1, 2, 0, 1], [1, 2, 1, 1, 0]])
    logits = made.adapt(support, labels)(queries)
    assert made.map_shape == (4, side, side)
    for t in range(2):
        given, asked = (made.backbone(x[t : t + 1]).features[0].view(-1, 4, side, side) for x in (support, queries))
        means = [given[labels[t] == way].mean(0) for way in range(3)]
        expected = torch.stack(
            [torch.stack([score(made, torch.cat([mean, query])) for mean in means]) for query in asked]
        )
        torch.testing.assert_close(logits[t], expected)


@pytest.mark.parametrize("poolings", [2, 4])
def test_its_loss_is_the_squared_error_of_relation_scores(batch, poolings) -> None:
    made = made_with(poolings).train()
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    wanted = (batch.query_y[..., None] == torch.arange(3)).double()
    loss = made.loss(batch)
    torch.testing.assert_close(loss, ((1 / (1 + torch.exp(-logits)) - wanted) ** 2).mean())
    loss.backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_its_loss_can_be_cross_entropy(batch) -> None:
    made = made_with(2, loss="ce").train()
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    torch.testing.assert_close(made.loss(batch), F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()))


def test_the_order_and_number_of_shots_move_no_other_class(batch) -> None:
    made = made_with(3).eval()
    whole = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    fewer = made.adapt(batch.support_x[:, UNEVEN], batch.support_y[:, UNEVEN])(batch.query_x)
    torch.testing.assert_close(fewer[..., :2], whole[..., :2])
    assert not torch.allclose(fewer[..., 2], whole[..., 2])


def test_a_loss_that_is_not_known_is_refused(learner) -> None:
    with pytest.raises(RobustMetaError, match=r"unknown loss 'mae'; did you mean 'mse'\? \(known: ce, mse\)"):
        learner("relation", loss="mae")


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"channels": 12}, {"hidden": 0}])
def test_sizes_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value}\b.*both must be at least 1, channels above 8"):
        learner("relation", **wrong)
