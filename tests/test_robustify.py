"""robustify: what it is given and what it makes of it; wrong use is told in one line each."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from robustmeta.adapters import EasyFSL, Functions
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card
from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.attacks.support import Poison
from robustmeta.episodes import EpisodeBatch
from robustmeta.errors import RobustMetaError
from robustmeta.robustify import robustify
from tests.adapters import plain, stand_in_easyfsl


def prototypes(net):
    def adapt(x, y):
        return torch.stack([net(x[y == label]).mean(0) for label in range(3)])

    return {"adapt": adapt, "logits": lambda state, x: -torch.cdist(net(x), state)}


def test_by_default_it_is_adversarial_querying_with_pgd_7(batch) -> None:
    robust = robustify(**prototypes(plain.features()))
    assert robust.defense == "aq"
    assert robust.attack == card("pgd-7").build(Threat("Linf", 0.1))
    other = robustify(plain.network(), attack="fgsm", eps=0.3, norm="Linf", steps=1)
    assert other.attack.threat == Threat("Linf", 0.3)
    assert other.base.steps == 1
    own = robustify(plain.network(), attack=PGD(0.2, steps=3))
    assert own.attack == PGD(0.2, steps=3)


def test_the_modules_that_functions_see_are_its_parameters() -> None:
    net, head = plain.features(), nn.Linear(100, 3).double()
    found = Functions(lambda x, y: net(x), nn.Sequential(head).forward)
    assert {id(parameter) for parameter in found.parameters()} == {
        id(p) for p in (*net.parameters(), *head.parameters())
    }
    assert not found.eval().module.training
    assert not net.training
    assert list(Functions(lambda x, y: x, lambda state, x: x[:, 0, 0, :3]).parameters()) == []


def test_one_line_of_a_training_loop_is_changed(batch) -> None:
    net = plain.features()
    robust = robustify(**prototypes(net), attack="fgsm")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(4):
        loss = robust.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


class Detaching(nn.Module):
    """A network whose logits are cut off from it."""

    def __init__(self) -> None:
        super().__init__()
        self.net = plain.features()

    def process_support_set(self, x, y) -> None:
        self.state = torch.stack([self.net(x[y == label]).mean(0) for label in range(3)]).detach()

    def forward(self, x):
        return -torch.cdist(self.net(x).detach(), self.state)


def fine_tuned_in_place(net):
    def adapt(x, y):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    return adapt


def detached_weights(net):
    def adapt(x, y):
        weights = {name: weight.detach().requires_grad_() for name, weight in net.named_parameters()}
        gradients = torch.autograd.grad(F.cross_entropy(functional_call(net, weights, (x,)), y), list(weights.values()))
        return {name: weight - 0.1 * g for (name, weight), g in zip(weights.items(), gradients, strict=True)}

    return adapt


NET = plain.network()


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        (
            {"adapt": detached_weights(NET), "logits": lambda w, x: functional_call(NET, w, (x,))},
            "reaches none of the 4",
        ),
        ({"adapt": lambda x, y: None, "logits": lambda s, x: NET(x).detach()}, "reaches none of the 4 parameters"),
        ({"adapt": fine_tuned_in_place(NET), "logits": lambda s, x: NET(x)}, "adapt wrote into the parameters"),
        ({"adapt": lambda x, y: None, "logits": lambda s, x: NET(x)[:, :2]}, r"are \[6, 2\]; they must be"),
        ({"adapt": lambda x, y: None, "logits": lambda s, x: (NET(x),)}, "are tuple; they must be"),
        ({"adapt": lambda x, y: None, "logits": lambda s, x: NET(x.detach())}, "have no gradient at the images"),
        (
            {"adapt": lambda x, y: lambda q: NET(q), "logits": lambda f, x: f(x), "module": nn.Linear(1, 1)},
            "give as module=",
        ),
    ],
)
def test_functions_that_cannot_train_are_told_of(batch, functions, words) -> None:
    robust = robustify(**functions, attack="fgsm").train()
    before = copy.deepcopy(NET.state_dict())
    with pytest.raises(RobustMetaError, match=words) as raised:
        robust.loss(batch)
    assert "\n" not in str(raised.value)
    NET.load_state_dict(before)
    NET.zero_grad()


def test_a_model_that_detaches_is_told_of(batch) -> None:
    robust = robustify(Detaching(), attack="fgsm")
    with pytest.raises(RobustMetaError, match="reaches none of the 2 parameters of EasyFSL: adapt or logits detaches"):
        robust.loss(batch)


class Registering(stand_in_easyfsl.PrototypicalNetworks):
    def process_support_set(self, x, y) -> None:
        self.head = nn.Linear(100, 3).double()


def test_a_support_set_that_makes_modules_is_told_of(batch) -> None:
    model = Registering(plain.features())
    with pytest.raises(RobustMetaError, match=r"Registering\.process_support_set puts parameters or modules"):
        EasyFSL(model).adapt(batch.support_x, batch.support_y)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (lambda: {}, "robustify needs a learner, a model, or adapt= and logits= functions"),
        (lambda: {"adapt": max}, r"robustify needs logits=, a function of \(state, query_x\)"),
        (lambda: {"logits": max}, r"robustify needs adapt=, a function of \(support_x, support_y\)"),
        (lambda: {"adapt": 3, "logits": max}, r"adapt is 3; it must be a function of \(support_x, support_y\)"),
        (lambda: {"adapt": max, "logits": max, "module": 3}, "module is a int; it must be the nn.Module"),
        (lambda: {"learner": plain.network(), "adapt": max}, "a learner and functions; give one"),
        (lambda: {"learner": plain.features()}, "found no way into a Sequential: it looked for .*process_support_set"),
        (lambda: {"learner": 3}, "found no way into a int"),
        (
            lambda: {"learner": plain.network(), "attack": "square-1000"},
            "'square-1000' is not safe in training; pgd-7 is",
        ),
        (lambda: {"learner": plain.network(), "attack": "pdg-7"}, "did you mean 'pgd-7'"),
        (lambda: {"learner": plain.network(), "attack": max}, "it must be the name of a card"),
        (lambda: {"learner": plain.network(), "attack": Poison(Threat())}, "Poison is not safe in training"),
        (
            lambda: {"learner": plain.network(), "attack": UniformNoise(Threat())},
            "UniformNoise is not safe in training",
        ),
        (lambda: {"learner": plain.network(), "defense": "aqq"}, "unknown defense 'aqq'; did you mean 'aq'"),
        (lambda: {"learner": plain.network(), "stepps": 3}, "stepps is not a setting here; did you mean 'steps'"),
        (lambda: {**prototypes(NET), "rampp": 3}, "robustify: rampp: is not a setting here; did you mean 'ramp'"),
        (lambda: {**prototypes(NET), "ramp": "big"}, "robustify: ramp: is 'big'; it must be a number"),
        (lambda: {"learner": plain.network(), "eps": 8}, "eps is 8; it must lie in"),
        (lambda: {"learner": plain.network(), "steps": 0}, "steps is 0; an inner loop takes at least 1"),
        (lambda: {"learner": plain.network(), "moves": "tail"}, "unknown part to move 'tail'"),
        (lambda: {"learner": plain.network(), "inner_lr": 0.0}, "inner_lr is 0; it must be above 0"),
        (lambda: {"learner": plain.network(), "inner": 3}, "inner is a int; it must be a functional optimizer"),
    ],
)
def test_wrong_use_is_one_line(given, words) -> None:
    with pytest.raises(RobustMetaError, match=words) as raised:
        robustify(**given())
    assert "\n" not in str(raised.value)


def test_batches_are_told_what_they_lack(batch) -> None:
    robust = robustify(**prototypes(plain.features()))
    tensors = batch.support_x, batch.support_y, batch.query_x, batch.query_y
    with pytest.raises(RobustMetaError, match=r"the batch is a tuple; it must be robustmeta\.EpisodeBatch"):
        robust.loss(tensors)
    with pytest.raises(RobustMetaError, match="tasks first"):
        robust.loss(EpisodeBatch(*(tensor[0] for tensor in tensors)))
    with pytest.raises(RobustMetaError, match=r"must be \[T, N, C, H, W\] \(tasks first\)"):
        robust.adapt(batch.support_x[0], batch.support_y[0])
    with pytest.raises(RobustMetaError, match=r"images must lie in \[0, 1\]"):
        robust.adapt(batch.support_x * 2 - 1, batch.support_y)


def test_plain_functions_are_not_copied() -> None:
    with pytest.raises(RobustMetaError, match="cannot be copied, as its functions would go on"):
        copy.deepcopy(robustify(**prototypes(plain.features())))
