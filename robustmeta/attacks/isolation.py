"""Running someone else's attack code so that nothing but its result remains."""

import io
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import numpy as np
import torch
from torch import Tensor, nn

from robustmeta.attacks.random_state import RandomState
from robustmeta.learners.base import Classifier

# Random generators and stdout belong to the whole process: two threads that set them at once would mix them up.
_ONE_AT_A_TIME = threading.RLock()


class FrozenTask(nn.Module):
    """One task's classifier as attack libraries like it: images `[B, C, H, W]` to logits `[B, ways]`.

    The logits of an image are shifted so that the least is 1, which no softmax, margin or DLR loss can see; attacks
    that take the wrong logits' maximum by masking with zeros do nothing where all logits are negative, as minus
    distances are, and stray where the wrong one is 0. The weights are detached, the mode is fixed, and there is one
    empty parameter that does not train, by which libraries find the device.
    """

    def __init__(self, classifier: Classifier, index: int, device: torch.device) -> None:
        super().__init__()
        self.probe = nn.Parameter(torch.empty(0, device=device), requires_grad=False)
        self.classifier = classifier.detach().task(index)
        self.ways = classifier.ways
        self.training = False

    def forward(self, images: Tensor) -> Tensor:
        """Shifted logits `[B, ways]` of images `[B, C, H, W]`."""
        logits: Tensor = self.classifier(images)
        return logits - (logits.detach().amin(-1, keepdim=True) - 1)

    def train(self, mode: bool = True) -> "FrozenTask":
        """Returns itself unchanged: the mode is fixed."""
        return self


@contextmanager
def isolated(module: nn.Module, seed: int) -> Iterator[None]:
    """Within it, torch's, numpy's and Python's random numbers start from `seed`, gradients are on, stdout is silent.

    After it, also after an exception, all of that is as before, and so is everything `module` registers: the
    mode of each submodule, buffers, `requires_grad` and `grad`. Threads take turns.
    """
    with drawing_from(seed), _kept(module), redirect_stdout(io.StringIO()), torch.enable_grad():
        yield


@contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Within it, torch's, numpy's and Python's random numbers start from `seed`; threads take turns."""
    with _ONE_AT_A_TIME:
        before = RandomState()
        try:
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002 - it is what other people's code draws from
            yield
        finally:
            before.restore()


@contextmanager
def _kept(module: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in module.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in module.parameters()]
    try:
        for parameter, _, _ in parameters:
            parameter.requires_grad_(False)
        with untracked(module):
            yield
    finally:
        for part, training in modes:
            part.training = training
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


@contextmanager
def untracked(module: nn.Module) -> Iterator[None]:
    """Within it a module may adapt and classify; after it, the running averages and other buffers are as before."""
    before = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, was in before:
            if not torch.equal(buffer, was):  # writing would needlessly invalidate graphs that hold it
                buffer.copy_(was)
