"""robustify: what it is given and what it makes of it; wrong use is told in one line each."""

import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import torchopt
from torch import nn
from torch.func import functional_call

from robustmeta.adapters import EasyFSL, Functions, LinearHeadModule
from robustmeta.attacks.base import Threat
from robustmeta.attacks.card import card
from robustmeta.attacks.noise import UniformNoise
from robustmeta.attacks.projected_gradient import PGD
from robustmeta.attacks.support import Poison
from robustmeta.batch import EpisodeBatch
from robustmeta.defenses import AdversarialQuerying, GaussianNoise, MoreShots, WeightPerturbation
from robustmeta.errors import RobustMetaError
from robustmeta.robustify import defended, robustify
from robustmeta.schema import Source
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


HIDDEN = {"encoder": NET}


def by_helper(x):
    return HIDDEN["encoder"](x)


def test_functions_whose_parameters_are_out_of_sight_are_told_of(batch) -> None:
    hidden = {"adapt": lambda x, y: None, "logits": lambda s, x: by_helper(x), "attack": "fgsm"}
    with pytest.raises(RobustMetaError, match="give as module= whatever holds the parameters that logits uses"):
        robustify(**hidden).train().loss(batch)
    robustify(**hidden, module=NET).train().loss(batch)


def test_the_modules_of_an_object_are_found_by_its_methods(batch) -> None:
    class Trainer:
        def __init__(self) -> None:
            self.net = plain.network()

        def adapt(self, x, y) -> None: ...

        def logits(self, state, x):
            return self.net(x)

    trainer = Trainer()
    robust = robustify(adapt=trainer.adapt, logits=trainer.logits, attack="fgsm")
    assert {id(each) for each in robust.parameters()} >= {id(each) for each in trainer.net.parameters()}
    robust.loss(batch).backward()
    assert all(each.grad is not None for each in trainer.net.parameters())


def test_a_model_that_detaches_is_told_of(batch) -> None:
    robust = robustify(Detaching(), attack="fgsm")
    with pytest.raises(RobustMetaError, match="reaches none of the 2 parameters of EasyFSL: adapt or logits detaches"):
        robust.loss(batch)


@pytest.mark.parametrize("frozen", [True, False])
def test_models_that_optimize_in_their_logits_are_told_of_in_training_and_evaluated(batch, frozen) -> None:
    model = stand_in_easyfsl.TIM(plain.features())
    model.backbone.requires_grad_(not frozen)
    robust = robustify(model, attack="fgsm")
    with pytest.raises(
        RobustMetaError, match=r"EasyFSL have no gradient at the images.*an optimizer of its own"
    ) as raised:
        robust.train().loss(batch)
    assert "\n" not in str(raised.value)
    if frozen:
        assert robust.eval().adapt(batch.support_x, batch.support_y)(batch.query_x).shape == (3, 9, 3)


@pytest.mark.parametrize("given", [{}, {"inner": torchopt.sgd(lr=0.1)}])
def test_frozen_heads_are_told_of(batch, given) -> None:
    net = plain.network()
    (net if given else net[-1]).requires_grad_(False)
    with pytest.raises(
        RobustMetaError, match=r"the inner loop finds nothing to move in Sequential: .* are frozen; call"
    ):
        robustify(net, **given, attack="fgsm").loss(batch)


@pytest.mark.parametrize("kind", ["object", "list"])
@pytest.mark.parametrize("training", [True, False])
def test_a_state_that_holds_itself_is_told_of(batch, kind, training) -> None:
    net = plain.features()

    def adapt(x, y):
        state = [] if kind == "list" else SimpleNamespace()
        means = torch.stack([net(x[y == label]).mean(0) for label in range(3)])
        if isinstance(state, list):
            state += [means, state]
        else:
            state.means, state.itself = means, state
        return state

    learner = Functions(adapt, lambda state, x: x, net).train(training)
    with pytest.raises(RobustMetaError, match="what adapt returned refers to itself") as raised:
        learner.adapt(batch.support_x, batch.support_y)
    assert "\n" not in str(raised.value)


