"""The loss of each defense against the formula of its paper, computed with numpy from logits."""

import numpy as np
import pytest
import torch
from torch import Tensor

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.defenses import (
    ADML,
    RMAML,
    AdversarialSupport,
    LabelSmoothing,
    LongTermCross,
    MartQuerying,
    TradesQuerying,
)
from robustmeta.errors import RobustMetaError

LEARNERS = ("protonet", "maml")


def logits(learner, batch, queries: Tensor, support: Tensor | None = None) -> np.ndarray:
    classifier = learner.adapt(batch.support_x if support is None else support, batch.support_y)
    return classifier(queries).detach().numpy()


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def cross_entropy(z: np.ndarray, y: Tensor) -> float:
    return float(-np.log(np.take_along_axis(softmax(z), y.numpy()[..., None], -1)).mean())


def kl(clean: np.ndarray, attacked: np.ndarray) -> np.ndarray:
    p, q = softmax(clean), softmax(attacked)
    return (p * np.log(p / q)).sum(-1)


@pytest.mark.parametrize("name", LEARNERS)
def test_trades(learner, batch, shift, name) -> None:
    inner = learner(name).double()
    clean, attacked = logits(inner, batch, batch.query_x), logits(inner, batch, shift.held(batch.query_x))
    wanted = cross_entropy(clean, batch.query_y) + 2.5 * kl(clean, attacked).mean()
    assert TradesQuerying(inner, shift, beta=2.5).loss(batch).item() == pytest.approx(wanted)
    assert TradesQuerying(inner, shift).beta == 6


@pytest.mark.parametrize("name", LEARNERS)
def test_mart(learner, batch, shift, name) -> None:
    inner = learner(name).double()
    clean, attacked = logits(inner, batch, batch.query_x), logits(inner, batch, shift.held(batch.query_x))
    total = []
    for t in range(3):
        for q in range(9):
            y, p, moved = int(batch.query_y[t, q]), softmax(clean[t, q]), softmax(attacked[t, q])
            boosted = -np.log(moved[y]) - np.log(1 - np.delete(moved, y).max())
            total.append(boosted + 5 * kl(clean[t, q], attacked[t, q]) * (1 - p[y]))
    assert MartQuerying(inner, shift).loss(batch).item() == pytest.approx(np.mean(total))


def test_mart_is_finite_where_an_attack_wins_with_certainty(learner, batch, shift) -> None:
    inner = learner().float()
    single = batch.__class__(batch.support_x.float(), batch.support_y, batch.query_x.float(), batch.query_y)

    def certain(classifier, queries, attacked):
        return MartQuerying.against(wrapped, lambda x: 1e4 * classifier(x), queries, attacked)

    wrapped = MartQuerying(inner, shift)
    loss = certain(*wrapped.pose(single), shift.held(single.query_x))
    loss.backward()
    assert loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in inner.parameters())


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("form", "gamma", "weight"), [("at", None, 0.2), ("at", 3.0, 3.0), ("trades", None, 5.0)])
def test_r_maml(learner, batch, shift, name, form, gamma, weight) -> None:
    inner = learner(name).double()
    clean, attacked = logits(inner, batch, batch.query_x), logits(inner, batch, shift.held(batch.query_x))
    regulariser = cross_entropy(attacked, batch.query_y) if form == "at" else kl(clean, attacked).mean()
    wanted = cross_entropy(clean, batch.query_y) + weight * regulariser
    assert RMAML(inner, shift, form=form, gamma=gamma).loss(batch).item() == pytest.approx(wanted)


def test_the_trades_form_of_r_maml_sees_no_labels_in_its_regulariser(learner, batch) -> None:
    """Its gradient is the clean loss's plus gamma times one that other labels do not change."""
    inner = learner().double()
    attack = PGD(0.1, steps=2, loss="kl", keep="last")
    crafted = [RMAML(inner, attack, form="trades").crafted(*posed(inner, batch, shifted)) for shifted in (0, 1)]
    assert torch.equal(*crafted)


def posed(inner, batch, by: int):
    classifier, queries = inner.pose(batch)
    labels = (queries.query_y + by) % 3
    return classifier, batch.__class__(batch.support_x, batch.support_y, batch.query_x, labels, batch.index)


@pytest.mark.parametrize("name", LEARNERS)
def test_adversarial_support(learner, batch, shift, name) -> None:
    inner = learner(name).double()
    clean = inner.adapt(batch.support_x, batch.support_y)(batch.support_x).detach()
    wanted = cross_entropy(logits(inner, batch, batch.query_x, shift.held(batch.support_x)), batch.query_y)
    assert AdversarialSupport(inner, shift).loss(batch).item() == pytest.approx(wanted)
    torch.testing.assert_close(shift.logits[0], clean)  # the attack meets the classifiers of the clean support
    assert not shift.logits[0].requires_grad
    assert torch.equal(shift.seen[0], batch.support_x)


