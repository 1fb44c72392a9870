"""What the audit asks of a few adapted classifiers, on their clean queries, before they are attacked."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from robustmeta.audit.gradients import ask_gradients
from robustmeta.audit.purity import ask_again, backward_calls
from robustmeta.audit.snapshot import Snapshot
from robustmeta.batch import EpisodeBatch
from robustmeta.learners.base import Classifier

PROBED = 8
"""The first episodes of an evaluation are probed: enough for a median over some hundred queries."""


def probe(classifier: Classifier, batch: EpisodeBatch) -> dict[str, np.ndarray]:
    """The evidence of G01, G02, G05 to G10 by its keys, each `[T, ...]`; about a dozen forward passes.

    Random numbers, modes, buffers and gradients are as before afterwards. What cannot be asked, as the gradient of a
    classifier without a graph, is evidence too (G01), or left out.
    """
    before = Snapshot(classifier)
    try:
        with _full_precision():
            with torch.no_grad(), backward_calls() as calls:
                logits = classifier(batch.query_x)
            evidence = {"G09": torch.full((batch.tasks,), bool(calls))}
            evidence |= ask_again(classifier, batch.query_x, logits)
            before.restore()
            evidence |= ask_gradients(classifier, batch.query_x, batch.query_y, logits)
    finally:
        before.restore()
    return {key: found.cpu().numpy() for key, found in evidence.items()}


@contextmanager
def _full_precision() -> Iterator[None]:
    """Within it, convolutions on a GPU do not round to TF32, by other algorithms for other batches."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
