"""MANN: its memory worked by hand, and the whole of it by loops over heads and slots."""

import math

import pytest
import torch
from torch import Tensor

from robustmeta.draws import seeds_of
from robustmeta.errors import RobustMetaError
from robustmeta.learners.mann import addressed, least_used, written

SMALL = {"slots": 5, "slot_size": 3, "hidden": 6, "reads": 2, "gamma": 0.9}


def test_reading_by_hand() -> None:
    slots = torch.tensor([[[3.0, 4.0], [0.0, 0.0], [-40.0, 30.0]]])
    keys = torch.tensor([[[6.0, 8.0], [0.0, 5.0]]])
    weights = addressed(keys, slots, torch.tensor([1.0, 2.0]))[0]
    for found, cosines in zip(weights, ([1.0, 0.0, 0.0], [1.6, 0.0, 1.2]), strict=True):
        total = sum(math.exp(cosine) for cosine in cosines)
        assert found.tolist() == pytest.approx([math.exp(cosine) / total for cosine in cosines], abs=1e-5)


def test_the_least_used_slots_by_hand_each_head_its_own() -> None:
    usage = torch.tensor([[0.5, 0.1, 0.9, 0.1], [0.4, 0.3, 0.2, 0.1]])
    assert least_used(usage, 2).argmax(-1).tolist() == [[1, 3], [3, 2]]
    assert least_used(usage, 2).sum(-1).tolist() == [[1, 1], [1, 1]]


def test_writing_by_hand_empties_the_least_used_slot_and_adds() -> None:
    slots = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    least = torch.tensor([[[0.0, 1.0, 0.0]]])
    weights = torch.tensor([[[0.25, 0.75, 0.0]]])
    after = written(slots, torch.tensor([[[10.0, 20.0]]]), least, weights)
    assert after.tolist() == [[[3.5, 7.0], [7.5, 15.0], [5.0, 6.0]]]


class ByLoops:
    """The memory of one task, image after image, by the paper's equations in loops over heads and slots."""

    def __init__(self, made) -> None:
        self.made, zeros = made, torch.zeros
        self.slots, self.usage, self.weights = zeros(5, 3).double(), zeros(5).double(), zeros(2, 5).double()
        self.hidden, self.cell = zeros(6).double(), zeros(6).double()
        self.read, self.label = zeros(6).double(), zeros(3).double()

    def controlled(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Hidden, cell, keys, reading weights and what is read."""
        given = torch.cat([image, self.label, self.read])
        hidden, cell = (s[0] for s in self.made.controller(given[None], (self.hidden[None], self.cell[None])))
        keys = torch.tanh(self.made.key(hidden)).view(2, 3)
        rows, reads = [], []
        for head, key in enumerate(keys):
            scores = []
            for slot in self.slots:
                norms = torch.sqrt(key @ key + 1e-4) * torch.sqrt(slot @ slot + 1e-4)
                scores.append(torch.exp(self.made.sharpness[head] * (key @ slot) / norms))
            rows.append(torch.stack([score / sum(scores) for score in scores]))
            reads.append(sum(weight * slot for weight, slot in zip(rows[-1], self.slots, strict=True)))
        return hidden, cell, keys, torch.stack(rows), torch.cat(reads)

    def see(self, image: Tensor, label: int, delayed: bool) -> None:
        shown = torch.eye(3).double()[label]
        if not delayed:
            self.label = shown
        hidden, cell, keys, found, read = self.controlled(image)
        gate = torch.sigmoid(self.made.gate(hidden))
        least = sorted(range(5), key=lambda slot: self.usage[slot].item())[:2]
        writing = torch.stack([g * row for g, row in zip(gate, self.weights, strict=True)])
        for head, slot in enumerate(least):
            writing[head, slot] = writing[head, slot] + 1 - gate[head]
        slots = [torch.zeros(3) if slot in least else self.slots[slot] for slot in range(5)]
        self.slots = torch.stack([kept + writing[:, slot] @ keys for slot, kept in enumerate(slots)])
        self.usage = 0.9 * self.usage + found.sum(0) + writing.sum(0)
        self.hidden, self.cell, self.read, self.weights = hidden, cell, read, found
        self.label = shown if delayed else torch.zeros(3).double()

    def logits(self, image: Tensor) -> Tensor:
        hidden, *_, read = self.controlled(image)
        return self.made.output(torch.cat([hidden, read]))


@pytest.mark.parametrize(("training", "delayed"), [(True, False), (False, False), (False, True)])
def test_it_writes_the_support_and_reads_it_for_each_query_as_the_equations_say(
    learner, batch, training, delayed
) -> None:
    made = learner("mann", "group", delayed=delayed, **SMALL).double().train(training)
    seeds = seeds_of(batch.support_x, training)  # in training, every task has an order of its own
    classifier = made.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    for t in range(3):
        features, queries = (made.backbone(x[t : t + 1]).features[0] for x in (batch.support_x, batch.query_x))
        memory = ByLoops(made)
        for i in torch.rand(6, generator=torch.Generator().manual_seed(seeds[t])).argsort():
            memory.see(features[i], int(batch.support_y[t, i]), delayed)
        torch.testing.assert_close(classifier.state.slots[t], memory.slots)
        torch.testing.assert_close(logits[t], torch.stack([memory.logits(query) for query in queries]))


def test_more_images_than_slots_are_read_all_the_same(learner, batch) -> None:
    made = learner("mann", "group", **{**SMALL, "slots": 2}).double()
    assert made.adapt(batch.support_x, batch.support_y)(batch.query_x).isfinite().all()


def test_tasks_of_other_ways_than_the_labels_it_sees_are_refused(learner, episodes) -> None:
    task = episodes(ways=4)[0]
    with pytest.raises(RobustMetaError, match="a support of 4 ways was given to a MANN whose head has 3"):
        learner("mann").adapt(task.support_x, task.support_y)


@pytest.mark.parametrize("wrong", [{"slots": 3}, {"slot_size": 0}, {"hidden": 0}, {"reads": 0}, {"gamma": 1.5}])
def test_settings_that_cannot_be_are_refused(learner, wrong) -> None:
    ((name, value),) = wrong.items()
    with pytest.raises(RobustMetaError, match=rf"\b{name} (is )?{value:g}\b.*gamma must lie in \[0, 1\]"):
        learner("mann", **wrong)
