"""Adapters around networks with BatchNorm and dropout: what is attacked is what is scored, and no trace is left."""

import copy

import iteryne
import pytest
import torch
import torchopt

from robustmeta.adapters import EasyFSL, Functions, Iteryne, Learn2Learn, LinearHeadModule, TorchOpt
from robustmeta.attacks.base import craft
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.audit.snapshot import Snapshot
from robustmeta.defenses import AdversarialQuerying
from robustmeta.evaluation import evaluate
from tests.adapters import plain, stand_in_easyfsl, stand_in_learn2learn


def functions(net):
    def adapt(x, y):
        return [torch.stack([net(x[y == label]).mean(0) for label in range(3)])]

    return Functions(adapt, lambda state, x: -torch.cdist(net(x), state[0]), net)


ADAPTERS = {
    "functions": functions,
    "easyfsl stand-in": lambda net: EasyFSL(stand_in_easyfsl.PrototypicalNetworks(net)),
    "learn2learn stand-in": lambda net: Learn2Learn(stand_in_learn2learn.MAML(net, lr=0.3), steps=2),
    "iteryne": lambda net: Iteryne(iteryne.MAML(net, inner_lr=0.3, inner_steps=2)),
    "torchopt": lambda net: TorchOpt(net, torchopt.sgd(lr=0.3), steps=2),
    "linear head": lambda net: LinearHeadModule(net, steps=2),
    "linear head, all of it": lambda net: LinearHeadModule(net, steps=2, moves="all"),
}


@pytest.fixture(params=ADAPTERS)
def adapter(request):
    return ADAPTERS[request.param]


@pytest.mark.parametrize("training", [True, False])
def test_crafting_leaves_no_trace(adapter, batch, training) -> None:
    net = plain.network(batch_norm=True)
    learner = adapter(net).train(training)
    net[2].training = not training  # a mode of somebody's own
    net[0].weight.grad = torch.ones_like(net[0].weight)
    classifier = learner.adapt(batch.support_x, batch.support_y)
    before = Snapshot(learner, net)
    held = classifier.detach()
    craft(PGD(0.05, steps=3), held, batch.query_x, batch.query_y)
    held(batch.query_x).sum()
    classifier(batch.query_x)
    assert before.changed() in ("", "torch's random state")  # of the attack's random start
    torch.set_rng_state(before._random._torch)
    assert before.changed() == ""
    x = batch.query_x.clone().requires_grad_()
    held(x).sum().backward()
    assert before.changed() == ""
    assert x.grad.abs().max() > 0


def test_the_graph_of_the_adaptation_survives_the_crafting(adapter, batch) -> None:
    found = []
    for attacked in (False, True):
        net = plain.network(batch_norm=True)
        learner = adapter(net).train()
        classifier, queries = learner.pose(batch)
        if attacked:
            craft(PGD(0.05, steps=2), classifier.detach(), batch.query_x, batch.query_y)
        learner.outer_loss(classifier, queries).backward()
        found.append([parameter.grad for parameter in net.parameters()])
        assert all(gradient is not None for gradient in found[-1])
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_what_is_attacked_is_what_is_scored(adapter, batch, training) -> None:
    learner = adapter(plain.network(batch_norm=True)).train(training)
    classifier = learner.adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    assert torch.equal(classifier.detach()(batch.query_x), logits)
    torch.manual_seed(7)
    learner.train(not training)
    assert torch.equal(classifier(batch.query_x), logits)
    assert torch.equal(classifier.select([1])(batch.query_x[1:2])[0], logits[1])
    assert classifier.inductive is not training
    alone = classifier(batch.query_x[:, :1])
    assert torch.allclose(alone, logits[:, :1]) is not training


def test_a_detached_classifier_is_constant_while_the_learner_trains_on(adapter, batch) -> None:
    net = plain.network(batch_norm=True)
    learner = adapter(net).train()
    training = learner.adapt(batch.support_x, batch.support_y).detach()
    evaluated = learner.eval().adapt(batch.support_x, batch.support_y)
    before = training(batch.query_x), evaluated(batch.query_x)
    assert not any(logits.requires_grad for logits in before)
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            tensor.add_(1)
    assert torch.equal(training(batch.query_x), before[0])
    assert torch.equal(evaluated(batch.query_x), before[1])


