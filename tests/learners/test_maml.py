"""MAML's meta-gradient against two independent references and finite differences, in float64."""

import copy
import warnings
from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robustmeta.backbones import POLICIES, Conv4
from robustmeta.batch import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.learners import MAML

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package is older than this Python
    import higher

Moments = list[tuple[Tensor, Tensor]]
LR = 0.1


def plain(weights: Sequence[Tensor], x: Tensor, norm: str, moments: Moments | None = None) -> tuple[Tensor, Moments]:
    """Logits of images `[N, C, H, W]` by four blocks and a linear layer, written out from the paper."""
    used = []
    for i in range(4):
        kernel, scale, shift = weights[3 * i : 3 * i + 3]
        y = F.conv2d(x, kernel, padding=1)
        if norm == "group":  # as many groups as channels up to 8, so a group is a channel here
            mean, var = y.mean((2, 3), keepdim=True), y.var((2, 3), correction=0, keepdim=True)
        else:
            of_batch = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), correction=0, keepdim=True)
            mean, var = moments[i] if moments else of_batch
        used.append((mean, var))
        y = (y - mean) / (var + 1e-5).sqrt() * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)
        x = F.max_pool2d(F.relu(y), 2)
    return F.linear(x.flatten(1), weights[12], weights[13]), used


def weights_of(maml: MAML) -> list[Tensor]:
    """Copies of the weights in the order that `plain` takes them."""
    blocks = [
        tensor for block in maml.network.backbone.blocks for tensor in (block.conv.weight, block.scale, block.shift)
    ]
    return [
        t.detach().clone().requires_grad_() for t in (*blocks, maml.network.linear.weight, maml.network.linear.bias)
    ]


def gradients_of(maml: MAML, batch: EpisodeBatch) -> list[Tensor]:
    """The meta-gradient of the learner under test, in the same order."""
    maml.zero_grad()
    maml.loss(batch).backward()
    blocks = [
        tensor for block in maml.network.backbone.blocks for tensor in (block.conv.weight, block.scale, block.shift)
    ]
    return [t.grad.clone() for t in (*blocks, maml.network.linear.weight, maml.network.linear.bias)]


def unrolled(maml: MAML, batch: EpisodeBatch, norm: str, steps: int) -> list[Tensor]:
    """The second-order meta-gradient by unrolling the update rule."""
    theta = weights_of(maml)
    total = torch.zeros((), dtype=torch.float64)
    for t in range(batch.tasks):
        fast = theta
        for _ in range(steps):
            loss = F.cross_entropy(plain(fast, batch.support_x[t], norm)[0], batch.support_y[t])
            slopes = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [w - LR * slope for w, slope in zip(fast, slopes, strict=True)]
        moments = plain(fast, batch.support_x[t], norm)[1]
        total = total + F.cross_entropy(plain(fast, batch.query_x[t], norm, moments)[0], batch.query_y[t])
    return list(torch.autograd.grad(total / batch.tasks, theta))


class Plain(nn.Module):
    """`plain` as a module, for `higher` to patch."""

    def __init__(self, weights: Sequence[Tensor], norm: str) -> None:
        super().__init__()
        self.norm, self.number = norm, len(weights)
        for i, weight in enumerate(weights):
            self.register_parameter(f"w{i}", nn.Parameter(weight.detach().clone()))

    def forward(self, x: Tensor, moments: Moments | None = None) -> tuple[Tensor, Moments]:
        return plain([getattr(self, f"w{i}") for i in range(self.number)], x, self.norm, moments)


def by_higher(maml: MAML, batch: EpisodeBatch, norm: str, steps: int) -> list[Tensor]:
    """The second-order meta-gradient by the `higher` package (Grefenstette et al., 2019)."""
    network = Plain(weights_of(maml), norm)
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    for t in range(batch.tasks):
        with higher.innerloop_ctx(network, optimizer, copy_initial_weights=False) as (fast, inner):
            for _ in range(steps):
                inner.step(F.cross_entropy(fast(batch.support_x[t])[0], batch.support_y[t]))
            moments = fast(batch.support_x[t])[1]
            loss = F.cross_entropy(fast(batch.query_x[t], moments)[0], batch.query_y[t])
            (loss / batch.tasks).backward()
    return [parameter.grad for parameter in network.parameters()]


