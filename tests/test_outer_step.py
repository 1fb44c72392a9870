"""The gradient of a step cut in chunks, over threads and processes, against that of its loss in one piece."""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from robustmeta.attacks.projected_gradient import PGD
from robustmeta.defenses import AdversarialQuerying
from robustmeta.errors import RobustMetaError
from robustmeta.learners import Learner, ProtoNet
from robustmeta.outer_step import Crew, flushes_denormals
from robustmeta.ranks import Ranks
from robustmeta.training import train


class Threaded(Ranks):
    """A rank that is a thread of this process; `board` and `barrier` are common to all."""

    def __init__(self, rank: int, board: list, barrier: threading.Barrier) -> None:
        super().__init__(rank, len(board))
        object.__setattr__(self, "board", board)
        object.__setattr__(self, "barrier", barrier)

    def gathered(self, value):
        self.board[self.rank] = value
        self.barrier.wait(20)
        values = copy.deepcopy(self.board)  # as another process has it
        self.barrier.wait(20)
        return values

    def total(self, values: Tensor) -> Tensor:
        return torch.stack(self.gathered(values)).sum(0)

    def shared(self, make):
        return self.gathered(make() if self.first else None)[0]


def over_ranks(size: int, work: Callable[[Ranks], object]) -> list:
    """What `work` returns on each of `size` ranks."""
    board, barrier = [None] * size, threading.Barrier(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, [Threaded(rank, board, barrier) for rank in range(size)]))


def gradients_of(learner: Learner) -> list[Tensor]:
    return [parameter.grad for parameter in learner.parameters()]


def equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("name", "norm"), [("protonet-aq", "support"), ("maml", "support"), ("protonet", "group")])
@pytest.mark.parametrize("chunk", [1, 2, 5, 9])
def test_chunks_add_up_to_the_gradient_of_the_whole(learner, episodes, name, norm, chunk) -> None:
    cut, whole = learner(name, norm).train(), learner(name, norm).train()
    loss = Crew(cut).gradient(episodes(), 2, 5, chunk)  # tasks 10 to 14
    expected = whole.loss(episodes().batch(range(10, 15)))
    expected.backward()
    assert loss == pytest.approx(expected.item())
    for got, wanted in zip(gradients_of(cut), gradients_of(whole), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "norm"), [("protonet-aq", "running"), ("maml-aq", "running"), ("protonet-free", "support")]
)
def test_the_weights_have_the_same_bits_whatever_the_number_of_workers(learner, episodes, name, norm) -> None:
    made = []
    for workers in (1, 2, 3):
        one = learner(name, norm)
        one.replays = 2
        log = train(one, episodes(), 2, tasks=4, chunk=1, lr=0.01, workers=workers)
        made.append((one, [{**entry, "core_seconds": None} for entry in log]))
        assert torch.get_num_threads() == 1
    for other, log in made[1:]:
        assert log == made[0][1]
        assert equal(list(other.state_dict().values()), list(made[0][0].state_dict().values()))


def test_one_process_and_several_find_the_same_weights_within_rounding(learner, episodes) -> None:
    # Of MAML: that of ProtoNet does not hang on its last shift where no ReLU cuts, and Adam makes steps of such noise.
    def work(ranks: Ranks) -> None:
        train(made[ranks.rank], episodes(), 3, tasks=5, chunk=2, lr=0.01, ranks=ranks)

    alone = learner("maml", "running", seed=0)
    train(alone, episodes(), 3, tasks=5, chunk=2, lr=0.01)
    for size in (2, 4):  # of 3 chunks a step: the fourth has none
        made = [learner("maml", "running", seed=rank) for rank in range(size)]  # the first one's weights count
        over_ranks(size, work)
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(made[0].state_dict()[name], value, rtol=1e-4, atol=1e-6)
        assert all(equal(list(made[0].state_dict().values()), list(one.state_dict().values())) for one in made[1:])


def test_ranks_whose_sums_differ_in_the_last_bits_end_with_the_first_ones_weights(
    learner, episodes, monkeypatch
) -> None:
    made = [learner() for _ in range(2)]
    exact = Threaded.total
    monkeypatch.setattr(Threaded, "total", lambda self, values: exact(self, values) * (1 + 1e-6 * self.rank))
    over_ranks(2, lambda ranks: train(made[ranks.rank], episodes(), 2, tasks=2, chunk=1, ranks=ranks))
    assert equal(list(made[0].parameters()), list(made[1].parameters()))


class Tallying(ProtoNet):
    """Keeps a running mean of the tasks' numbers, and the number of the last one."""

    def __init__(self, backbone) -> None:
        super().__init__(backbone)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("last", torch.zeros((), dtype=torch.int64))

    def loss(self, batch):
        self.mean.lerp_(torch.tensor(batch.index).float().mean(), 0.5)
        self.last.fill_(batch.index[-1])
        return super().loss(batch)


