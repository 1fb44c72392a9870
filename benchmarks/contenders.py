"""Who takes part in the adversarial outer step."""

from collections.abc import Sequence

from benchmarks.peers.base import Contender
from benchmarks.peers.loops import Higher, Iteryne, PlainTorch, TorchOpt
from benchmarks.peers.ours import Whole, Workers
from benchmarks.peers.parallel_metalearn import ParallelMetalearn, ParallelMetalearnSequential
from benchmarks.peers.protonet import ProtoNetFolded, ProtoNetLoop
from benchmarks.setting import Setting

OURS: tuple[type[Contender], ...] = (Whole, Workers)
PEERS: tuple[type[Contender], ...] = (
    PlainTorch,
    Higher,
    TorchOpt,
    Iteryne,
    ParallelMetalearn,
    ParallelMetalearnSequential,
)


def peers_of(setting: Setting) -> Sequence[type[Contender]]:
    """The others that can do the setting."""
    if setting.learner == "maml":
        return PEERS
    return (ProtoNetLoop, ProtoNetFolded) if setting.norm in ("running", "group") else (ProtoNetLoop,)


def ours_of(setting: Setting) -> Sequence[type[Contender]]:
    """Robustmeta's forms; tasks that all share their statistics cannot be dealt out to workers."""
    shared = setting.learner == "protonet" and setting.norm == "running" and not setting.chunk
    return OURS[:1] if shared else OURS
