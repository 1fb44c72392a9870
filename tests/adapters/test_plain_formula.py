"""Every adapter's adversarial outer loss is the formula, written out task by task, and so is its gradient."""

import iteryne
import pytest
import torch
import torchopt

from robustmeta.adapters import Functions
from robustmeta.attacks.projected_gradient import FGSM
from robustmeta.robustify import robustify
from tests.adapters import plain, stand_in_easyfsl, stand_in_learn2learn

ATTACK = FGSM(plain.EPS)


def test_functions(batch) -> None:
    net = plain.features()
    robust = robustify(adapt=plain.means(net), logits=lambda f, x: f(x), module=net, attack=ATTACK)
    with pytest.raises(ValueError, match="cannot be cut off from its graph"):  # the state is a function
        robust.loss(batch)

    def centres(x, y):
        return {"means": torch.stack([net(x[y == label]).mean(0) for label in range(3)])}

    robust = robustify(adapt=centres, logits=lambda state, x: -torch.cdist(net(x), state["means"]), attack=ATTACK)
    plain.agree(robust, net, batch, plain.means(net))


def test_easyfsl_stand_in(batch) -> None:
    net = plain.features()
    robust = robustify(stand_in_easyfsl.PrototypicalNetworks(net), attack=ATTACK)
    assert type(robust.base).__name__ == "EasyFSL"
    plain.agree(robust, net, batch, plain.means(net))


@pytest.mark.parametrize("first_order", [False, True])
def test_learn2learn_stand_in(batch, first_order) -> None:
    net = plain.network()
    maml = stand_in_learn2learn.MAML(net, lr=0.3, first_order=first_order)
    robust = robustify(maml, steps=2, attack=ATTACK)
    assert (type(robust.base).__name__, robust.base.order) == ("Learn2Learn", "first" if first_order else "second")
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3, first_order=first_order))


def test_a_clone_of_learn2learn_as_the_state_of_plain_functions(batch) -> None:
    net = plain.network()
    maml = stand_in_learn2learn.MAML(net, lr=0.3)

    def adapt(x, y):
        clone = maml.clone()
        for _ in range(2):
            clone.adapt(torch.nn.functional.cross_entropy(clone(x), y))
        return clone

    robust = robustify(adapt=adapt, logits=lambda clone, x: clone(x), attack=ATTACK)
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3))
    classifier = robust.base.adapt(batch.support_x, batch.support_y)
    assert torch.equal(classifier.detach()(batch.query_x), classifier(batch.query_x))
    assert not classifier.detach()(batch.query_x).requires_grad


@pytest.mark.parametrize("first_order", [False, True])
def test_iteryne(batch, first_order) -> None:
    net = plain.network()
    robust = robustify(iteryne.MAML(net, inner_lr=0.3, inner_steps=2, first_order=first_order), attack=ATTACK)
    assert (type(robust.base).__name__, robust.base.steps) == ("Iteryne", 2)
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3, first_order=first_order))
    robust = robustify(iteryne.ANIL(net, net[-1], inner_lr=0.3, inner_steps=2), steps=3, attack=ATTACK)
    plain.agree(robust, net, batch, plain.maml(net, 3, 0.3, moves="3."))


def test_a_learner_of_iteryne_as_the_state_of_plain_functions(batch) -> None:
    net = plain.network()
    maml = iteryne.MAML(net, inner_lr=0.3, inner_steps=2)
    robust = robustify(
        adapt=lambda x, y: maml.clone().adapt_on(torch.nn.functional.cross_entropy, x, y),
        logits=lambda learner, x: learner(x),
        attack=ATTACK,
    )
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3))


def test_torchopt(batch) -> None:
    net = plain.network()
    robust = robustify(net, inner=torchopt.sgd(lr=0.3), steps=2, attack=ATTACK)
    assert type(robust.base).__name__ == "TorchOpt"
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3))
    robust = robustify(net, inner=torchopt.sgd(lr=0.3), steps=2, first_order=True, attack=ATTACK)
    plain.agree(robust, net, batch, plain.maml(net, 2, 0.3, first_order=True))


def test_torchopt_adam_begins_anew_with_each_task(batch) -> None:
    robust = robustify(plain.network(), inner=torchopt.adam(lr=0.05), steps=3).base.eval()
    together = robust.adapt(batch.support_x, batch.support_y)(batch.query_x)
    alone = [
        robust.adapt(batch.support_x[i : i + 1], batch.support_y[i : i + 1])(batch.query_x[i : i + 1]) for i in (2, 0)
    ]
    torch.testing.assert_close(torch.cat(alone), together[[2, 0]])


def test_linear_head(batch) -> None:
    net = plain.network()
    plain.agree(robustify(net, steps=2, attack=ATTACK), net, batch, plain.maml(net, 2, 0.1, moves="3."))
    whole = robustify(net, steps=2, inner_lr=0.3, moves="all", attack=ATTACK)
    plain.agree(whole, net, batch, plain.maml(net, 2, 0.3))
    first = robustify(net, steps=2, inner_lr=0.3, moves="all", first_order=True, attack=ATTACK)
    plain.agree(first, net, batch, plain.maml(net, 2, 0.3, first_order=True))


def test_a_learner_goes_in_as_it_is(learner, batch) -> None:
    inner = learner("protonet").double()
    robust = robustify(inner, attack=ATTACK, ramp=0.5)
    assert robust.learner is inner
    assert robust.ramp == 0.5
    around = robustify(Functions(lambda x, y: x.mean(0), lambda s, x: x[:, 0, :3, 0]), defense="noise", sigma=0.1)
    assert around.defense == "noise"
