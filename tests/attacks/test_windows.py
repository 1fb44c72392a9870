"""Windows and bumps by hand, and as torchattacks makes them."""

import pytest
import torch
import torchattacks

from robustmeta.attacks.windows import bump, norm, placed, window


def test_a_window_covers_its_square() -> None:
    corner = placed(torch.tensor([[0.0, 0.99], [0.5, 0.0]]), 2, 4, 5)
    assert corner.tolist() == [[0, 2], [1, 0]]
    inside = window(corner, 2, 4, 5)
    assert inside.shape == (2, 1, 1, 4, 5)
    assert inside[0, 0, 0].nonzero().tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
    assert inside[1, 0, 0].nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]


@pytest.mark.parametrize("side", [1, 2, 3, 6, 25])
def test_bumps_are_those_of_torchattacks(side) -> None:
    torch.manual_seed(0)
    turned = torch.rand(1) > 0.5
    torch.manual_seed(0)
    assert torch.allclose(bump(side, turned)[0], torchattacks.Square(torch.nn.Identity()).eta(side), atol=1e-6)
    assert torch.equal(bump(side, ~turned)[0], bump(side, turned)[0].T)
    assert norm(bump(side, turned)[None, None]).item() == pytest.approx(1)
