"""Random numbers of tasks: each from its own stream, the same again, and in training a matter of the images alone."""

import torch

from robustmeta.draws import Draws, seeds_of


def test_a_stream_is_torchs_own_of_that_seed_and_goes_on():
    draws = Draws(torch.zeros(2, 1), [3, 4])
    first, second = draws.normal(2, 2), draws.uniform(3)
    for task, seed in enumerate((3, 4)):
        torch.manual_seed(seed)
        assert torch.equal(first[task], torch.randn(2, 2))
        assert torch.equal(second[task], torch.rand(3))


def test_orders_are_permutations_of_each_tasks_own():
    orders = Draws(torch.zeros(20, 1), range(20)).orders(6)
    assert orders.shape == (20, 6)
    assert torch.equal(orders.sort(dim=1).values, torch.arange(6).expand(20, 6))
    assert len({tuple(order) for order in orders.tolist()}) > 15


def test_in_training_seeds_hang_on_a_tasks_images_and_nothing_else(batch):
    images = batch.support_x
    seeds = seeds_of(images, training=True)
    assert len(set(seeds)) == len(images)
    assert seeds_of(images.flip(0), training=True) == seeds[::-1]
    assert seeds_of(images[:1].clone().requires_grad_(), training=True) == seeds[:1]
    moved = images.clone()
    moved[1, 0, 0, 0, 0] += 0.25
    assert [a == b for a, b in zip(seeds_of(moved, training=True), seeds, strict=True)] == [True, False, True]


def test_in_evaluation_all_tasks_draw_alike(batch):
    assert seeds_of(batch.support_x, training=False) == [0, 0, 0]
