"""The other libraries' networks are the functions robustmeta's are."""

from dataclasses import replace

import pytest
import torch

from benchmarks.agreement import DisagreementError, distance
from benchmarks.peers.loops import Higher, PlainTorch
from benchmarks.peers.ours import Whole, Workers
from benchmarks.peers.protonet import ProtoNetFolded, ProtoNetLoop
from benchmarks.plain import PlainConv4, plain_name, write_out
from benchmarks.setting import Setting
from robustmeta.batch import EpisodeBatch

TINY = Setting(size=16, width=4, ways=3, steps=2, inner_lr=0.2, dtype=torch.float64, random_start=False, attack_steps=2)


@pytest.fixture
def batch() -> EpisodeBatch:
    random = torch.Generator().manual_seed(3)
    labels = torch.arange(3).expand(3, -1)
    return EpisodeBatch(
        torch.rand(3, 3, 1, 16, 16, generator=random).double(),
        labels,
        torch.rand(3, 6, 1, 16, 16, generator=random).double(),
        labels.repeat(1, 2),
    )


def test_names_of_the_weights() -> None:
    assert plain_name("learner.network.backbone.blocks.2.scale") == "backbone.blocks.2.norm.weight"
    assert plain_name("blocks.0.conv.weight") == "blocks.0.conv.weight"
    assert plain_name("network.linear.bias") == "linear.bias"


@pytest.mark.parametrize("norm", ["support", "transductive", "group"])
def test_features_are_those_of_robustmeta(norm: str, batch: EpisodeBatch) -> None:
    setting = replace(TINY, norm=norm, learner="protonet")
    theirs, ours = setting.plain(), setting.ours().base.backbone
    assert isinstance(theirs, PlainConv4)
    support, query = batch.support_x[:1], batch.query_x[:1]
    statistics = None if norm == "transductive" else ours(support).statistics
    expected = ours(query, statistics).features[0]
    torch.testing.assert_close(theirs(query[0], theirs(support[0], moments=True)), expected)
    own = theirs(query[0])
    write_out(theirs)
    torch.testing.assert_close(theirs(query[0]), own)
    theirs.eval().requires_grad_(False)  # torch's kernel, as attacks meet it
    torch.testing.assert_close(theirs(query[0], theirs(support[0], moments=True)), expected.detach())


@pytest.mark.parametrize("norm", ["support", "transductive", "group"])
def test_meta_gradients_of_maml_agree(norm: str, batch: EpisodeBatch) -> None:
    setting = replace(TINY, norm=norm)
    fed = 1 - batch.query_x
    expected = PlainTorch(setting).step(batch, fed)
    assert min(float(gradient.abs().max()) for gradient in expected.values()) > 1e-12
    for other in (Higher, Whole, Workers):
        assert distance(other(setting).step(batch, fed), expected) < 1e-10


@pytest.mark.parametrize(("norm", "chunk"), [("support", 0), ("running", 0), ("running", 2), ("group", 0)])
def test_gradients_of_protonet_agree(norm: str, chunk: int, batch: EpisodeBatch) -> None:
    setting = replace(TINY, norm=norm, learner="protonet", chunk=chunk)
    expected = ProtoNetLoop(setting).step(batch, batch.query_x)
    assert distance(Whole(setting).step(batch, batch.query_x), expected) < 1e-10
    if norm != "support":
        assert distance(ProtoNetFolded(setting).step(batch, batch.query_x), expected) < 1e-10


def test_the_whole_step_agrees_where_attacks_take_the_same_path(batch: EpisodeBatch) -> None:
    one_step = replace(TINY, attack_steps=1)
    moved = PlainTorch(one_step).attacked(batch)
    assert (moved - batch.query_x).abs().max() == pytest.approx(one_step.eps)
    fed = PlainTorch(one_step).step(batch, moved)
    assert distance(PlainTorch(one_step).step(batch), fed) == 0
    assert distance(Higher(one_step).step(batch), fed) < 1e-12


def test_each_clock_has_the_time_of_its_attack(batch: EpisodeBatch) -> None:
    for contender in (PlainTorch(TINY), Whole(TINY), Workers(TINY)):
        contender.step(batch, batch.query_x)
        assert contender.clock.taken() == 0
        contender.step(batch)
        assert contender.clock.taken() > 0


def test_a_weight_that_one_of_them_lacks_is_a_disagreement() -> None:
    with pytest.raises(DisagreementError, match="gradients of"):
        distance({"a": torch.ones(1)}, {"a": torch.ones(1), "b": torch.ones(1)})
    assert distance({"a": torch.tensor([3.0, 5.0])}, {"a": torch.tensor([3.0, 4.0])}) == pytest.approx(0.2)