@pytest.mark.parametrize(("workers", "size"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_running_averages_move_by_the_mean_of_the_chunks_moves(learner, episodes, workers, size) -> None:
    backbones = [learner().backbone for _ in range(size)]

    def work(ranks: Ranks) -> tuple[float, int]:
        made = Tallying(backbones[ranks.rank]).train()
        made.mean.fill_(4.0)
        with Crew(made, workers, ranks) as crew:
            crew.gradient(episodes(), 0, 7, 2)
        return made.mean.item(), made.last.item()

    # Chunks (0, 1), (2, 3), (4, 5), (6) of means 0.5, 2.5, 4.5, 6, each met half-way from 4, weighted 2, 2, 2, 1 in 7.
    expected = (2 * (0.5 - 4) / 2 + 2 * (2.5 - 4) / 2 + 2 * (4.5 - 4) / 2 + (6 - 4) / 2) / 7 + 4
    for mean, last in over_ranks(size, work):
        assert mean == pytest.approx(expected)
        assert last == 6


def test_a_step_of_one_chunk_leaves_the_buffers_as_the_loss_did(learner, episodes) -> None:
    cut, whole = learner("maml", "running").train(), learner("maml", "running").train()
    Crew(cut).gradient(episodes(), 0, 3, 3)
    whole.loss(episodes().batch(range(3)))
    assert equal(list(cut.buffers()), list(whole.buffers()))


class Counting(ProtoNet):
    """Counts the tasks whose graph is alive at once, and who met which chunk."""

    def __init__(self, backbone, alive: list, met: list, lock: threading.Lock) -> None:
        super().__init__(backbone)
        self.shelf = (alive, met, lock)

    def __deepcopy__(self, memo):
        return Counting(copy.deepcopy(self.backbone, memo), *self.shelf)

    def loss(self, batch):
        alive, met, lock = self.shelf
        with lock:
            alive.append(alive[-1] + batch.tasks)
            met.append((batch.index, id(self), threading.get_ident()))

        class Held(torch.autograd.Function):
            @staticmethod
            def forward(ctx, loss):
                return loss.clone()

            @staticmethod
            def backward(ctx, gradient):
                with lock:
                    alive.append(alive[-1] - batch.tasks)
                return gradient

        return Held.apply(super().loss(batch))


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_tasks_are_alive_than_a_chunk_for_each_worker(learner, episodes, workers) -> None:
    alive, met = [0], []
    made = Counting(learner().backbone, alive, met, threading.Lock()).train()
    with Crew(made, workers) as crew:
        for step in range(2):
            crew.gradient(episodes(), step, 16, 2)
        crew.gradient(episodes(), 0, 16, 2)
    assert max(alive) <= 2 * workers
    assert alive[-1] == 0
    who = {}
    for index, replica, thread in met:
        who.setdefault(index[0] % 16, set()).add((replica, thread))
    assert all(len(those) == 1 for those in who.values())  # a chunk's place is always with the same replica
    assert who[0] == who[2 * workers]
    assert len(set.union(*who.values())) == workers


def test_mode_and_progress_reach_every_replica_and_the_learner_inside(learner, episodes) -> None:
    seen = set()

    class Watching(ProtoNet):
        def adapt(self, support_x, support_y):
            seen.add((self.training, self.progress, threading.get_ident() == main, flushes_denormals()))
            return super().adapt(support_x, support_y)

    main = threading.get_ident()
    torch.set_flush_denormal(True)
    made = AdversarialQuerying(Watching(learner().backbone), PGD(0.05, steps=1))
    train(made, episodes(), 2, tasks=4, chunk=1, workers=2, validation=lambda one: {"x": one.eval().train().progress})
    assert seen == {(True, 0.0, False, True), (True, 0.5, False, True)}
    seen.clear()
    assert made.learner.progress == 1.0
    with Crew(made.eval(), workers=2) as crew:  # replicas made in another mode than they work in
        made.train()
        crew.gradient(episodes(), 0, 2, 1)
    assert seen.pop() == (True, 1.0, False, True)
    torch.set_flush_denormal(False)
    assert not flushes_denormals()


def test_the_backward_pass_of_a_chunk_reaches_what_a_defense_waits_for(learner, episodes) -> None:
    norms = []

    class Waiting(ProtoNet):
        def loss(self, batch):
            queries = batch.query_x.clone().requires_grad_()
            queries.register_hook(lambda gradient: norms.append(gradient.norm().item()))
            return super().loss(batch.with_queries(queries))

    Crew(Waiting(learner().backbone).train()).gradient(episodes(), 0, 4, 2)
    assert len(norms) == 2
    assert min(norms) > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_chunk_is_that_of_the_step_and_leaves_the_learner_as_it_was(learner, episodes, workers) -> None:
    class Failing(ProtoNet):
        def loss(self, batch):
            if 5 in batch.index:
                raise RobustMetaError("task 5 is not to be met")
            return super().loss(batch) * (float("nan") if 9 in batch.index else 1)

    made = Failing(learner("protonet", "running").backbone).train()
    before = [buffer.clone() for buffer in made.buffers()]
    with Crew(made, workers) as crew:
        with pytest.raises(RobustMetaError, match=r"^task 5 is not to be met$"):
            crew.gradient(episodes(), 1, 4, 1)
        with pytest.raises(RobustMetaError, match="the outer loss is nan at step 2; lower lr"):
            crew.gradient(episodes(), 2, 4, 1)
        assert equal(list(made.buffers()), before)
        assert crew.gradient(episodes(), 0, 4, 1) > 0  # and the crew works on
        assert not equal(list(made.buffers()), before)
