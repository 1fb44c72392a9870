"""The embedding, dropout and feature maps that all backbones of blocks have, and what they refuse."""

import copy

import pytest
import torch
from torch import Tensor, nn

from robustmeta.backbones import (
    BACKBONES,
    Backbone,
    Conv4,
    ConvBlock,
    R2D2Net,
    ResNet12,
    detach,
    join_tasks,
    select_tasks,
)
from robustmeta.errors import RobustMetaError
from robustmeta.learners import MAML, ProtoNet

SMALL = {"conv4": {"width": 4}, "resnet12": {"width": 4}, "r2d2net": {"width": 6}}


def made(name: str, **settings: object) -> Backbone:
    torch.manual_seed(0)
    backbone = BACKBONES[name](size=16, **{**SMALL[name], **settings})
    for block in backbone.modules():
        if isinstance(block, ConvBlock):
            nn.init.uniform_(block.scale, 0.5, 1.5)
            nn.init.uniform_(block.shift, -0.2, 0.5)
    return backbone.double()


@pytest.fixture(params=sorted(SMALL))
def name(request) -> str:
    return request.param


@pytest.mark.parametrize("size", [28, 32, 84])
@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_the_flattened_map(name, size, channels) -> None:
    backbone = BACKBONES[name](channels=channels, size=size, **SMALL[name])
    features, _ = backbone(torch.rand(1, 2, channels, size, size))
    c, h, w = backbone.map_shape
    assert features.shape == (1, 2, c * h * w)
    assert backbone.out_features == c * h * w


def test_maps_have_the_announced_shape() -> None:
    assert Conv4(size=28, poolings=2).map_shape == (64, 7, 7)
    assert Conv4(size=84).map_shape == (64, 5, 5)
    assert Conv4(size=9, poolings=0, width=2).map_shape == (2, 9, 9)
    assert ResNet12(size=84).map_shape == (640, 5, 5)
    assert ResNet12(size=84, pooling="average").map_shape == (640, 1, 1)
    assert R2D2Net(size=84).map_shape == (51200, 1, 1)  # as in the paper
    assert [Backbone_.map_shape for Backbone_ in (Conv4(embedding=7), ResNet12(embedding=7))] == [(7, 1, 1)] * 2


def test_a_backbone_of_ones_own_has_vectors() -> None:
    class Own(Backbone):
        out_features = 5

    assert Own().map_shape == (5, 1, 1)


def test_a_map_keeps_its_places(batch) -> None:
    """Flattened channel by channel, row by row: what relation networks view again as a map."""
    backbone = made("conv4", poolings=2, norm="group")
    features, _ = backbone(batch.support_x)
    turned, _ = backbone(batch.support_x.flip(-1))
    assert features.view(3, 6, *backbone.map_shape).shape == (3, 6, 4, 4, 4)
    for block in backbone.blocks:
        block.conv.weight.data = block.conv.weight.data.flip(-1)
    mirrored, _ = backbone(batch.support_x.flip(-1))
    torch.testing.assert_close(mirrored.view(3, 6, 4, 4, 4).flip(-1), features.view(3, 6, 4, 4, 4))
    assert not torch.allclose(turned, mirrored)


def test_an_embedding_is_a_linear_layer_on_the_features(name, batch) -> None:
    with_, without = made(name, embedding=5), made(name)
    without.load_state_dict(with_.state_dict(), strict=False)
    features, _ = without(batch.support_x)
    torch.testing.assert_close(with_(batch.support_x).features, with_.linear(features))


def test_by_default_there_is_no_other_parameter() -> None:
    names = [f"blocks.{i}.{part}" for i in range(4) for part in ("scale", "shift", "conv.weight")]
    assert [key for key, _ in Conv4().named_parameters()] == names


@pytest.mark.parametrize("norm", ["running", "support"])
@pytest.mark.parametrize("embedding", [None, 5])
def test_engines_of_maml_agree_with_dropout_and_embedding(batch, norm, embedding) -> None:
    backbone = made("conv4", norm=norm, dropout=0.4, embedding=embedding, poolings=3)
    loop, together = (
        MAML(copy.deepcopy(backbone), 3, steps=2, inner_lr=0.1, engine=engine).double()
        for engine in ("loop", "vectorized")
    )
    together.load_state_dict(loop.state_dict())
    losses = [learner.loss(batch) for learner in (loop, together)]
    torch.testing.assert_close(*losses)
    gradients = [
        torch.autograd.grad(loss, list(learner.parameters()))
        for loss, learner in zip(losses, (loop, together), strict=True)
    ]
    torch.testing.assert_close(*gradients)


def dropped(backbone: Backbone, images: Tensor, keeps: list[Tensor]) -> Tensor:
    """Features of the images of one task with channels multiplied after each block's activation."""
    x = images
    with torch.no_grad():
        for block, keep in zip(backbone.blocks, keeps, strict=True):
            x = block(x, 1, None, False)[0] * keep[:, None, None]
    return x.flatten(1)


