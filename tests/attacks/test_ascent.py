"""Directions and starts, against norms worked out from their definitions."""

import pytest
import torch

from robustmeta.attacks.ascent import direction, random_start
from robustmeta.attacks.base import Threat

LINF, L2 = Threat("Linf", 0.1), Threat("L2", 1.5)


def gradients(scale: float) -> torch.Tensor:
    return scale * torch.randn(2, 3, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def test_the_direction_is_the_sign_or_the_unit_vector() -> None:
    found = direction(LINF, gradients(1.0))
    assert torch.equal(found, gradients(1.0).sign())
    unit = direction(L2, gradients(1.0))
    flat = gradients(1.0).flatten(2)
    torch.testing.assert_close(unit.flatten(2), flat / flat.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
def test_the_size_of_a_gradient_does_not_matter_even_where_its_square_is_zero(scale) -> None:
    torch.testing.assert_close(direction(L2, gradients(scale)), direction(L2, gradients(1.0)))


def test_no_gradient_is_no_direction() -> None:
    for threat in (LINF, L2):
        assert not direction(threat, torch.zeros(1, 2, 1, 3, 3)).any()


@pytest.mark.parametrize("threat", [LINF, L2])
def test_a_start_is_in_the_ball_and_hangs_on_its_task_s_seed_alone(threat) -> None:
    images = torch.rand(2, 50, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    start = random_start(threat, images, [7, 8])
    size = threat.size(start - images)
    assert size.max() <= threat.eps * (1 + 1e-6)
    assert size.min() > 0
    assert start.min() >= 0
    assert start.max() <= 1
    assert torch.equal(start[1:], random_start(threat, images[1:], [8]))
    assert not torch.equal(start, random_start(threat, images, [7, 9]))
