"""Linear heads, one a task, and gradient descent on them: what learns a new task when the features stay."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Heads(NamedTuple):
    """A linear head for each task: weights `[T, ways, D]` and biases `[T, ways]`."""

    weight: Tensor
    bias: Tensor


def head_logits(heads: Heads, features: Tensor) -> Tensor:
    """Logits W f + b, `[T, Q, ways]`, of features `[T, Q, D]`."""
    return features @ heads.weight.mT + heads.bias[:, None]


def descended(heads: Heads, features: Tensor, labels: Tensor, steps: int, lr: float, decay: float = 0.0) -> Heads:
    """The heads after gradient descent on the mean cross-entropy of features `[T, N, D]` with labels `[T, N]`.

    W <- W - lr (mean of (p - y) f^T + decay W), where p is the softmax of W f + b: the gradient written out, so that
    the graph, where one is kept, is that of the steps themselves (second order).
    """
    wanted = F.one_hot(labels, heads.weight.shape[1]).to(features.dtype)
    for _ in range(steps):
        wrong = (head_logits(heads, features).softmax(-1) - wanted) / features.shape[1]  # [T, N, ways]
        weight = heads.weight - lr * (wrong.mT @ features + decay * heads.weight)
        heads = Heads(weight, heads.bias - lr * wrong.sum(1))
    return heads
