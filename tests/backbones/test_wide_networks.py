"""ResNet-12 and the R2-D2 network against torch's own layers, and under each policy."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import BACKBONES, POLICIES, ConvBlock, Convolutional
from robustmeta.learners import MAML, ProtoNet

WIDTH = {"resnet12": 8, "r2d2net": 24}  # widths that eight groups divide: 8, 20 does not, so group takes 16


def made(name: str, norm: str, **settings: object) -> Convolutional:
    torch.manual_seed(0)
    width = 16 if name == "resnet12" and norm == "group" else WIDTH[name]
    backbone = BACKBONES[name](size=16, width=width, norm=norm, **settings)
    for block in backbone.modules():
        if isinstance(block, ConvBlock):
            nn.init.uniform_(block.scale, 0.5, 1.5)
            nn.init.uniform_(block.shift, -0.2, 0.5)
            nn.init.uniform_(block.running_mean, -0.2, 0.2)
            nn.init.uniform_(block.running_var, 0.05, 0.2)
    return backbone.double()


@pytest.fixture(params=sorted(WIDTH))
def name(request) -> str:
    return request.param


def torch_layer(block: ConvBlock) -> nn.Sequential:
    width, channels, kernel, _ = block.conv.weight.shape
    conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
    norm = nn.GroupNorm(8, width) if block.norm == "group" else nn.BatchNorm2d(width)
    conv.weight.data, norm.weight.data, norm.bias.data = block.conv.weight.data, block.scale.data, block.shift.data
    if isinstance(norm, nn.BatchNorm2d):
        norm.running_mean, norm.running_var = block.running_mean.clone(), block.running_var.clone()
    return nn.Sequential(conv, norm).double()


class TorchResNet(nn.Module):
    """The paper's order of layers: pooling last in each block."""

    def __init__(self, backbone: Convolutional) -> None:
        super().__init__()
        self.average = backbone.pooling == "average"
        self.blocks = nn.ModuleList(
            nn.ModuleList([*(torch_layer(layer) for layer in block.layers), torch_layer(block.shortcut)])
            for block in backbone.blocks
        )

    def forward(self, x: Tensor) -> Tensor:
        for first, second, third, shortcut in self.blocks:
            y = F.leaky_relu(second(F.leaky_relu(first(x), 0.1)), 0.1)
            x = F.max_pool2d(F.leaky_relu(third(y) + shortcut(x), 0.1), 2)
        return F.adaptive_avg_pool2d(x, 1).flatten(1) if self.average else x.flatten(1)


class TorchR2D2(nn.Module):
    def __init__(self, backbone: Convolutional) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(torch_layer(block) for block in backbone.blocks)

    def forward(self, x: Tensor) -> Tensor:
        maps = []
        for block in self.blocks:
            x = F.max_pool2d(F.leaky_relu(block(x), 0.1), 2)
            maps.append(x.flatten(1))
        return torch.cat(maps[2:], 1)


def torch_network(backbone: Convolutional) -> nn.Module:
    return TorchResNet(backbone) if hasattr(backbone, "pooling") else TorchR2D2(backbone)


def test_running_in_evaluation_is_torchs_batch_norm_with_the_same_buffers(name, batch) -> None:
    backbone = made(name, "running").eval()
    features, statistics = backbone(batch.support_x)
    reference = torch_network(backbone).eval()
    torch.testing.assert_close(features.flatten(0, 1), reference(batch.support_x.flatten(0, 1)))
    queries = backbone(batch.query_x, statistics).features
    torch.testing.assert_close(queries.flatten(0, 1), reference(batch.query_x.flatten(0, 1)))


def test_an_average_is_taken_over_the_places(batch) -> None:
    torch.manual_seed(0)
    backbone = BACKBONES["resnet12"](size=33, width=2, pooling="average").double().eval()
    images = torch.rand(1, 3, 1, 33, 33, dtype=torch.float64)
    assert backbone(images).features.shape == (1, 3, 20)
    torch.testing.assert_close(backbone(images).features[0], torch_network(backbone).eval()(images[0]))


def test_running_in_training_normalises_by_all_supports_together_and_tracks_them(name, batch) -> None:
    backbone = made(name, "running").train()
    reference = torch_network(backbone).train()
    features, statistics = backbone(batch.support_x)
    torch.testing.assert_close(features.flatten(0, 1), reference(batch.support_x.flatten(0, 1)))
    backbone.track(statistics)
    ours = [module.running_mean for module in backbone.modules() if isinstance(module, ConvBlock)]
    theirs = [module.running_mean for module in reference.modules() if isinstance(module, nn.BatchNorm2d)]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("norm", ["support", "transductive", "group"])
@pytest.mark.parametrize("passing", [True, False])
def test_other_policies_normalise_each_task_by_itself(name, batch, norm, passing) -> None:
    backbone = made(name, norm)
    features = backbone(batch.support_x, passing=passing).features
    reference = torch_network(backbone).train()
    for task in range(3):
        torch.testing.assert_close(features[task], reference(batch.support_x[task]))


def test_statistics_of_the_support_normalise_the_queries(name, batch) -> None:
    """The support among its own statistics is as before, and a query in whatever company."""
    backbone = made(name, "support")
    features, statistics = backbone(batch.support_x)
    torch.testing.assert_close(backbone(batch.support_x, statistics).features, features)
    together = backbone(batch.query_x, statistics).features
    torch.testing.assert_close(backbone(batch.query_x[:, 3:4], statistics).features, together[:, 3:4])


@pytest.mark.parametrize("kind", ["protonet", "maml"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", POLICIES)
def test_only_transductive_lets_queries_help_each_other(name, batch, kind, training, norm) -> None:
    backbone = made(name, norm)
    learner = MAML(backbone, 3, steps=1, inner_lr=0.01).double() if kind == "maml" else ProtoNet(backbone)
    classifier = learner.train(training).adapt(batch.support_x, batch.support_y)
    together = classifier(batch.query_x)
    alone = torch.cat([classifier(batch.query_x[:, i : i + 1]) for i in (0, 8)], 1)
    same = torch.allclose(together[:, [0, 8]], alone, rtol=1e-6, atol=1e-6)
    assert same == classifier.inductive == (norm != "transductive")


def test_there_is_a_gradient_in_the_pixels(name, batch) -> None:
    classifier = ProtoNet(made(name, "support")).eval().adapt(batch.support_x, batch.support_y)
    x = batch.query_x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(classifier(x).square().sum(), x)
    assert (gradient.flatten(2).abs().sum(-1) > 0).all()


def test_by_default_the_widths_are_the_papers() -> None:
    assert [block.width for block in BACKBONES["resnet12"]().blocks] == [64, 160, 320, 640]
    assert BACKBONES["r2d2net"]().widths == (96, 192, 384, 512)
    assert not BACKBONES["resnet12"].takes_task_weights
