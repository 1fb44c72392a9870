"""What easyfsl's other classifiers do in `forward` stays with the call that did it."""

import torch

from robustmeta.adapters import EasyFSL
from robustmeta.audit.snapshot import Snapshot
from tests.adapters import plain, stand_in_easyfsl


def test_a_model_that_is_transductive_is_declared_so_and_forgets_the_queries(batch) -> None:
    model = stand_in_easyfsl.BDCSPN(plain.features())
    classifier = EasyFSL(model).eval().adapt(batch.support_x, batch.support_y)
    assert not classifier.inductive
    logits = classifier(batch.query_x)
    for task in range(3):
        model.process_support_set(batch.support_x[task], batch.support_y[task])
        torch.testing.assert_close(logits[task], model(batch.query_x[task]))
    assert torch.equal(classifier(batch.query_x), logits)


def test_queries_taken_together_are_found_out_where_the_model_is_silent(batch) -> None:
    class Silent(stand_in_easyfsl.BDCSPN):
        is_transductive = None

    assert not EasyFSL(Silent(plain.features())).eval().adapt(batch.support_x, batch.support_y).inductive

    class Says(stand_in_easyfsl.PrototypicalNetworks):
        def is_transductive(self) -> bool:
            return True

    assert not EasyFSL(Says(plain.features())).eval().adapt(batch.support_x, batch.support_y).inductive
    silent = stand_in_easyfsl.PrototypicalNetworks(plain.features())
    assert EasyFSL(silent).adapt(batch.support_x, batch.support_y).inductive


def test_prototypes_moved_in_place_begin_anew_with_each_call(batch) -> None:
    model = stand_in_easyfsl.Finetune(plain.features())
    classifier = EasyFSL(model).eval().adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    assert torch.equal(classifier(batch.query_x), logits)
    model.process_support_set(batch.support_x[2], batch.support_y[2])
    torch.testing.assert_close(logits[2], model(batch.query_x[2]))


def test_the_model_keeps_the_attributes_it_had(batch) -> None:
    model = stand_in_easyfsl.PrototypicalNetworks(plain.features())
    model.process_support_set(batch.support_x[1], batch.support_y[1])
    held, mine = model.prototypes, model(batch.query_x[1])
    before = Snapshot(model)
    learner = EasyFSL(model).train()
    classifier = learner.adapt(batch.support_x, batch.support_y)
    assert torch.equal(classifier(batch.query_x)[1], mine)
    assert model.prototypes is held
    assert before.changed() == ""


def test_attributes_new_in_a_part_and_buffers_are_the_tasks_own(batch) -> None:
    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("means", torch.zeros(3, 100).double())

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = plain.features(), Head()

        def process_support_set(self, x, y) -> None:
            self.head.means = torch.stack([self.body(x[y == label]).mean(0) for label in range(3)])
            self.head.scale = 2.0

        def forward(self, x):
            return -self.head.scale * torch.cdist(self.body(x), self.head.means)

    model = Model()
    learner = EasyFSL(model)
    for training in (True, False):
        classifier = learner.train(training).adapt(batch.support_x, batch.support_y)
        expected = torch.stack(
            [2 * plain.means(model.body)(batch.support_x[i], batch.support_y[i])(batch.query_x[i]) for i in range(3)]
        )
        torch.testing.assert_close(classifier(batch.query_x), expected)
        torch.testing.assert_close(classifier.detach()(batch.query_x), expected.detach())
    assert not model.head.means.any()
    assert not hasattr(model.head, "scale")
