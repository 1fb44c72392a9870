"""ProtoNet against numbers worked by hand and torch.cdist."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from robustmeta.learners.protonet import class_means, squared_distance_logits


def test_prototypes_by_hand_with_uneven_shots() -> None:
    features = torch.tensor(
        [[[1.0, 2.0], [3.0, 4.0], [0.0, 0.0], [5.0, 9.0]], [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]]
    )
    labels = torch.tensor([[0, 0, 1, 0], [1, 0, 1, 1]])
    assert class_means(features, labels).tolist() == [
        [[3.0, 5.0], [0.0, 0.0]],
        [[2.0, 2.0], [pytest.approx(8 / 3), pytest.approx(8 / 3)]],
    ]


def test_logits_by_hand() -> None:
    prototypes = torch.tensor([[[3.0, 5.0], [0.0, 0.0]]])
    queries = torch.tensor([[[3.0, 5.0], [1.0, 1.0], [0.0, 0.0]]])
    assert squared_distance_logits(queries, prototypes).tolist() == [[[0.0, -34.0], [-20.0, -2.0], [-34.0, 0.0]]]


@given(
    tasks=st.integers(1, 3),
    queries=st.integers(1, 5),
    ways=st.integers(1, 6),
    size=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_logits_are_minus_cdist_squared(tasks, queries, ways, size, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    features = 10 * torch.rand(tasks, queries, size, generator=generator, dtype=torch.float64)
    prototypes = 10 * torch.rand(tasks, ways, size, generator=generator, dtype=torch.float64)
    expected = -(torch.cdist(features, prototypes, compute_mode="donot_use_mm_for_euclid_dist") ** 2)
    torch.testing.assert_close(squared_distance_logits(features, prototypes), expected)


def test_near_one_another_far_from_zero_distances_keep_their_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    features, prototypes = (torch.rand(2, 5, 800, generator=generator) / 100 + 1 for _ in range(2))
    expected = -(torch.cdist(features.double(), prototypes.double()) ** 2)
    # float32 keeps 7 digits; squares of 800 apart from distances of 0.01 would leave two of them.
    torch.testing.assert_close(squared_distance_logits(features, prototypes).double(), expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_adaptation_is_class_means_of_features_whatever_the_order_of_the_support(learner, batch, training) -> None:
    made = learner("protonet", "group").double().train(training)
    order = torch.tensor([3, 0, 5, 1, 2])  # one image of class 2 is left out: uneven shots
    x, y = batch.support_x[:, order], batch.support_y[:, order]
    classifier = made.adapt(x, y)
    for task in range(3):
        features = made.backbone(x[task : task + 1]).features[0]
        queries = made.backbone(batch.query_x[task : task + 1]).features[0]
        means = torch.stack([features[y[task] == label].mean(0) for label in range(3)])
        torch.testing.assert_close(classifier.state.means[task], means)
        torch.testing.assert_close(classifier(batch.query_x)[task], -(torch.cdist(queries, means) ** 2))


def test_its_gradient_is_that_of_the_formula(learner, batch) -> None:
    made = learner("protonet", "group").double()
    gradients = torch.autograd.grad(made.loss(batch), list(made.parameters()))
    total = torch.zeros((), dtype=torch.float64)
    for task in range(3):
        features = made.backbone(batch.support_x[task : task + 1]).features[0]
        queries = made.backbone(batch.query_x[task : task + 1]).features[0]
        means = features.view(3, 2, -1).mean(1)  # labels come in order, two shots each
        logits = -(queries[:, None] - means).square().sum(-1)
        total = total - logits.log_softmax(-1).gather(1, batch.query_y[task][:, None]).mean() / 3
    for got, expected in zip(gradients, torch.autograd.grad(total, list(made.parameters())), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


def test_more_ways_than_in_training_need_no_new_weights(learner, episodes) -> None:
    task = episodes(ways=9, shots=1)[0]
    assert learner("protonet").adapt(task.support_x, task.support_y)(task.query_x).shape == (1, 27, 9)
