"""The threat's geometry, and `craft` holding attacks to their word."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from robustmeta.attacks.base import Threat, craft, uniform
from robustmeta.draws import redrawn
from robustmeta.errors import RobustMetaError


class Returns:
    """An attack that returns whatever it is told to."""

    def __init__(self, threat: Threat, moved: Tensor) -> None:
        self.threat, self.moved = threat, moved

    def __call__(self, classifier: object, images: Tensor, labels: Tensor, seeds: object = None) -> Tensor:
        return self.moved


@given(
    norm=st.sampled_from(["Linf", "L2"]),
    eps=st.floats(0, 1),
    reach=st.floats(0, 10),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_projection_is_inside_and_leaves_the_inside_alone(norm: str, eps: float, reach: float, seed: int) -> None:
    threat = Threat(norm, eps)
    g = torch.Generator().manual_seed(seed)
    images = torch.rand(2, 3, 1, 4, 4, generator=g).round()
    moved = threat.project(images + reach * torch.randn(images.shape, generator=g), images)
    assert (threat.size(moved - images) <= eps + 1e-6).all()
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert torch.allclose(threat.project(moved, images), moved, atol=1e-6)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_an_image_that_is_not_finite_is_a_failed_attack(bad: float) -> None:
    images = torch.full((2, 2, 1, 3, 3), 0.5)
    moved = images + 0.3
    moved[0, 1, 0, 2, 2] = bad
    crafted = craft(Returns(Threat("Linf", 0.1), moved), None, images, torch.zeros(2, 2).long())
    assert torch.equal(crafted[0, 1], images[0, 1])
    assert torch.allclose(crafted[0, 0], torch.tensor(0.6))
    assert torch.allclose(crafted[1], torch.tensor(0.6))


def test_what_is_crafted_is_detached_and_gradients_are_on_inside() -> None:
    class Asks(Returns):
        def __call__(self, *arguments: object) -> Tensor:
            assert torch.is_grad_enabled()
            return self.moved.requires_grad_()

    images = torch.zeros(1, 1, 1, 3, 3)
    with torch.no_grad():
        assert not craft(Asks(Threat(), images + 1), None, images, torch.zeros(1, 1).long()).requires_grad


def test_a_tasks_stream_is_its_own() -> None:
    like = torch.zeros(3, 2, 1, 4, 4)
    draws = uniform(like, [5, 6, 7])
    assert torch.equal(uniform(like, [7, 5, 6]), draws[[2, 0, 1]])
    assert torch.equal(uniform(like[:1], [6])[0], draws[1])
    assert not torch.equal(draws[0], draws[1])


@pytest.mark.parametrize(
    ("norm", "eps", "part"),
    [("linf", 0.1, "did you mean 'Linf'"), ("Linf", 8, "8/255"), ("L2", -1, "pixel"), ("Linf", torch.nan, "nan")],
)
def test_a_wrong_threat_is_refused(norm: str, eps: float, part: str) -> None:
    with pytest.raises(RobustMetaError, match=part):
        Threat(norm, eps)


def test_every_draw_of_a_task_is_another_and_hangs_on_its_seed() -> None:
    like = torch.zeros(2, 40)
    draws = [uniform(like, redrawn([3, 4], number)) for number in range(64)]
    flat = torch.cat(draws)
    assert len(flat.unique(dim=0)) == len(flat)
    assert torch.equal(draws[0], uniform(like, [3, 4]))
    assert torch.equal(draws[5][1:], uniform(like[1:], redrawn([4], 5)))
    assert redrawn(None, 5) is None


@pytest.mark.parametrize(
    ("norm", "eps", "fits"), [("L2", 128, False), ("L2", 28.1, False), ("L2", 28, True), ("Linf", 1, True)]
)
def test_no_two_images_are_farther_apart_than_the_range(norm, eps, fits) -> None:
    threat = Threat(norm, eps)
    if fits:
        threat.check((1, 28, 28))
    else:
        with pytest.raises(RobustMetaError, match=r"images of 1x28x28 are at most 28 apart"):
            threat.check((1, 28, 28))