class Registering(stand_in_easyfsl.PrototypicalNetworks):
    def process_support_set(self, x, y) -> None:
        self.head = nn.Linear(100, 3).double()


def test_a_support_set_that_makes_modules_is_told_of(batch) -> None:
    model = Registering(plain.features())
    with pytest.raises(RobustMetaError, match=r"Registering\.process_support_set puts parameters or modules"):
        EasyFSL(model).adapt(batch.support_x, batch.support_y)


def around(net):
    return AdversarialQuerying(LinearHeadModule(net), PGD(0.2, steps=3))


@pytest.mark.parametrize("defense", ["awp", "lcat"])
def test_a_defense_around_one_with_an_attack_takes_that(defense) -> None:
    inner = around(plain.network())
    robust = robustify(inner, defense=defense)
    assert robust.learner is inner
    assert robust.defense == f"aq+{defense}"
    bare = robustify(GaussianNoise(LinearHeadModule(plain.network()), clip=True), defense=defense, eps="8/255")
    assert bare.defense == f"noise+aq+{defense}"
    assert bare.learner.attack == card("pgd-7").build(Threat("Linf", 8 / 255))
    assert robustify(plain.network(), defense="free-aq", eps="1/4").threat == Threat("Linf", 0.25)
    assert not hasattr(robustify(plain.network(), defense="noise"), "attack")


def test_defenses_in_a_list_are_those_of_a_recipe(batch) -> None:
    listed = [{"name": "its", "shots": 3}, {"name": "aq", "attack": "pgd-3", "ramp": "1/4"}, "awp"]
    robust = robustify(plain.network(), defense=listed, steps=2, eps="8/255", norm="L2")
    awp, aq, its = robust, robust.learner, robust.learner.learner
    assert [type(each) for each in (awp, aq, its)] == [WeightPerturbation, AdversarialQuerying, MoreShots]
    assert (robust.defense, its.shots, aq.ramp, robust.base.steps) == ("its+aq+awp", 3, 0.25, 2)
    assert aq.attack == card("pgd-3").build(Threat("L2", 8 / 255))
    assert listed[1] == {"name": "aq", "attack": "pgd-3", "ramp": "1/4"}
    alone = robustify(plain.network(), defense={"name": "aq", "attack": PGD(0.2)})
    assert alone.attack == PGD(0.2)
    default = robustify(plain.network(), defense=("label-smoothing", "aq"), eps=0.3)
    assert default.attack == card("pgd-7").build(Threat("Linf", 0.3))
    by_hand = WeightPerturbation(AdversarialQuerying(MoreShots(its.learner, shots=3), aq.attack, 0.25))
    torch.testing.assert_close(robust.train().loss(batch), by_hand.train().loss(batch))


