"""Contenders that do not agree are not timed."""

from collections.abc import Callable

import pytest
import torch

from benchmarks import agreement
from benchmarks.agreement import DisagreementError, agreed
from benchmarks.peers.protonet import ProtoNetLoop
from benchmarks.setting import Setting, Shifted
from robustmeta.batch import EpisodeBatch
from robustmeta.episodes import Episodes

TINY = Setting("protonet", "support", size=16, width=8, ways=3, keep="last")


@pytest.fixture
def tasks(episodes: Callable[..., Episodes]) -> Episodes:
    return episodes()


def test_those_that_agree_pass_with_their_figures(tasks: Episodes) -> None:
    found = agreed(TINY, tasks, tasks=2, scored=2)
    assert set(found.apart) == {"plain loop", "robustmeta, whole", "robustmeta, 2 workers"}
    assert max(found.apart.values()) <= 1e-5 or max(found.double.values()) <= 1e-9
    assert set(found.success) == {"0.1", "0.0125"}
    assert "plain loop 0.0e+00" in found.lines()[0]


def test_a_wrong_gradient_is_refused(tasks: Episodes, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ProtoNetLoop.step

    def doubled(self: ProtoNetLoop, batch: EpisodeBatch, fed: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        return {name: 2 * gradient for name, gradient in right(self, batch, fed).items()}

    monkeypatch.setattr(ProtoNetLoop, "step", doubled)
    with pytest.raises(DisagreementError, match=r"robustmeta, whole is 5.0e-01 from plain torch's in float64"):
        agreed(TINY, tasks, tasks=1, scored=1)


def test_a_weaker_attack_is_refused(tasks: Episodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "SUCCESS", -1.0)
    with pytest.raises(DisagreementError, match=r"shares of queries turned over 1 tasks at eps 0\.1"):
        agreed(TINY, tasks, tasks=1, scored=1)


def test_shifted_episodes_are_those_further_on(tasks: Episodes) -> None:
    assert torch.equal(Shifted(tasks, 3).batch([0, 1]).query_x, tasks.batch([3, 4]).query_x)
    assert Shifted(tasks, 3).batch([1]).index == (4,)