def test_adaptation_in_evaluation_leaves_no_trace_and_in_training_only_running_statistics(adapter, batch) -> None:
    net = plain.network(batch_norm=True)
    learner = adapter(net).eval()
    before = Snapshot(learner, net)
    with torch.no_grad():
        learner.adapt(batch.support_x, batch.support_y)
    assert before.changed() == ""
    learner.train()
    before = Snapshot(learner, net)
    learner.adapt(batch.support_x, batch.support_y)
    assert "running" in (before.changed() or "") or "mode" in before.changed()
    counted = int(net[1].num_batches_tracked)
    learner.adapt(batch.support_x, batch.support_y)(batch.query_x)
    assert int(net[1].num_batches_tracked) == 2 * counted


def check_attacked_through(adapter, batch) -> None:
    net = plain.network()
    learner = adapter(net).eval()
    support = batch.support_x[:1].clone().requires_grad_()

    def loss(x):
        logits = learner.adapt(x, batch.support_y[:1])(batch.query_x[:1])
        return torch.nn.functional.cross_entropy(logits[0], batch.query_y[0])

    found = loss(support)
    found.backward()
    assert all(parameter.grad is None for parameter in net.parameters())
    step = torch.zeros_like(support)
    step[0, 0, 0, 4, 4] = 1e-5
    expected = (loss((batch.support_x[:1] + step).clamp(0, 1)) - loss((batch.support_x[:1] - step).clamp(0, 1))) / 2e-5
    inside = 1e-5 < batch.support_x[0, 0, 0, 4, 4] < 1 - 1e-5
    assert inside
    torch.testing.assert_close(support.grad[0, 0, 0, 4, 4], expected, rtol=1e-4, atol=1e-9)


def test_the_support_is_attacked_through_the_adaptation(adapter, batch) -> None:
    check_attacked_through(adapter, batch)


@pytest.mark.parametrize("name", ["learn2learn", "iteryne", "linear head"])
def test_the_support_is_attacked_in_second_order_where_training_is_in_first(name, batch) -> None:
    first_order = {
        "learn2learn": lambda net: Learn2Learn(stand_in_learn2learn.MAML(net, lr=0.3, first_order=True), steps=2),
        "iteryne": lambda net: Iteryne(iteryne.MAML(net, inner_lr=0.3, inner_steps=2, first_order=True)),
        "linear head": lambda net: LinearHeadModule(net, steps=2, moves="all", first_order=True),
    }
    check_attacked_through(first_order[name], batch)


def test_code_that_sets_its_own_modes_is_classified_in_them_and_put_back(batch) -> None:
    net = plain.network(batch_norm=True)

    def adapt(x, y):
        net.train()
        net(x)
        net[2].eval()

    learner = Functions(adapt, lambda state, x: net(x)).eval()
    before = Snapshot(learner, net)
    classifier = learner.adapt(batch.support_x, batch.support_y)
    assert not classifier.inductive
    torch.testing.assert_close(classifier(batch.query_x)[0], in_training(net, batch.query_x[0]))
    assert before.changed() == ""


def in_training(net, images):
    own = copy.deepcopy(net).train()
    own[2].eval()
    return own(images)


def test_layers_that_lean_on_the_batch_are_seen_where_the_logits_do_not_show_it(batch) -> None:
    net = plain.network(batch_norm=True)
    torch.nn.init.zeros_(net[-1].weight)
    learner = Functions(lambda x, y: None, lambda state, x: net(x))
    assert not learner.train().adapt(batch.support_x, batch.support_y).inductive
    assert learner.eval().adapt(batch.support_x, batch.support_y).inductive


def test_an_evaluation_attacks_it_and_the_audit_has_nothing_against_it(adapter, episodes) -> None:
    net = plain.network(batch_norm=True).float()
    robust = AdversarialQuerying(adapter(net), PGD(0.1, steps=2))
    table = evaluate(robust, episodes(), {"pgd": PGD(0.1, steps=3)}, episodes=3)
    accuracy = table.set_index("attack")["accuracy"]
    assert accuracy["pgd"] < accuracy["clean"]
    assert not [finding for finding in table.attrs["findings"] if finding.verdict == "fail"]
    assert set(table["defense"]) == {"aq"}