@pytest.mark.parametrize("passing", [True, False])
def test_dropout_multiplies_whole_channels_after_the_block(batch, passing) -> None:
    """Against the plain function: the blocks' outputs times the mask, each task normalised by its own images."""
    backbone = made("conv4", norm="support", dropout=0.5).train()
    features, statistics = backbone(batch.support_x, passing=True)
    keeps = [moments.keep for moments in statistics]
    assert {round(value, 6) for keep in keeps for value in keep.flatten().tolist()} == {0.0, 2.0}
    assert not torch.equal(keeps[0][0], keeps[0][1]) or not torch.equal(keeps[1][0], keeps[1][1])
    again = backbone(batch.support_x, passing=passing).features
    torch.testing.assert_close(again, features)
    for task in range(3):
        expected = dropped(backbone, batch.support_x[task], [keep[task] for keep in keeps])
        torch.testing.assert_close(features[task].detach(), expected)


@pytest.mark.parametrize("norm", ["running", "support"])
def test_queries_meet_the_mask_of_their_support(name, batch, norm) -> None:
    """Support put as queries has the features of the support: folded into the convolutions, it is the same mask."""
    backbone = made(name, norm=norm, dropout=0.5).train()
    features, statistics = backbone(batch.support_x)
    torch.testing.assert_close(backbone(batch.support_x, statistics).features, features)
    torch.testing.assert_close(backbone(batch.support_x, detach(statistics)).features, features)
    plain = made(name, norm=norm).train()
    assert not torch.allclose(plain(batch.support_x).features, features)
    if norm == "support":
        picked = backbone(batch.support_x[[2, 0]], select_tasks(statistics, [2, 0])).features
        torch.testing.assert_close(picked, features[[2, 0]])
        ones = [backbone(batch.support_x[i : i + 1])[1] for i in range(3)]
        torch.testing.assert_close(backbone(batch.support_x, join_tasks(ones)).features, features)


def test_dropout_is_a_pure_function_of_the_support_and_only_of_training(name, batch) -> None:
    backbone = made(name, norm="support", dropout=0.5).train()
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = backbone(batch.support_x).features
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(backbone(batch.support_x).features, first)
    plain = made(name, norm="support").eval()
    assert torch.equal(backbone.eval()(batch.support_x).features, plain(batch.support_x).features)


def test_what_is_attacked_in_training_is_what_is_scored(batch) -> None:
    learner = ProtoNet(made("conv4", norm="running", dropout=0.3)).train()
    classifier = learner.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    assert torch.equal(classifier(batch.query_x), logits)
    torch.testing.assert_close(classifier.detach()(batch.query_x), logits)
    torch.testing.assert_close(classifier.select([1])(batch.query_x[1:2]), logits[1:2])
    learner.eval()
    torch.testing.assert_close(classifier(batch.query_x), logits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": 0}, "embedding is 0; it must be at least 1, or null for no embedding"),
        ({"dropout": 1.0}, "dropout is 1; it must be at least 0 and below 1"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"dropout": 0.1, "norm": "group"}, "policy 'group', which has no statistics .*; use running or support"),
        ({"dropout": 0.1, "norm": "transductive"}, "policy 'transductive'"),
        ({"norm": "suport"}, "did you mean 'support'"),
        ({"size": 15}, "too small for .*; 4 poolings need at least 16x16"),
        ({"width": 0}, "width 0; both must be at least 1"),
        ({"momentum": 1.5}, "momentum is 1.5"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message) as error:
        BACKBONES[name](**settings)
    assert "\n" not in str(error.value)


def test_settings_of_one_backbone_that_cannot_be_are_refused() -> None:
    with pytest.raises(RobustMetaError, match="poolings is 5; conv4 has four blocks, so it must be 0 to 4"):
        Conv4(poolings=5)
    with pytest.raises(RobustMetaError, match=r"unknown pooling .mean. .known: average, flatten"):
        ResNet12(pooling="mean")
    with pytest.raises(RobustMetaError, match="the widths of resnet12 are 10, 25, 50, 100"):
        ResNet12(width=10, norm="group")
    with pytest.raises(RobustMetaError, match=r"resnet12 was given images of shape .* made for \[T, N, 1, 28, 28\]"):
        ResNet12(width=2)(torch.rand(1, 2, 1, 16, 16))


def test_a_dropped_channel_is_zero_and_the_others_are_scaled(name, batch) -> None:
    """In the last map; of ResNet-12 it is the sum of two normalised convolutions, which share their mask."""
    backbone = made(name, norm="support", dropout=0.5).train()
    features, statistics = backbone(batch.support_x)
    keep = statistics[-1].keep
    last = features[..., -keep.shape[1] :]  # of one place
    assert ((last == 0).all(1) >= (keep == 0)).all()
    assert ((last != 0).any(1) == (keep != 0)).float().mean() > 0.9
    if name == "resnet12":
        assert torch.equal(statistics[-2].keep, keep)
        assert statistics[-3].keep is None
