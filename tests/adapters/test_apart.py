"""A task's state that another task's adaptation changes is told of, however it is kept; what only looks so is not."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from robustmeta.adapters import EasyFSL, Functions
from robustmeta.errors import RobustMetaError
from tests.adapters import plain, stand_in_easyfsl


def centres(net, x, y):
    return torch.stack([net(x[y == label]).mean(0) for label in range(3)])


def in_a_global(net):
    box = {}

    def adapt(x, y):
        box["means"] = centres(net, x, y).detach()

    return Functions(adapt, lambda state, x: -torch.cdist(net(x), box["means"]), net)


def in_a_global_by_features_alone(net):
    box = {}

    def adapt(x, y):
        box["centre"] = net(x).mean(0).detach()
        return centres(net, x, y)

    def logits(state, x):
        centred = [F.normalize(features - box["centre"], dim=1) for features in (net(x), state)]
        return centred[0] @ centred[1].T

    return Functions(adapt, logits, net)


class Buffered(nn.Module):
    def __init__(self, anew: bool) -> None:
        super().__init__()
        self.net, self.anew = plain.features(), anew
        self.register_buffer("means", torch.zeros(3, 100).double())

    def adapt(self, x, y):
        means = centres(self.net, x, y).detach()
        if self.anew:
            self.means = means
        else:
            self.means.copy_(means)

    def logits(self, state, x):
        return -torch.cdist(self.net(x), self.means)


class InADict(nn.Module):
    def __init__(self, net, notes: bool) -> None:
        super().__init__()
        self.net, self.means, self.notes = net, {}, notes

    @torch.no_grad()
    def process_support_set(self, x, y) -> None:
        if self.notes:
            self.images = len(x)
        for label in range(3):
            self.means[label] = self.net(x[y == label]).mean(0)

    def forward(self, x):
        return -torch.cdist(self.net(x), torch.stack([self.means[label] for label in range(3)]))


class InABuffer(stand_in_easyfsl.PrototypicalNetworks):
    def __init__(self, net) -> None:
        super().__init__(net)
        self.register_buffer("means", torch.zeros(3, 100).double())

    @torch.no_grad()
    def process_support_set(self, x, y) -> None:
        super().process_support_set(x, y)
        self.means.copy_(self.prototypes)

    def forward(self, x):
        return -torch.cdist(self.backbone(x), self.means)


def buffered(anew):
    module = Buffered(anew)
    return Functions(module.adapt, module.logits, module)


LEAKS = {
    "a global": lambda: in_a_global(plain.features()),
    "a global that labels do not change": lambda: in_a_global_by_features_alone(plain.features()),
    "a buffer in place": lambda: buffered(False),
    "a buffer anew": lambda: buffered(True),
    "easyfsl, a dict and more": lambda: EasyFSL(InADict(plain.features(), True)),
    "easyfsl, a buffer and more": lambda: EasyFSL(InABuffer(plain.features())),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("tasks", [[0], [1, 1], [0, 1, 2]])
@pytest.mark.parametrize("leak", LEAKS)
def test_a_state_that_tasks_share_is_told_of_at_the_first_adaptation(leak, tasks, training, batch) -> None:
    learner = LEAKS[leak]().train(training)
    words = (
        "process_support_set changes in place" if "easyfsl" in leak else "adapt keeps the state of one task elsewhere"
    )
    with pytest.raises(RobustMetaError, match=words) as raised:
        learner.adapt(batch.support_x[tasks], batch.support_y[tasks])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("training", [True, False])
def test_easyfsl_models_that_set_nothing_anew_are_told_of(training, batch) -> None:
    learner = EasyFSL(InADict(plain.features(), False)).train(training)
    with pytest.raises(
        RobustMetaError, match=r"InADict\.process_support_set sets no attribute of the model, or changes"
    ):
        learner.adapt(batch.support_x, batch.support_y)


def test_the_same_tensor_returned_for_every_task_is_told_of_where_it_is_not_copied(batch) -> None:
    net, means = plain.features(), torch.zeros(3, 100).double()
    learner = Functions(
        lambda x, y: means.copy_(centres(net, x, y).detach()), lambda state, x: -torch.cdist(net(x), state), net
    )
    apart = learner.eval().adapt(batch.support_x, batch.support_y)(batch.query_x)
    for task in range(3):
        expected = plain.means(net)(batch.support_x[task], batch.support_y[task])(batch.query_x[task])
        torch.testing.assert_close(apart[task], expected)
    with pytest.raises(RobustMetaError, match="elsewhere than in what it returns"):
        learner.train().adapt(batch.support_x, batch.support_y)


def test_a_state_without_effect_at_first_is_looked_at_again(batch) -> None:
    net = plain.features()
    learner = in_a_global(net).train()
    weight = net[0].weight.detach().clone()
    nn.init.zeros_(net[0].weight)
    learner.adapt(batch.support_x, batch.support_y)
    with torch.no_grad():
        net[0].weight.copy_(weight)
    with pytest.raises(RobustMetaError, match="elsewhere than in what it returns"):
        learner.adapt(batch.support_x, batch.support_y)


def test_it_is_looked_for_once_in_each_mode_and_moves_nothing(batch) -> None:
    net, asked = plain.network(batch_norm=True), []

    def adapt(x, y):
        asked.append(len(x))
        return torch.stack([net(x[y == label]).mean(0) for label in range(3)])

    learner = Functions(adapt, lambda state, x: -torch.cdist(net(x), state), net)
    for training, number in ((True, 4), (True, 3), (False, 4), (False, 3)):
        tracked, asked[:] = int(net[1].num_batches_tracked), []
        learner.train(training).adapt(batch.support_x, batch.support_y)
        assert len(asked) == number
        assert int(net[1].num_batches_tracked) - tracked == (9 if training else 0)  # a pass a class of each task


def test_running_statistics_power_iterations_and_random_answers_are_not_taken_for_it(batch) -> None:
    norm = plain.network(batch_norm=True)

    def statistics(state, x):
        norm.eval()
        return -torch.cdist(norm(x), state)

    Functions(lambda x, y: centres(norm, x, y), statistics).train().adapt(batch.support_x, batch.support_y)
    spectral = plain.features()
    spectral_norm(spectral[0])
    learner = Functions(lambda x, y: centres(spectral, x, y), lambda state, x: -torch.cdist(spectral(x), state))
    learner.train().adapt(batch.support_x, batch.support_y)
    noise = torch.Generator().manual_seed(0)
    Functions(lambda x, y: None, lambda state, x: torch.randn(len(x), 3, generator=noise)).adapt(
        batch.support_x, batch.support_y
    )


def test_running_statistics_that_are_the_adaptation_are_told_of_in_evaluation(batch) -> None:
    net = plain.network(batch_norm=True)

    def adapt(x, y):
        net.train()
        net(x)
        net.eval()

    learner = Functions(adapt, lambda state, x: net(x)).eval()
    with pytest.raises(RobustMetaError, match="elsewhere than in what it returns"):
        learner.adapt(batch.support_x, batch.support_y)


def test_one_module_adapted_for_every_task_is_frozen_as_each_left_it(batch) -> None:
    net = plain.network()
    own = copy.deepcopy(net)

    def adapt(x, y):
        own.load_state_dict(net.state_dict())
        optimizer = torch.optim.SGD(own.parameters(), lr=0.5)
        optimizer.zero_grad()
        F.cross_entropy(own(x), y).backward()
        optimizer.step()
        return own

    learner = Functions(adapt, lambda state, x: state(x), net)
    classifier = learner.eval().adapt(batch.support_x, batch.support_y)
    logits = classifier(batch.query_x)
    assert torch.equal(classifier.detach()(batch.query_x), logits)
    expected = adapt(batch.support_x[0], batch.support_y[0])(batch.query_x[0]).detach()
    torch.testing.assert_close(logits[0], expected)
    with pytest.raises(RobustMetaError, match="elsewhere than in what it returns"):
        learner.train().adapt(batch.support_x, batch.support_y)
