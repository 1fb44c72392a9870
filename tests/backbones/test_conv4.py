"""Conv4 under each normalization policy against torch's own layers, and the policies against their promises."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import BACKBONES, POLICIES, Backbone, Conv4, detach, select_tasks
from robustmeta.errors import RobustMetaError

INDUCTIVE = ("running", "support", "group")


def torch_network(backbone: Conv4) -> nn.Sequential:
    """The paper's order of layers (pooling last), in torch's own modules, with the weights of `backbone`."""
    layers: list[nn.Module] = []
    for block in backbone.blocks:
        width, channels = block.conv.weight.shape[:2]
        conv = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        norm = nn.GroupNorm(min(8, width), width) if backbone.norm == "group" else nn.BatchNorm2d(width)
        conv.weight.data, norm.weight.data, norm.bias.data = block.conv.weight.data, block.scale.data, block.shift.data
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean, norm.running_var = block.running_mean.clone(), block.running_var.clone()
        layers += [conv, norm, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten()).double()


@pytest.fixture
def backbone(learner):
    return lambda norm, **settings: learner("protonet", norm, **settings).backbone.double()


@pytest.mark.parametrize("width", [4, 16])
def test_group_is_torchs_group_norm_in_groups_of_at_least_one(backbone, batch, width) -> None:
    made = backbone("group", width=width)
    features, statistics = made(batch.query_x)
    assert statistics is None
    torch.testing.assert_close(features[1], torch_network(made)(batch.query_x[1]))


def test_running_in_evaluation_is_torchs_batch_norm_with_the_same_buffers(backbone, batch) -> None:
    made = backbone("running").eval()
    reference = torch_network(made).eval()
    features, statistics = made(batch.support_x)
    torch.testing.assert_close(features.flatten(0, 1), reference(batch.support_x.flatten(0, 1)))
    queries, _ = made(batch.query_x, statistics)
    torch.testing.assert_close(queries.flatten(0, 1), reference(batch.query_x.flatten(0, 1)))


def test_running_in_training_normalises_by_all_supports_together(backbone, batch) -> None:
    made = backbone("running").train()
    features, _ = made(batch.support_x)
    expected = torch_network(made).train()(batch.support_x.flatten(0, 1))
    torch.testing.assert_close(features.flatten(0, 1), expected)


@pytest.mark.parametrize("norm", ["support", "transductive"])
@pytest.mark.parametrize("training", [True, False])
def test_support_and_transductive_normalise_each_task_by_its_own_images(backbone, batch, norm, training) -> None:
    made = backbone(norm).train(training)
    features, _ = made(batch.support_x)
    for task in range(3):
        expected = torch_network(made).train()(batch.support_x[task])
        torch.testing.assert_close(features[task], expected)


@torch.no_grad()
def with_statistics_of(made: Conv4, support: Tensor, query: Tensor) -> Tensor:
    """Features of one task's queries `[Q, D]`, each layer's batch norm using that layer's moments on the support."""
    for block in made.blocks:
        support, query = (F.conv2d(x, block.conv.weight, padding=1) for x in (support, query))
        mean, var = support.mean((0, 2, 3)), support.var((0, 2, 3), correction=0)
        support, query = (
            F.max_pool2d(F.relu(F.batch_norm(x, mean, var, block.scale, block.shift)), 2) for x in (support, query)
        )
    return query.flatten(1)


@pytest.mark.parametrize("tasks", [[0], [0, 1, 2]])
def test_support_statistics_normalise_the_queries(backbone, batch, tasks) -> None:
    """With one task the affine map is folded into the convolution, with three it follows it: the same function."""
    made = backbone("support")
    _, statistics = made(batch.support_x[tasks])
    queries, _ = made(batch.query_x[tasks], statistics)
    for place, task in enumerate(tasks):
        expected = with_statistics_of(made, batch.support_x[task], batch.query_x[task])
        torch.testing.assert_close(queries[place].detach(), expected)


