"""Gaussian-noise training: the noise is Gaussian, each image's own, and the loss is taken on it."""

import pytest
import torch
import torch.nn.functional as F

from robustmeta.defenses import GaussianNoise
from robustmeta.errors import RobustMetaError


def test_the_loss_is_taken_on_noisy_queries_outside_the_pixel_range(learner, batch) -> None:
    inner = learner().double()
    wrapped = GaussianNoise(inner, sigma=0.5)
    noisy = wrapped.noisy(batch.query_x)
    assert noisy.min() < 0
    assert noisy.max() > 1
    logits = inner.adapt(batch.support_x, batch.support_y)(noisy)
    torch.testing.assert_close(wrapped.loss(batch), F.cross_entropy(logits.flatten(0, 1), batch.query_y.flatten()))


def test_the_noise_has_its_standard_deviation_and_no_two_images_share_it(learner) -> None:
    images = torch.full((3, 40, 1, 16, 16), 0.5)
    images[1:] += 0.01 * torch.arange(2)[:, None, None, None, None] + 0.01
    noise = (GaussianNoise(learner(), sigma=0.3).noisy(images) - images).flatten(2)
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().abs() < 0.01
    assert torch.corrcoef(noise.flatten(0, 1)).fill_diagonal_(0).abs().max() < 0.4


def test_clipped_noise_stays_in_the_pixel_range(learner, batch) -> None:
    noisy = GaussianNoise(learner(), sigma=0.5, clip=True).noisy(batch.query_x)
    assert (noisy.min(), noisy.max()) == (0, 1)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan")])
def test_a_sigma_that_is_none(learner, sigma) -> None:
    with pytest.raises(RobustMetaError, match=r"sigma is .*; it is a standard deviation in pixel units, above 0"):
        GaussianNoise(learner(), sigma=sigma)
