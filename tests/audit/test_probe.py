"""The numbers a probe takes, on classifiers where they are known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from robustmeta.audit import Snapshot, probe
from robustmeta.audit.purity import backward_calls
from robustmeta.batch import EpisodeBatch
from robustmeta.learners import Classifier


class Linear(Classifier):
    """Logits x w^T of the flat image; the margin of a query has the same gradient everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight, self.ways = weight, len(weight)

    def forward(self, query_x):
        assert query_x.min() >= 0
        assert query_x.max() <= 1
        return query_x.flatten(-3) @ self.weight.T

    def detach(self):
        return self

    def select(self, tasks):
        return self


@pytest.fixture
def tasks() -> EpisodeBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, 8, 1, 3, 3, generator=generator, dtype=torch.float64)
    images[..., 0, 0], images[..., 2, 2] = 0, 1
    labels = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]] * 2)
    return EpisodeBatch(images, labels, images, labels)


def test_a_linear_classifier_is_what_it_is(tasks) -> None:
    weight = torch.randn(2, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seen = probe(Linear(weight), tasks)
    gap = ((tasks.query_x.flatten(-3) @ (weight[1] - weight[0])).abs()).numpy()
    assert np.allclose(seen["G02/gap"], gap)
    # Inside [0, 1] the margin moves by 2 h ||w1 - w0||_1; by half at a pixel that is 0 or 1.
    promised = np.full((2, 8), 2e-3 * (weight[1] - weight[0]).abs().sum().item())
    assert np.allclose(seen["G10/promised"], promised, rtol=0.5)
    assert np.allclose(seen["G10/measured"], seen["G10/promised"])
    assert not any(
        seen[key].any() for key in ("G01", "G02", "G05", "G09", "G06", "G08/graph", "G08/detach", "G08/train")
    )
    assert all(seen[key].max() < 1e-12 for key in ("G07", "G08/eval"))
    assert all(len(values) == 2 for values in seen.values())


def test_each_query_is_judged_by_itself(tasks) -> None:
    class Flat(Linear):
        """Has no gradient at the first query of the second task, NaN at the fifth, and a huge one at the last."""

        def forward(self, query_x):
            x = query_x.clone()
            if x.shape[:2] == (2, 8):
                x[1, 0] = x[1, 0].detach()
                x[1, 4] = x[1, 4] + 0 * (x[1, 4] - x[1, 4].detach()).sqrt()
                x[1, 7] = x[1, 7] + 1e9 * (x[1, 7] - x[1, 7].detach())
            return super().forward(x)

    seen = probe(Flat(torch.eye(2, 9, dtype=torch.float64)), tasks)
    assert np.argwhere(seen["G01"]).tolist() == [[1, 0], [1, 4]]
    ratio = seen["G10/measured"] / np.where(seen["G10/promised"] == 0, np.nan, seen["G10/promised"])
    assert ratio[1, 7] == pytest.approx(0, abs=1e-6)
    assert np.allclose(ratio[0], 1)


def test_a_classifier_without_a_graph_can_still_be_probed(tasks) -> None:
    class Detached(Linear):
        def forward(self, query_x):
            return super().forward(query_x.detach())

    seen = probe(Detached(torch.eye(2, 9, dtype=torch.float64)), tasks)
    assert seen["G01"].all()
    assert "G10/measured" not in seen


def test_a_classifier_that_cannot_be_asked_alone_depends_on_company(tasks) -> None:
    class Fixed(Linear):
        def forward(self, query_x):
            return super().forward(query_x.view(2, 8, 1, 3, 3))

    assert np.isinf(probe(Fixed(torch.eye(2, 9, dtype=torch.float64)), tasks)["G07"]).all()


def test_a_place_in_the_batch_that_is_not_asked_alone_is_asked_in_another_order(tasks) -> None:
    class Placed(Linear):
        def forward(self, query_x):
            logits = super().forward(query_x)
            if logits.shape[1] == 8:
                logits[:, 1, 0] += 1
            return logits

    assert probe(Placed(torch.eye(2, 9, dtype=torch.float64)), tasks)["G07"].min() > 0.01


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_probing_leaves_no_trace(tasks, noise) -> None:
    class Stateful(Linear):
        def __init__(self, weight):
            super().__init__(weight)
            self.norm = nn.BatchNorm1d(2).double()
            self.norm.eval()

        def train(self, mode=True):
            return nn.Module.train(self, mode)

        def forward(self, query_x):
            logits = super().forward(query_x) + noise * torch.rand(())
            return self.norm(logits.flatten(0, 1)).view_as(logits)

    classifier = Stateful(torch.eye(2, 9, dtype=torch.float64))
    before = Snapshot(classifier)
    seen = probe(classifier, tasks)
    assert seen["G08/train"].max() > 0.1
    assert (seen["G06"].max() > 0.01) == bool(noise)
    assert before.changed() == ""


def test_gradients_are_counted_by_any_route() -> None:
    from torch.autograd import grad

    x = torch.ones(2, requires_grad=True)
    routes = [
        lambda: grad(x.sum(), x),
        lambda: x.sum().backward(),
        lambda: torch.autograd.functional.jacobian(torch.sin, x),
        lambda: torch.func.grad(lambda y: y.sum())(torch.ones(2)),
    ]
    for route in routes:
        with backward_calls() as calls:
            x.sum()
            assert not calls
            route()
        assert calls
    with backward_calls() as calls:
        pass
    x.sum().backward()
    assert not calls
