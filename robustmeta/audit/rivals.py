"""S09, S10, S12: attacks that use no gradient of the learner, held against those that do."""

from collections.abc import Iterator

from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.torchattacks_adapter import TorchAttack
from robustmeta.audit.finding import Finding, counted
from robustmeta.audit.inquiry import Inquiry
from robustmeta.audit.strength import GRADIENT_FREE, MISSED

NOISES = 100
"""Random points a query: nothing to a defense that works."""

QUERIES = 500
"""Queries of Square: a tenth of the reference's, which is most of what it finds."""


def noise(inquiry: Inquiry) -> Iterator[Finding]:
    """S09: random points fool queries that gradients do not, so gradients lead astray."""
    right = inquiry.trial.right(UniformNoise(inquiry.threat, NOISES))
    if right is not None:
        what = f"queries fooled by the best of {NOISES} random points that no gradient fooled"
        yield counted("S09", "", inquiry.trial.missed(right), right.numel(), what, warn=0, fail=MISSED)


def black_box(inquiry: Inquiry) -> Iterator[Finding]:
    """S10: a search that sees only logits fools queries that gradients do not."""
    square = TorchAttack("Square", inquiry.threat, {"n_queries": QUERIES, "loss": "margin"})
    right = inquiry.trial.right(square)
    if right is not None:
        what = f"queries fooled by Square in {QUERIES} queries that no gradient fooled"
        missed = inquiry.trial.missed(right)
        yield counted("S10", "", missed, right.numel(), what, warn=GRADIENT_FREE, fail=MISSED)


def transfer(inquiry: Inquiry) -> Iterator[Finding]:
    """S12: images crafted on the undefended twin fool queries that the learner's own gradients do not."""
    if inquiry.twin is None:
        return
    # To the highest margin: what barely fools the twin seldom fools another.
    right = inquiry.trial.right(inquiry.reference(until_fooled=False), on=inquiry.twin)
    if right is not None:
        what = "queries fooled by images crafted on the twin that no gradient fooled"
        missed = inquiry.trial.missed(right)
        yield counted("S12", "", missed, right.numel(), what, warn=GRADIENT_FREE, fail=MISSED)
