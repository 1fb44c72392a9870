"""Matching networks by hand, with loops over queries and support, and with torch's own LSTM."""

import pytest
import torch
from torch import Tensor, nn

from robustmeta.errors import RobustMetaError
from robustmeta.learners.matching import attention_logits

UNEVEN = torch.tensor([3, 0, 5, 1, 2])
"""Of two images a class, one of class 2 is left out, and they are out of order."""


def test_attention_by_hand() -> None:
    scores = torch.tensor([[[2.0, 1.0, 0.0]]]).log_softmax(-1)
    members = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    weights = torch.tensor([2.0, 1.0, 0.0]).exp()
    expected = torch.tensor([weights[0] + weights[2], weights[1]]) / weights.sum()
    torch.testing.assert_close(attention_logits(scores, members).exp()[0, 0], expected)


def by_loops(scale: Tensor, embedded: Tensor, support: Tensor, labels: Tensor) -> Tensor:
    """Log-probabilities `[Q, 3]` of one task, pair after pair."""
    rows = []
    for f in embedded:
        weights = [torch.exp(scale * (f @ g) / (f.norm() * g.norm())) for g in support]
        of_class = [sum(w for w, label in zip(weights, labels, strict=True) if label == way) for way in range(3)]
        rows.append(torch.stack([torch.log(part / sum(weights)) for part in of_class]))
    return torch.stack(rows)


@pytest.mark.parametrize("training", [True, False])
def test_logits_are_logs_of_the_attention_to_each_class(learner, batch, training) -> None:
    made = learner("matching", "group", scale=3.0).double().train(training)
    x, y = batch.support_x[:, UNEVEN], batch.support_y[:, UNEVEN]
    logits = made.adapt(x, y)(batch.query_x)
    for t in range(3):
        support, queries = (made.backbone(images[t : t + 1]).features[0] for images in (x, batch.query_x))
        torch.testing.assert_close(logits[t], by_loops(torch.tensor(3.0), queries, support, y[t]))
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(3, 9, dtype=torch.float64))


def bidirectional(made: nn.Module, inputs: Tensor) -> Tensor:
    """What torch's own bidirectional LSTM of the same weights says of inputs `[N, D]`: both outputs, summed."""
    size = inputs.shape[-1]
    lstm = nn.LSTM(size, size, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for cell, ending in ((made.forth, ""), (made.back, "_reverse")):
            for name, weight in cell.named_parameters():
                getattr(lstm, f"{name}_l0{ending}").copy_(weight)
    return lstm(inputs[None])[0][0].unflatten(-1, (2, size)).sum(1)


def test_in_full_context_support_and_queries_are_embedded_by_lstms(learner, batch) -> None:
    made = learner("matching", "group", full_context=True, reads=2).double().eval()
    classifier = made.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    order = torch.rand(6, generator=torch.Generator().manual_seed(0), dtype=torch.float32).double().argsort()
    for t in range(3):
        read, queries = (
            made.backbone(images[t : t + 1]).features[0] for images in (batch.support_x[:, order], batch.query_x)
        )
        support = bidirectional(made, read) + read
        torch.testing.assert_close(classifier.state.embedded[t], support)
        hidden, memory = queries, torch.zeros_like(queries)
        for _ in range(2):
            attended = torch.stack([(support @ h).softmax(0) @ support for h in hidden])
            said, memory = made.attending(torch.cat([queries, attended], -1), (hidden, memory))
            hidden = said + queries
        torch.testing.assert_close(logits[t], by_loops(made.scale, hidden, support, batch.support_y[t][order]))


def test_a_query_that_is_a_support_image_goes_to_its_class(learner, batch) -> None:
    made = learner("matching", "group", scale=1000.0).double().eval()
    logits = made.adapt(batch.support_x, batch.support_y)(batch.support_x)
    assert torch.equal(logits.argmax(-1), batch.support_y)
    assert logits.isfinite().all()


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"scale": -1.0}, {"reads": 0}])
def test_settings_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*scale must be above 0, reads at least 1"):
        learner("matching", **wrong)
