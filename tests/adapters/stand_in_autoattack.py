"""A stand-in for the original AutoAttack package (fra31/auto-attack), which is on no package index.

It calls the model as `autoattack.py`, `checks.py`, `autopgd_base.py` and `fab_pt.py` do, at far fewer steps: without
gradients to check it and to score; traced, to see whether it is dynamic; on what images are left, down to one; with
`torch.autograd.grad` in APGD, and with `.backward(retain_graph=True)`, logit by logit, in FAB.
"""

import sys
from types import FrameType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AutoAttack:
    """As the original's: `AutoAttack(model, norm, eps, version).run_standard_evaluation(x, y, bs)`."""

    def __init__(
        self, model: nn.Module, norm: str = "Linf", eps: float = 0.3, version: str = "standard", device: str = "cpu"
    ) -> None:
        assert norm == "Linf"
        assert version == "standard"
        self.model, self.epsilon, self.device = model, eps, device
        self.flags: list[str] = []

    def run_standard_evaluation(self, x_orig: Tensor, y_orig: Tensor, bs: int = 250) -> Tensor:
        self._check(x_orig[:bs].to(self.device), y_orig[:bs].to(self.device))
        with torch.no_grad():
            robust = torch.cat([self.model(x).max(dim=1)[1] for x in x_orig.clone().split(bs)]) == y_orig
            x_adv = x_orig.clone().detach()
            for attack in (self._apgd, self._fab):
                if not robust.any():
                    break
                for left in robust.nonzero()[:, 0].split(bs):
                    moved = attack(x_orig[left].clone(), y_orig[left].clone())
                    wrong = self.model(moved).max(dim=1)[1] != y_orig[left]
                    robust[left[wrong]] = False
                    x_adv[left[wrong]] = moved[wrong].detach()
        return x_adv

    def _check(self, x: Tensor, y: Tensor) -> None:
        with torch.no_grad():
            outputs = [self.model(x) for _ in range(5)]
        if any((output - outputs[0]).norm(dim=1).max() > 1e-4 for output in outputs):
            self.flags.append("randomized")
        if outputs[0].min() >= 0 and ((outputs[0].sum(-1) - 1).abs() < 1e-5).all():
            self.flags.append("probabilities")
        names = []

        def trace(frame: FrameType, event: str, argument: Any) -> None:
            names.append(frame.f_code.co_name)

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            self.model(x)
        finally:
            sys.settrace(before)
        if {"grad", "backward", "_make_grads"} & set(names):
            self.flags.append("dynamic")

    def _apgd(self, x: Tensor, y: Tensor) -> Tensor:
        x_adv = (x + self.epsilon * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
        for _ in range(5):
            x_adv.requires_grad_()
            with torch.enable_grad():
                loss = F.cross_entropy(self.model(x_adv), y, reduction="none").sum()
            gradient = torch.autograd.grad(loss, [x_adv])[0].detach()
            x_adv = x_adv.detach() + self.epsilon / 2 * gradient.sign()
            x_adv = torch.min(torch.max(x_adv, x - self.epsilon), x + self.epsilon).clamp(0, 1)
        return x_adv

    def _fab(self, x: Tensor, y: Tensor) -> Tensor:
        image = x.clone().requires_grad_()
        with torch.enable_grad():
            logits = self.model(image)
        slopes = []
        for column in range(logits.shape[-1]):
            image.grad = None
            logits.backward(F.one_hot(torch.full_like(y, column), logits.shape[-1]).to(logits), retain_graph=True)
            slopes.append(image.grad.clone())
        per_class = torch.stack(slopes, dim=1)
        rows = torch.arange(len(y))
        others = logits.detach().clone()
        others[rows, y] = -torch.inf
        towards = per_class[rows, others.argmax(1)] - per_class[rows, y]
        return (x + self.epsilon * towards.sign()).clamp(0, 1)
