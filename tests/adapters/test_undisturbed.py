"""Other tensors stand in the places of a module's, however often the module is there; afterwards nothing is changed."""

import contextlib
import random

import numpy as np
import pytest
import torch
from torch import nn

from robustmeta.adapters.state import mapped, modules_in
from robustmeta.adapters.undisturbed import called, in_modes, standing_in
from robustmeta.attacks.isolation import drawing_from


def test_a_module_that_is_there_twice_and_tied_weights_get_their_own_back() -> None:
    shared, tied = nn.Linear(2, 2), nn.Linear(2, 2)
    tied.weight = shared.weight
    net = nn.ModuleDict({"once": shared, "twice": nn.Sequential(shared, tied)})
    weight, other = shared.weight, torch.ones(2, 2)
    with contextlib.suppress(KeyError), standing_in([net, shared], [(weight, other)]):
        assert all(part.weight is other for part in (shared, tied, net["twice"][0]))
        assert torch.equal(tied(torch.ones(2)), 2 + tied.bias)
        raise KeyError
    assert shared.weight is weight
    assert tied.weight is weight
    assert isinstance(weight, nn.Parameter)


def test_a_network_is_called_with_other_weights() -> None:
    net = nn.Linear(3, 1)
    assert called(net, {"weight": torch.ones(1, 3)}, torch.ones(3)).item() == pytest.approx(3 + net.bias.item())
    assert not torch.equal(net.weight, torch.ones(1, 3))


def test_random_numbers_go_on_where_they_were() -> None:
    draws = lambda: (torch.rand(1).item(), random.random(), np.random.rand())  # noqa: E731, NPY002
    torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002
    expected = draws()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002
    with drawing_from(5):
        first = draws()
        with drawing_from(6):
            assert draws() != first
    assert draws() == expected
    with drawing_from(5):
        assert draws() == first


def test_modes_are_put_back() -> None:
    net = nn.Sequential(nn.Dropout(), nn.Dropout())
    net[1].eval()
    with in_modes(net, [False, True, True]):
        assert [part.training for part in net.modules()] == [False, True, True]
        net.eval()
    assert [part.training for part in net.modules()] == [True, True, False]


def test_tensors_and_modules_are_found_wherever_a_state_keeps_them() -> None:
    class Plain:
        def __init__(self) -> None:
            self.weights, self.net, self.steps = {"w": torch.ones(2)}, nn.Linear(1, 1), 3

    held = Plain()
    state = {"a": [torch.ones(1), (held, None)], 3: "text"}
    doubled = mapped(lambda tensor: 2 * tensor, state)
    made = doubled["a"][1][0]
    assert doubled["a"][0].item() == 2
    assert made.weights["w"].tolist() == [2, 2]
    assert made.steps == 3
    assert held.weights["w"].tolist() == [1, 1]
    assert made is not held
    assert modules_in(state) == [held.net]
    assert made.net is held.net