@pytest.mark.parametrize("name", LEARNERS)
def test_adml_crosses_both_paths(learner, batch, shift, name) -> None:
    inner = learner(name).double()
    clean_path = cross_entropy(logits(inner, batch, shift.held(batch.query_x)), batch.query_y)
    attacked_path = cross_entropy(logits(inner, batch, batch.query_x, shift.held(batch.support_x)), batch.query_y)
    assert ADML(inner, shift).loss(batch).item() == pytest.approx((clean_path + attacked_path) / 2)
    assert len(shift.seen) == 2


@pytest.mark.parametrize("name", LEARNERS)
def test_label_smoothing(learner, batch, name) -> None:
    inner = learner(name).double()
    p = softmax(logits(inner, batch, batch.query_x))
    label = 0.7 * np.eye(3)[batch.query_y.numpy()] + 0.3 / 3
    assert LabelSmoothing(inner, smoothing=0.3).loss(batch).item() == pytest.approx(-(label * np.log(p)).sum(-1).mean())


def test_lcat_takes_clean_and_adversarial_stretches_in_turn(learner, batch, shift) -> None:
    inner = learner().double()
    wrapped = LongTermCross(inner, shift, cycles=2)
    clean = cross_entropy(logits(inner, batch, batch.query_x), batch.query_y)
    attacked = cross_entropy(logits(inner, batch, shift.held(batch.query_x)), batch.query_y)
    wanted = {0.0: clean, 0.1: clean, 0.25: clean, 0.3: attacked, 0.5: attacked, 0.6: clean, 0.9: attacked}
    for progress, loss in wanted.items():
        wrapped.progress = progress
        assert wrapped.loss(batch).item() == pytest.approx(loss), progress
    wrapped.progress = 1.0  # what it is where nobody sets it
    assert wrapped.loss(batch).item() == pytest.approx(attacked)


def test_lcat_goes_around_any_defense_with_an_objective(learner, batch, shift) -> None:
    trades = TradesQuerying(learner().double(), shift)
    assert torch.equal(LongTermCross(trades).loss(batch), trades.loss(batch))
    with pytest.raises(RobustMetaError, match="lcat needs an attack, or a defense with one inside it"):
        LongTermCross(learner())
    with pytest.raises(RobustMetaError, match="lcat goes around trades-aq, which has an attack and a ramp of its own"):
        LongTermCross(trades, shift)
    with pytest.raises(RobustMetaError, match="cycles is 0; it must be at least 1"):
        LongTermCross(trades, cycles=0)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (TradesQuerying, {"beta": -1.0}, "beta is -1; the weight of a term must be at least 0"),
        (MartQuerying, {"beta": float("nan")}, "beta is nan; the weight"),
        (RMAML, {"gamma": -0.5}, "gamma is -0.5; the weight"),
        (RMAML, {"form": "pgd"}, "unknown form 'pgd'"),
        (TradesQuerying, {"precision": "float16"}, "unknown precision 'float16'"),
    ],
)
def test_settings_that_cannot_be(learner, shift, kind, settings, message) -> None:
    with pytest.raises(RobustMetaError, match=message):
        kind(learner(), shift, **settings)
    with pytest.raises(RobustMetaError, match=r"smoothing is 1.5; it is a share of the label, 0 to 1"):
        LabelSmoothing(learner(), smoothing=1.5)
    with pytest.raises(RobustMetaError, match=r"the attack is 'pgd-7'; it must be one that has a threat, as PGD"):
        TradesQuerying(learner(), "pgd-7")


@pytest.mark.parametrize("name", LEARNERS)
def test_the_clean_queries_are_classified_once(learner, batch, shift, name) -> None:
    """And each defense beside another leaves the classifier as it was."""
    for wrapped in (
        TradesQuerying(learner(name).double(), shift),
        RMAML(learner(name).double(), shift, form="trades"),
        TradesQuerying(LabelSmoothing(learner(name).double()), shift),
    ):
        classifier, queries = wrapped.pose(batch)
        asked: list[Tensor] = []
        original = classifier.forward
        classifier.__dict__["forward"] = lambda x, original=original, asked=asked: (asked.append(x), original(x))[1]
        own = classifier.__dict__["forward"]
        wrapped.against(classifier, queries, shift.held(queries.query_x)).backward()
        assert len(asked) == 2
        assert classifier.__dict__["forward"] is own