def test_errors_of_a_defense_in_a_recipe_have_its_line() -> None:
    at, learner = ("rows", "0", "defense"), LinearHeadModule(plain.network())
    source = Source("r.yaml", {at: 7, (*at, "attack"): 8})
    for settings, words in (
        (
            {"name": "aq", "attack": 7},
            "r.yaml:8: rows.0.defense.attack: is 7; it must be the name of an attack, as pgd-7",
        ),
        ({"name": "aq"}, "r.yaml:7: rows.0.defense: 'attack' is missing"),
        ({"name": "aqq", "attack": "pgd-7"}, "r.yaml:7: rows.0.defense.name: unknown defense 'aqq'"),
        ({"name": "aq", "attack": "pgd-7", "ramp": 2}, "r.yaml:7: rows.0.defense: ramp is 2"),
        ({"name": "its", "threat": 1}, "r.yaml:7: rows.0.defense.threat: is not a setting here"),
    ):
        with pytest.raises(RobustMetaError, match=words):
            defended(learner, settings, Threat(), source, at)


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
        (lambda: {"learner": plain.network(), "stepps": 3}, "stepps: is not a setting here; did you mean 'steps'"),
        (lambda: {**prototypes(NET), "rampp": 3}, "robustify: rampp: is not a setting here; did you mean 'ramp'"),
        (lambda: {**prototypes(NET), "ramp": "big"}, "robustify: ramp: is 'big'; it must be a number"),
        (lambda: {"learner": plain.network(), "eps": 8}, "eps is 8; it must lie in"),
        (lambda: {"learner": plain.network(), "eps": "8/x"}, "robustify: eps: is '8/x'; it must be a number, as 0.1"),
        (
            lambda: {"learner": plain.network(), "attack": PGD(0.1), "eps": 0.3},
            r"robustify: eps: is 0.3, and the attack brings its own, Threat\(norm='Linf', eps=0.1\); leave it out",
        ),
        (
            lambda: {"learner": plain.network(), "attack": PGD(0.1), "norm": "L2"},
            "robustify: norm: is 'L2', and the attack brings its own",
        ),
        (
            lambda: {"learner": plain.network(), "defense": "noise", "eps": 0.3},
            "robustify: eps: is 0.3, and no attack is made under it here; leave it out",
        ),
        (
            lambda: {"learner": around(plain.network()), "defense": "awp", "eps": 0.3},
            "robustify: eps: is 0.3, and no attack is made under it here; leave it out",
        ),
        (
            lambda: {"learner": around(plain.network()), "defense": "awp", "attack": "pgd-7"},
            "awp goes around aq, which has an attack",
        ),
        *(
            (
                lambda name=name: {"learner": plain.network(), "defense": name, "attack": "pgd-7"},
                f"robustify: attack: is of no use to {name}, which takes none; leave it out",
            )
            for name in ("noise", "its", "label-smoothing", "free-aq")
        ),
        (lambda: {"learner": plain.network(), "attack": 7}, "attack: is 7; it must be the name of an attack, as pgd-7"),
        (
            lambda: {"learner": plain.network(), "atack": "pgd-3"},
            r"did you mean 'attack'\? \(known: steps, .*ramp, precision, defense, attack, eps, norm\)",
        ),
        (
            lambda: {**prototypes(NET), "defense": "noise", "sigmaa": 1},
            r"did you mean 'sigma'\? \(known: sigma, clip, defense\)",
        ),
        (
            lambda: {"learner": plain.network(), "defense": ["its", "aq"], "attack": "pgd-3"},
            "robustify: attack: stands beside its name in defense",
        ),
        (
            lambda: {"learner": plain.network(), "defense": ["its", "aq"], "ramp": 0.5},
            "robustify: ramp: is not a setting",
        ),
        (
            lambda: {"learner": plain.network(), "defense": ["its", {"name": "aq", "rampp": 1}]},
            "robustify: defense.1.rampp: is not a setting here; did you mean 'ramp'",
        ),
        (
            lambda: {"learner": plain.network(), "defense": ["its", {"name": "aq", "attack": "pgd-200"}]},
            "robustify: defense.1.attack: unknown attack 'pgd-200'",
        ),
        (
            lambda: {"learner": plain.network(), "defense": {"name": "its", "attack": "pgd-3"}},
            "robustify: defense.attack: is of no use to its",
        ),
        (
            lambda: {"learner": plain.network(), "defense": ["its", 3]},
            "robustify: defense: has 3; it must be a name, or",
        ),
        (lambda: {"learner": plain.network(), "defense": [{"shots": 3}]}, "defense: has {'shots': 3}; it must be"),
        (lambda: {"learner": plain.network(), "defense": []}, r"robustify: defense: is \[\]; it must be a name, a"),
        (lambda: {"learner": plain.network(), "defense": None}, "robustify: defense: is None; it must be a name, a"),
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