def error(got: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The largest relative error of a parameter's gradient."""
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("norm", ["group", "support", "running"])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("reference", [unrolled, by_higher])
def test_the_second_order_meta_gradient_is_that_of_a_reference(learner, batch, norm, steps, reference) -> None:
    """In training, `running` takes the moments of the task's own support, so all three are known in closed form."""
    maml = learner("maml", norm, steps=steps, inner_lr=LR).double()
    expected = reference(maml, batch, norm, steps)
    assert min(gradient.norm() for gradient in expected) > 1e-6
    assert error(gradients_of(maml, batch), expected) < 1e-6


@pytest.mark.parametrize("norm", ["group", "support"])
@pytest.mark.parametrize("steps", [1, 3])
def test_first_order_is_the_gradient_at_the_adapted_weights_and_not_second_order(learner, batch, norm, steps) -> None:
    maml = learner("maml", norm, steps=steps, inner_lr=LR, first_order=True).double()
    total = [torch.zeros_like(weight) for weight in weights_of(maml)]
    for t in range(batch.tasks):
        fast = weights_of(maml)
        for _ in range(steps):
            loss = F.cross_entropy(plain(fast, batch.support_x[t], norm)[0], batch.support_y[t])
            slopes = torch.autograd.grad(loss, fast)
            fast = [(w - LR * slope).detach().requires_grad_() for w, slope in zip(fast, slopes, strict=True)]
        moments = plain(fast, batch.support_x[t], norm)[1]
        loss = F.cross_entropy(plain(fast, batch.query_x[t], norm, moments)[0], batch.query_y[t])
        total = [sum_ + g / batch.tasks for sum_, g in zip(total, torch.autograd.grad(loss, fast), strict=True)]
    got = gradients_of(maml, batch)
    assert error(got, total) < 1e-6
    assert error(got, unrolled(maml, batch, norm, steps)) > 0.01


@pytest.mark.parametrize("norm", ["group", "support", "transductive"])
def test_the_meta_gradient_is_the_slope_of_the_outer_loss(learner, batch, norm) -> None:
    maml = learner("maml", norm, steps=2, inner_lr=LR).double()
    maml.zero_grad()
    maml.loss(batch).backward()
    step = 1e-6
    generator = torch.Generator().manual_seed(0)
    for parameter in maml.parameters():
        where = int(torch.randint(parameter.numel(), (1,), generator=generator))
        index = torch.unravel_index(torch.tensor(where), parameter.shape)
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[index] += sign * step
            losses.append(maml.loss(batch).item())
            with torch.no_grad():
                parameter[index] -= sign * step
        assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(parameter.grad[index].item(), rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("norm", ["group", "support", "running", "transductive"])
def test_in_evaluation_it_fine_tunes_as_sgd_does_with_the_test_settings(learner, batch, norm) -> None:
    maml = learner("maml", norm, steps=1, inner_lr=9.0, test_steps=4, test_inner_lr=0.05).double().eval()
    logits = maml.adapt(batch.support_x, batch.support_y)(batch.query_x)
    for t in range(batch.tasks):
        network = copy.deepcopy(maml.network)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(network(batch.support_x[t : t + 1])[0][0], batch.support_y[t]).backward()
            optimizer.step()
        statistics = network(batch.support_x[t : t + 1])[1]
        torch.testing.assert_close(logits[t], network(batch.query_x[t : t + 1], statistics)[0][0])


def through_plain(maml: MAML, batch: EpisodeBatch, norm: str, second_order: bool) -> Tensor:
    """The slope of the queries' loss to the support, by unrolling the update rule."""
    support = batch.support_x.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for t in range(batch.tasks):
        fast = weights_of(maml)
        for _ in range(3):
            loss = F.cross_entropy(plain(fast, support[t], norm)[0], batch.support_y[t])
            slopes = torch.autograd.grad(loss, fast, create_graph=second_order)
            fast = [w - LR * slope for w, slope in zip(fast, slopes, strict=True)]
        moments = plain(fast, support[t], norm)[1]
        total = total + F.cross_entropy(plain(fast, batch.query_x[t], norm, moments)[0], batch.query_y[t])
    return torch.autograd.grad(total, support)[0]


@pytest.mark.parametrize("first_order", [True, False])
def test_in_evaluation_the_slope_to_the_support_is_of_second_order_whatever_training_takes(
    learner, batch, first_order
) -> None:
    settings = {"steps": 1, "inner_lr": 9.0, "test_steps": 3, "test_inner_lr": LR, "first_order": first_order}
    maml = learner("maml", "support", **settings).double().eval()
    support = batch.support_x.clone().requires_grad_()
    logits = maml.adapt(support, batch.support_y)(batch.query_x)
    loss = batch.tasks * F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten())
    (got,) = torch.autograd.grad(loss, support)
    assert error([got], [through_plain(maml, batch, "support", second_order=True)]) < 1e-6
    assert error([got], [through_plain(maml, batch, "support", second_order=False)]) > 0.01


PASSES = [("support", False, 1), ("running", False, 0), ("running", True, 1), ("group", True, 0)]


@pytest.mark.parametrize(("norm", "training", "extra"), PASSES)
def test_the_support_is_passed_once_a_step_and_again_only_for_statistics(learner, batch, norm, training, extra) -> None:
    maml = learner("maml", norm, steps=2).double().train(training)
    passes: list[None] = []
    maml.network.register_forward_pre_hook(lambda *_: passes.append(None))
    maml.adapt(batch.support_x, batch.support_y)
    assert len(passes) == batch.tasks * (2 + extra)


def test_in_training_it_takes_the_training_settings(learner, batch) -> None:
    one = learner("maml", "group", steps=1, inner_lr=0.2, test_steps=7, test_inner_lr=0.01).double().train()
    two = learner("maml", "group", steps=1, inner_lr=0.2).double().train()
    assert torch.equal(one.loss(batch), two.loss(batch))
    assert not torch.equal(one.eval().loss(batch), two.eval().loss(batch))


def test_test_settings_default_to_the_training_ones(learner) -> None:
    maml = learner("maml", steps=3, inner_lr=0.2)
    assert (maml.test_steps, maml.test_inner_lr) == (3, 0.2)


def test_without_steps_the_initialisation_classifies(learner, batch) -> None:
    maml = learner("maml", "group", test_steps=0).double().eval()
    logits = maml.adapt(batch.support_x, batch.support_y)(batch.query_x)
    torch.testing.assert_close(logits, maml.network(batch.query_x)[0])


@pytest.mark.parametrize("wrong", [{"steps": -1}, {"test_steps": -2}, {"inner_lr": 0.0}, {"test_inner_lr": -0.1}])
def test_settings_of_the_inner_loop_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(
        RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*steps must be at least 0, learning rates above"
    ):
        learner("maml", **wrong)


@pytest.mark.parametrize("ways", [2, 4])
def test_tasks_of_other_ways_than_the_head_are_refused(learner, episodes, ways) -> None:
    task = episodes(ways=ways)[0]
    with pytest.raises(RobustMetaError, match=f"a support of {ways} ways was given to a MAML whose head has 3"):
        learner("maml").adapt(task.support_x, task.support_y)


@pytest.mark.parametrize("norm", POLICIES)
@pytest.mark.parametrize("training", [True, False])
def test_tasks_in_one_pass_are_as_one_after_another(learner, batch, norm, training) -> None:
    made = {}
    for engine in ("loop", "vectorized"):
        maml = learner("maml", norm, steps=2, engine=engine).double()
        for block in maml.network.backbone.blocks:
            block.running_var.fill_(0.3)
        maml.train(training)
        classifier = maml.adapt(batch.support_x, batch.support_y)
        queries = batch.query_x.clone().requires_grad_()
        logits = classifier(queries)
        gradients = torch.autograd.grad(
            logits.square().sum(), [queries, *(maml.parameters() if training else ())], allow_unused=True
        )
        picked = classifier.detach().select([2, 0])(batch.query_x[[2, 0]])
        averages = [buffer.clone() for buffer in maml.buffers()]
        made[engine] = [logits, picked, *averages, *(g for g in gradients if g is not None)]
    assert len(made["loop"]) == len(made["vectorized"])
    for one_after_another, one_pass in zip(made["loop"], made["vectorized"], strict=True):
        torch.testing.assert_close(one_pass, one_after_another)


def test_which_engine_is_meant_must_be_known_and_possible(learner, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RobustMetaError, match="did you mean 'vectorized'"):
        learner("maml", "group", engine="vectorised")
    monkeypatch.setattr(Conv4, "takes_task_weights", False)
    with pytest.raises(RobustMetaError, match="Conv4 cannot take weights of many tasks at once; use engine: loop"):
        learner("maml", "group", engine="vectorized")


def test_on_a_cpu_tasks_go_one_after_another_unless_asked(learner, batch) -> None:
    maml = learner("maml", "group").double()
    assert not maml.adapt(batch.support_x, batch.support_y).together
