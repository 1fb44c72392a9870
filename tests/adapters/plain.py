"""What the tests of adapters share: small networks, and the adversarial outer loss written out task by task."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from robustmeta.batch import EpisodeBatch

EPS = 0.05
Logits = Callable[[Tensor], Tensor]


def features() -> nn.Sequential:
    """Images `[N, 1, 16, 16]` to features `[N, 100]`, smooth, in float64, each image by itself."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=3), nn.Tanh(), nn.Flatten()).double()


def network(batch_norm: bool = False) -> nn.Sequential:
    """Images to logits of 3 ways; with `batch_norm`, through BatchNorm and dropout too."""
    leaning = [nn.BatchNorm2d(4), nn.Dropout(0.3)] if batch_norm else []
    made = features()
    return nn.Sequential(made[0], *leaning, nn.Tanh(), nn.Flatten(), nn.Linear(100, 3)).double()


def adversarial_loss(batch: EpisodeBatch, adapted: Callable[[Tensor, Tensor], Logits]) -> Tensor:
    """Adversarial querying with the fast gradient sign method: the mean over tasks of the loss at x + eps sign(g).

    adapted: the support `[N, C, H, W]` and labels `[N]` of one task to a function from queries to logits.
    """
    losses = []
    for support_x, support_y, images, labels in zip(
        batch.support_x, batch.support_y, batch.query_x, batch.query_y, strict=True
    ):
        logits = adapted(support_x, support_y)
        x = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits(x), labels), x, retain_graph=True)
        losses.append(F.cross_entropy(logits((images + EPS * gradient.sign()).clamp(0, 1)), labels))
    return torch.stack(losses).mean()


def maml(net: nn.Module, steps: int, rate: float, moves: str = "", first_order: bool = False) -> Callable:
    """The inner loop by hand: `steps` gradient steps on the weights whose names begin with `moves`."""

    def adapted(support_x: Tensor, support_y: Tensor) -> Logits:
        weights = {name: weight for name, weight in net.named_parameters() if name.startswith(moves)}
        for _ in range(steps):
            loss = F.cross_entropy(functional_call(net, weights, (support_x,)), support_y)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=not first_order)
            weights = {
                name: weight - rate * gradient
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True)
            }
        return lambda x: functional_call(net, weights, (x,))

    return adapted


def means(net: nn.Module) -> Callable:
    """Minus the distance to the class means, by hand."""

    def adapted(support_x: Tensor, support_y: Tensor) -> Logits:
        centres = [net(support_x[support_y == label]).mean(0) for label in range(3)]
        return lambda x: -torch.stack([(net(x) - centre).square().sum(1).sqrt() for centre in centres], dim=1)

    return adapted


def gradients(loss: Tensor, net: nn.Module) -> list[Tensor]:
    """The gradients of a loss at the parameters of a network, all of which it must reach."""
    found = torch.autograd.grad(loss, list(net.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in found)
    return list(found)


def agree(robust: nn.Module, net: nn.Module, batch: EpisodeBatch, adapted: Callable[[Tensor, Tensor], Logits]) -> None:
    """Whether a learner's loss is the one by hand, and leaves its gradient at every parameter of the network."""
    expected = adversarial_loss(batch, adapted)
    wanted = gradients(expected, net)
    loss = robust.train().loss(batch)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close([parameter.grad for parameter in net.parameters()], wanted)
    assert {id(parameter) for parameter in robust.parameters()} == {id(parameter) for parameter in net.parameters()}
    for parameter in net.parameters():
        parameter.grad = None
