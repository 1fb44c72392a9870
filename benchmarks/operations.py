"""Counted operations of the attack loop, and the rate at which the machine multiplies matrices."""

import torch

from benchmarks.clock import now
from benchmarks.setting import Setting

SIDE = 1536
"""Of the square matrices whose product is timed: 2 * 1536^3 = 7.2 GFLOP."""
RATE_TYPES = (torch.float32, torch.bfloat16, torch.float16)


def forward_flops(setting: Setting) -> int:
    """Floating point operations of one image's forward pass, a multiplication and an addition being two.

    Convolutions, 2 * 9 * C_in * C_out * H * W each, and the last linear layer, 2 * D * ways (for ProtoNet the product
    of features and prototypes). Normalization, ReLU, pooling and the attack's own arithmetic are not counted.
    """
    total, channels, side = 0, setting.channels, setting.size
    for _ in range(4):
        total += 2 * 9 * channels * setting.width * side * side
        channels, side = setting.width, side // 2
    return total + 2 * channels * side * side * setting.ways


def attack_flops(setting: Setting, queries: int, extra_forwards: int = 0) -> int:
    """Operations of an attack on `queries` images in all.

    Each step is a forward pass and the gradient by the image, which costs as much: every layer's input gradient is a
    product of the size of its forward one, and no weight's gradient is needed.
    """
    return queries * forward_flops(setting) * (2 * setting.attack_steps + extra_forwards)


def matrix_rate(dtype: torch.dtype, threads: int, repeats: int = 3, device: str = "cpu", side: int = SIDE) -> float:
    """GFLOP/s of a product of square matrices, the best of `repeats`; the number of threads is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        a, b = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
        out, seconds = torch.mm(a, b), []
        for _ in range(repeats):
            begun = now()
            torch.mm(a, b, out=out)
            seconds.append(now() - begun)
    finally:
        torch.set_num_threads(before)
    return float(2 * side**3 / min(seconds) / 1e9)