@pytest.mark.parametrize("name", ["protonet", "maml"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", POLICIES)
def test_only_transductive_lets_queries_help_each_other(learner, batch, name, training, norm) -> None:
    classifier = learner(name, norm).double().train(training).adapt(batch.support_x, batch.support_y)
    together = classifier(batch.query_x)
    alone = torch.cat([classifier(batch.query_x[:, i : i + 1]) for i in range(batch.query_x.shape[1])], 1)
    assert torch.allclose(together, alone, rtol=1e-9, atol=1e-9) == (norm in INDUCTIVE)
    assert classifier.inductive == (norm in INDUCTIVE)
    assert classifier.select([1]).inductive == classifier.detach().inductive == classifier.inductive


@pytest.mark.parametrize("name", ["protonet", "maml"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", POLICIES)
def test_other_tasks_change_nothing_but_shared_training_statistics(learner, batch, name, training, norm) -> None:
    made = learner(name, norm).double().train(training)
    together = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    alone = made.adapt(batch.support_x[1:2], batch.support_y[1:2])(batch.query_x[1:2])
    shared = name == "protonet" and norm == "running" and training
    assert torch.allclose(together[1], alone[0], rtol=1e-9, atol=1e-9) != shared


@pytest.mark.parametrize("name", ["protonet", "maml"])
@pytest.mark.parametrize("norm", POLICIES)
def test_later_training_does_not_move_what_was_adapted(learner, batch, name, norm) -> None:
    made = learner(name, norm).double().eval()
    classifier = made.adapt(batch.support_x, batch.support_y)
    before = classifier(batch.query_x)
    made.train().loss(batch).backward()
    torch.optim.SGD(made.parameters(), lr=1.0).step()
    classifier.train()
    assert torch.equal(classifier(batch.query_x), before)
    now = made.eval().adapt(batch.support_x, batch.support_y)(batch.query_x)
    assert not torch.allclose(now, before)


def buffers(module: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


def test_the_running_average_takes_a_tenth_of_the_new_moments(learner, batch) -> None:
    made = learner("protonet", "running").double().train()
    block = made.backbone.blocks[0]
    before = buffers(block)
    y = F.conv2d(batch.support_x.flatten(0, 1), block.conv.weight, padding=1)
    made.adapt(batch.support_x, batch.support_y)
    torch.testing.assert_close(block.running_mean, 0.9 * before["running_mean"] + 0.1 * y.mean((0, 2, 3)))
    expected = 0.9 * before["running_var"] + 0.1 * y.var((0, 2, 3), correction=0)
    torch.testing.assert_close(block.running_var, expected)


def test_under_maml_the_running_average_takes_the_mean_over_tasks(learner, batch) -> None:
    """Each task's moments are those of its support at its own adapted weights."""
    made = learner("maml", "running").double().train()
    block = made.network.backbone.blocks[0]
    mean, var = 0.9 * block.running_mean, 0.9 * block.running_var
    adapted = made.adapt(batch.support_x, batch.support_y)
    for task in range(3):
        kernel = adapted.weights["backbone.blocks.0.conv.weight"][task]
        y = F.conv2d(batch.support_x[task], kernel, padding=1)
        mean = mean + 0.1 * y.mean((0, 2, 3)) / 3
        var = var + 0.1 * y.var((0, 2, 3), correction=0) / 3
    torch.testing.assert_close(block.running_mean, mean.detach())
    torch.testing.assert_close(block.running_var, var.detach())


def test_momentum_is_the_share_of_the_newest_batch(batch) -> None:
    made = Conv4(size=16, width=4, momentum=0.75).double().train()
    _, statistics = made(batch.support_x)
    made.track(statistics)
    for block, moments in zip(made.blocks, statistics, strict=True):
        torch.testing.assert_close(block.running_mean, 0.75 * moments.mean[0].detach())
        torch.testing.assert_close(block.running_var, 0.25 + 0.75 * moments.var[0].detach())


@pytest.mark.parametrize("name", ["protonet", "maml", "protonet-aq", "maml-aq"])
@pytest.mark.parametrize("norm", POLICIES)
def test_running_averages_move_only_in_training_and_only_from_supports(learner, batch, name, norm) -> None:
    made = learner(name, norm).double().eval()
    start = buffers(made)
    made.loss(batch)
    assert all(torch.equal(buffer, start[key]) for key, buffer in made.named_buffers())

    made.train().loss(batch).backward()
    moved = buffers(made)
    assert all(torch.equal(moved[key], start[key]) == (norm != "running") for key in start)

    other = learner(name, norm).double().train()
    other.loss(batch.with_queries(1 - batch.query_x))
    assert all(torch.equal(buffer, moved[key]) for key, buffer in other.named_buffers())


def test_statistics_can_be_detached_and_picked_by_task(backbone, batch) -> None:
    _, own = backbone("support")(batch.support_x)
    picked = select_tasks(own, [2, 0])
    assert torch.equal(picked[3].mean, own[3].mean[[2, 0]])
    assert torch.equal(picked[3].var, own[3].var[[2, 0]])
    assert own[1].mean.requires_grad
    assert not detach(own)[1].mean.requires_grad
    _, shared = backbone("running")(batch.support_x)
    assert select_tasks(shared, [2, 0])[0].mean is shared[0].mean
    assert detach(None) is None
    assert select_tasks(None, [0]) is None


def test_features_have_the_announced_number_and_width() -> None:
    assert Conv4(size=28, width=64).out_features == 64
    assert Conv4(channels=3, size=84, width=8).out_features == 8 * 25
    features, _ = Conv4(channels=3, size=33, width=8)(torch.rand(1, 2, 3, 33, 33))
    assert features.shape == (1, 2, 32)
    assert BACKBONES["conv4"] is Conv4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norm": "suport"}, "unknown normalization policy 'suport'; did you mean 'support'"),
        ({"size": 15}, "images of 15x15 are too small for conv4; 4 poolings need at least 16x16"),
        ({"width": 0}, "channels is 1 and width 0; both must be at least 1"),
        ({"channels": 0}, "channels is 0 and width 64; both must be at least 1"),
        ({"width": 12, "norm": "group"}, "width 12; .* a width above 8 must be a multiple of 8"),
        ({"momentum": 1.5}, r"momentum is 1.5; it must lie in \[0, 1\]"),
        ({"momentum": float("nan")}, "momentum is nan"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        Conv4(**settings)


@pytest.mark.parametrize("shape", [(1, 2, 3, 16, 16), (1, 2, 1, 16, 17), (2, 1, 16, 16)])
def test_images_of_another_shape_are_refused(shape) -> None:
    with pytest.raises(RobustMetaError, match=r"conv4 was given images of shape .* made for \[T, N, 1, 16, 16\]"):
        Conv4(size=16, width=4)(torch.rand(shape))


def test_an_unfinished_backbone_says_what_it_lacks() -> None:
    class Empty(Backbone):
        pass

    with pytest.raises(NotImplementedError, match="Empty must define out_features"):
        _ = Empty().out_features
    with pytest.raises(NotImplementedError, match="Empty must define forward"):
        Empty()(torch.rand(1, 1, 1, 16, 16))
