"""What every learner and classifier promises, for each of them."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.graph import Node

from robustmeta.backbones import POLICIES
from robustmeta.errors import RobustMetaError
from robustmeta.learners import LEARNERS, Classifier, FineTune, Learner

SOLVING = ("r2d2", "metaoptnet", "versa", "versa-aq")
ADAPTING = ("fomaml", "unicorn-maml", "meta-sgd", "reptile", "maml++", "anil", "abml")
COMPARING = ("matching", "relation", "siamese", "mann", "metanets")
DEFENDED = ("protonet-aq", "maml-aq", "reptile-aq", "maml++-aq", "abml-aq")
TRANSFERRING = ("transfer", "finetune")
NAMES = ("protonet", "maml", *COMPARING, *ADAPTING, *SOLVING, *TRANSFERRING, *DEFENDED)


@pytest.fixture(params=NAMES)
def made(request, learner) -> Learner:
    return learner(request.param, "group" if request.param in TRANSFERRING else "support").double()


def test_logits_have_a_row_for_each_query_and_a_column_for_each_way(made, batch) -> None:
    classifier = made.adapt(batch.support_x, batch.support_y)
    assert classifier(batch.query_x).shape == (3, 9, 3)
    assert classifier.ways == 3


def test_one_task_is_a_plain_module_with_the_same_logits(made, batch) -> None:
    classifier = made.eval().adapt(batch.support_x, batch.support_y)
    together = classifier(batch.query_x)
    for index in range(3):
        task = classifier.task(index)
        torch.testing.assert_close(task(batch.query_x[index]), together[index])
        assert not task.training
        assert not task.train().training
        assert task.ways == 3
        assert list(task.parameters()) == []


def test_tasks_are_selected_in_the_order_given(made, batch) -> None:
    classifier = made.eval().adapt(batch.support_x, batch.support_y)
    picked = classifier.select([2, 0])(batch.query_x[[2, 0]])
    torch.testing.assert_close(picked, classifier(batch.query_x)[[2, 0]])


def test_a_classifier_has_one_mode_and_nothing_to_train(made, batch) -> None:
    classifier = made.adapt(batch.support_x, batch.support_y)
    assert list(classifier.parameters()) == []
    assert list(classifier.buffers()) == []
    before = classifier(batch.query_x)
    assert classifier.eval() is classifier
    assert torch.equal(classifier(batch.query_x), before)


def leaves(node: Node | None) -> set[torch.Tensor]:
    """The tensors at the ends of a graph."""
    found, todo, seen = set(), [node], set()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(node.variable)
        todo += [next_node for next_node, _ in node.next_functions]
    return found


@pytest.mark.parametrize("detached", [True, False])
def test_in_evaluation_or_detached_only_the_input_is_left_in_the_graph(made, batch, detached) -> None:
    classifier = made.train(detached).adapt(batch.support_x, batch.support_y)
    if detached:
        classifier = classifier.detach()
    x = batch.query_x.clone().requires_grad_()
    logits = classifier(x)
    assert leaves(logits.grad_fn) == {x}
    (gradient,) = torch.autograd.grad(logits.square().sum(), x)
    assert (gradient.flatten(2).abs().sum(-1) > 0).all()


def hanging(made: Learner, batch) -> tuple[torch.Tensor, Classifier]:
    """A support that requires a gradient, and what a learner in evaluation mode makes of it."""
    support = batch.support_x.clone().requires_grad_()
    return support, made.eval().adapt(support, batch.support_y)


def test_in_evaluation_a_support_that_requires_a_gradient_makes_the_same_classifier(made, batch) -> None:
    plain = made.eval().adapt(batch.support_x, batch.support_y)(batch.query_x)
    _, classifier = hanging(made, batch)
    assert torch.equal(classifier(batch.query_x), plain)
    assert leaves(plain.grad_fn) == set()


@pytest.mark.parametrize("norm", POLICIES)
@pytest.mark.parametrize("name", ["protonet", "maml", "meta-sgd", "anil", "abml", "r2d2", "versa", *COMPARING])
def test_in_evaluation_the_graph_of_the_support_gives_the_slope_of_what_is_judged(learner, batch, name, norm) -> None:
    """Against central differences of adaptations that keep no graph, along a random direction of the support."""
    made = learner(name, norm).double().eval()

    def loss(classifier: Classifier) -> torch.Tensor:
        return F.cross_entropy(classifier(batch.query_x).flatten(0, 1), batch.query_y.flatten())

    along = torch.randn(batch.support_x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inner = batch.support_x.clamp(1e-3, 1 - 1e-3)
    support = inner.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(made.adapt(support, batch.support_y)), support)
    above, below = (loss(made.adapt(inner + step * along, batch.support_y)).item() for step in (1e-7, -1e-7))
    assert (above - below) / 2e-7 == pytest.approx((gradient * along).sum().item(), rel=1e-4)
    assert abs(above - below) / 2e-7 > 1e-5


def test_in_evaluation_no_graph_reaches_the_learner(made, batch) -> None:
    support, classifier = hanging(made, batch)
    logits = classifier(batch.query_x)
    assert support in leaves(logits.grad_fn)
    assert not leaves(logits.grad_fn) & set(made.parameters())
    assert leaves(classifier.detach()(batch.query_x).grad_fn) == set()
    with torch.no_grad():
        cut = made.adapt(support, batch.support_y)
    assert leaves(cut(batch.query_x).grad_fn) == set()


def test_in_training_every_parameter_is_reached(made, batch) -> None:
    logits = made.train().adapt(batch.support_x, batch.support_y)(batch.query_x)
    of_adaptation = made.backbone if isinstance(made, FineTune) else made  # its base classes are for its loss alone
    reached = {leaf for leaf in leaves(logits.grad_fn) if isinstance(leaf, nn.Parameter)}  # a start at zero is none
    assert reached == set(of_adaptation.parameters())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 2, 2, 2, 2], "task 1 has no support image of class 1; each of the 3 ways needs one"),
        ([0, 0, -1, 1, 2, 2], "labels run from -1 to 2; they must be 0 to ways-1 = 2"),
        ([0, 0, 1, 1, 2], r"the labels of support_x have shape \[3, 5\]; they must be \[3, 6\]"),
        ([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], "support_y has type torch.float32; labels must be integers"),
    ],
)
def test_supports_with_wrong_labels_are_refused(made, batch, labels, message) -> None:
    wrong = batch.support_y[:, : len(labels)].to(torch.tensor(labels).dtype).clone()
    wrong[1] = torch.tensor(labels)
    with pytest.raises(RobustMetaError, match=message) as error:
        made.adapt(batch.support_x, wrong)
    assert "\n" not in str(error.value)


def test_supports_with_wrong_images_are_refused(made, batch) -> None:
    with pytest.raises(RobustMetaError, match=r"support_x has values .* images must lie in \[0, 1\], without NaN"):
        made.adapt(255 * batch.support_x, batch.support_y)
    with pytest.raises(RobustMetaError, match=r"support_x has shape \[6, 1, 16, 16\]; it must be \[T, N, C, H, W\]"):
        made.adapt(batch.support_x[0], batch.support_y[0])


def test_detaching_changes_no_logit(made, batch) -> None:
    classifier = made.train().adapt(batch.support_x, batch.support_y)
    assert torch.equal(classifier.detach()(batch.query_x), classifier(batch.query_x))


def test_adapting_changes_no_parameter_and_leaves_no_gradient(made, batch) -> None:
    before = copy.deepcopy(made.state_dict())
    with torch.no_grad():
        made.eval().adapt(batch.support_x, batch.support_y)
    made.train().adapt(batch.support_x, batch.support_y)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())
    assert all(parameter.grad is None for parameter in made.parameters())


@pytest.mark.parametrize("name", ["protonet", "maml"])
def test_the_loss_is_mean_cross_entropy_on_the_queries(learner, batch, name) -> None:
    made = learner(name).double()
    logits = made.adapt(batch.support_x, batch.support_y)(batch.query_x)
    right = logits.softmax(-1).gather(-1, batch.query_y[..., None])
    torch.testing.assert_close(made.loss(batch), -right.log().mean())


def test_a_learner_is_its_own_base_and_counts_as_fully_trained(learner) -> None:
    for name in ("protonet", "maml"):
        made = learner(name)
        assert (made.base, made.progress, made.defense) == (made, 1.0, "natural")


def test_learners_are_found_by_name() -> None:
    assert set(LEARNERS) >= {"maml", "protonet"}
    with pytest.raises(RobustMetaError, match="unknown learner 'protonets'; did you mean 'protonet'"):
        LEARNERS["protonets"]


def test_an_unfinished_learner_or_classifier_says_what_it_lacks(batch) -> None:
    class Empty(Learner):
        pass

    class Blank(Classifier):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must define adapt\(support_x, support_y\)"):
        Empty().loss(batch)
    with pytest.raises(NotImplementedError, match=r"Blank must define forward\(query_x\)"):
        Blank()(batch.query_x)
    with pytest.raises(NotImplementedError, match=r"Blank must define detach\(\)"):
        Blank().detach()
    with pytest.raises(NotImplementedError, match=r"Blank must define select\(tasks\)"):
        Blank().task(0)


def test_what_is_no_batch_is_answered_in_one_line(learner, batch) -> None:
    with pytest.raises(
        RobustMetaError, match=r"the batch is a tuple; it must be robustmeta.EpisodeBatch\(support_x, supp"
    ):
        learner().loss((batch.support_x, batch.support_y, batch.query_x, batch.query_y))
