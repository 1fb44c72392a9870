"""The Square attack number for number with torchattacks, by hand, and in company."""

import pytest
import torch
import torchattacks

from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.in_play import InPlay
from robustmeta.attacks.meter import Meter, Metered
from robustmeta.attacks.square import Square
from robustmeta.draws import Draws
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier

NORMS = pytest.mark.parametrize("norm", ["Linf", "L2"])


class Nets(Classifier):
    """A network in float64 for each task; it will not be asked for a gradient."""

    ways = 5

    def __init__(self, nets) -> None:
        super().__init__()
        self.nets = nets

    def forward(self, query_x):
        assert not torch.is_grad_enabled()
        return torch.stack([net(x) for net, x in zip(self.nets, query_x, strict=True)])

    def select(self, tasks):
        return Nets([self.nets[task] for task in tasks])


@pytest.fixture(scope="module")
def two_nets():
    """Classifiers of two tasks, eight coloured images of each, with middling to large margins, and their labels."""
    torch.manual_seed(0)
    nets, images, labels = [], [], []
    for _ in range(2):
        net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(300, 32), torch.nn.Tanh(), torch.nn.Linear(32, 5)
        ).double()
        drawn = torch.rand(100, 3, 10, 10).double()
        logits = net(drawn)
        first, second = logits.topk(2).values.unbind(1)
        chosen = (first - second).argsort()[28::10]
        nets.append(net)
        images.append(drawn[chosen])
        labels.append(logits[chosen].argmax(-1))
    return Nets(nets), torch.stack(images), torch.stack(labels)


def fooled(classifier, moved, labels):
    with torch.no_grad():
        return classifier(moved).argmax(-1) != labels


@NORMS
@pytest.mark.parametrize("loss", ["margin", "ce"])
def test_it_takes_the_path_of_torchattacks(two_nets, norm, loss) -> None:
    classifier, images, labels = two_nets
    eps = {"Linf": 0.03, "L2": 0.3}[norm]
    images, labels = images[:, 4:], labels[:, 4:]
    for rescale in (True, False):
        moved = Square(Threat(norm, eps), 60, loss=loss, rescale_schedule=rescale)(classifier, images, labels, [3, 4])
        assert not fooled(classifier, moved, labels).any()  # from then on theirs draws other numbers under L2
        for task, net in enumerate(classifier.nets):
            theirs = torchattacks.Square(net, norm, eps, 60, loss=loss, resc_schedule=rescale)
            theirs.init_hyperparam(images[task])
            torch.manual_seed(3 + task)
            other = theirs.attack_single_run(images[task], labels[task])[1]
            assert (moved[task] - other).abs().max() < 1e-5
            assert (moved[task] - images[task]).abs().max() > 0.05 * eps


@pytest.mark.parametrize("loss", ["margin", "ce"])
def test_it_fools_where_torchattacks_does(two_nets, loss) -> None:
    classifier, images, labels = two_nets
    moved = Square(Threat("Linf", 0.06), 100, loss=loss)(classifier, images, labels, [3, 4])
    found = fooled(classifier, moved, labels)
    assert 2 < found.sum() < 14
    for task, net in enumerate(classifier.nets):
        other = torchattacks.Square(net, "Linf", 0.06, 100, loss=loss, seed=3 + task)(images[task], labels[task])
        assert torch.equal(found[task], net(other).argmax(-1) != labels[task])


def test_windows_shrink_as_those_of_torchattacks() -> None:
    for queries, rescale in ((1000, True), (5000, False), (37, True)):
        theirs = torchattacks.Square(torch.nn.Identity(), n_queries=queries, resc_schedule=rescale)
        attack = Square(n_queries=queries, rescale_schedule=rescale)
        for step in range(queries):
            assert attack.side(step, 28, 28) == max(round((theirs.p_selection(step) * 784) ** 0.5), 1)
    assert [Square(Threat("L2", 1.0)).side(step, 28, 28) for step in (0, 50, 4999)] == [25, 13, 3]
    assert Square().side(0, 8, 40) == 8


class Script(Draws):
    """Hands out the numbers it was given."""

    def __init__(self, *numbers) -> None:
        self.numbers = list(numbers)

    def uniform(self, *shape):
        return torch.tensor(self.numbers.pop(0)).view(-1, *shape)


class Sum(Classifier):
    """Right, of label 0, while the sum of an image's pixels is below 9."""

    ways = 2

    def forward(self, query_x):
        total = query_x.flatten(2).sum(-1)
        return torch.stack([9 - total, torch.zeros_like(total)], -1)


def test_two_steps_by_hand() -> None:
    images = torch.full((1, 2, 1, 4, 4), 0.5)
    images[0, 1] = 0.25
    labels = torch.zeros(1, 2, dtype=torch.long)
    # A side of 4 pixels by p_init = 1 covers everything; with p_init = 1/4 it is 2. The stripes begin at -0.1.
    attack, play = Square(Threat("Linf", 0.1), 2, p_init=0.25, rescale_schedule=False), InPlay(Sum(), images, labels)
    steps = Script([[0.6, 0.0, 0.9]], [[0.0, 0.99, 0.1]])  # corner at row 1, column 0, up; then at 0, 1, down
    attack._run(play, images - 0.1, steps, images.shape)
    expected = images - 0.1
    expected[..., 1:3, 0:2] += 0.2  # the sum rises, so both take it; what goes down nobody does
    assert torch.allclose(play.found, expected)
    assert not steps.numbers


def test_a_tie_does_not_fool_and_a_smaller_loss_that_fools_does() -> None:
    class Tied(Sum):
        def forward(self, query_x):
            return super().forward(query_x).clamp_min(0)  # past the boundary both logits are 0 and argmax says 0

    images, labels = torch.full((1, 1, 1, 4, 4), 0.55), torch.zeros(1, 1, dtype=torch.long)
    meter = Meter()
    Square(Threat("Linf", 0.2), 30)(Metered(Tied(), meter), images, labels, [0])
    assert meter.forwards == 32  # the clean image, the stripes and 30 windows: it never left
    meter = Meter()
    Square(Threat("Linf", 0.2), 30)(Metered(Sum(), meter), images, labels, [0])
    assert meter.forwards < 32
    assert meter.backwards == 0


@NORMS
@pytest.mark.parametrize("shares", [False, True])
def test_what_becomes_of_a_query_hangs_on_its_place_and_its_tasks_seed_alone(two_nets, norm, shares) -> None:
    classifier, images, labels = two_nets
    attack = Square(Threat(norm, {"Linf": 0.06, "L2": 0.8}[norm]), 40, restarts=2)
    moved = attack(classifier, images, labels, [3, 4])
    found = fooled(classifier, moved, labels)
    assert 0 < found.sum() < 16

    class Shared(Nets):
        shares_weights = shares

        def select(self, tasks):
            return Shared([self.nets[task] for task in tasks])

    others = torch.ones_like(labels, dtype=torch.bool)
    others[1, 5] = others[0, 2] = False
    apart = attack(Shared(classifier.nets), images, torch.where(others, (labels + 1) % 5, labels), [3, 4])
    assert torch.allclose(apart[~others], moved[~others])
    assert torch.equal(apart[others], images[others])
    assert torch.allclose(attack(classifier.select([1]), images[1:], labels[1:], [4]), moved[1:])
    assert not torch.allclose(attack(classifier, images, labels, [5, 6]), moved)


@NORMS
def test_it_fools_through_a_wide_opening_never_where_there_is_none_and_stays_inside(problem, norm) -> None:
    p = problem(norm, queries=8, size=7)
    for factor, fools in ((4, True), (0.98, False)):
        threat = Threat(norm, factor * p.distance)
        moved = Square(threat, 150)(p.classifier, p.images, p.labels, [0, 1])
        assert (p.fooled(craft(Square(threat, 150), p.classifier, p.images, p.labels, [0, 1])) == fools).all()
        assert (threat.size(moved - p.images) <= threat.eps + 1e-5).all()


def test_where_queries_depend_on_each_other_nobody_leaves(problem) -> None:
    p = problem("Linf", tasks=1, queries=8)
    p.classifier.inductive = False
    meter = Meter()
    Square(Threat("Linf", 1.0), 20)(Metered(p.classifier, meter), p.images, p.labels, [0])
    assert meter.forwards == 8 * 22


def test_settings(problem) -> None:
    for wrong, part in (
        ({"loss": "dlr"}, "unknown loss of Square 'dlr'"),
        ({"n_queries": 0}, "both must be at least 1"),
        ({"p_init": 0.0}, "p_init is 0; it must be above 0"),
    ):
        with pytest.raises(RobustMetaError, match=part):
            Square(**wrong)
    assert Square(Threat("L2", 1.0), 7).scaled(0.5) == Square(Threat("L2", 0.5), 7)
    assert (Square(n_queries=7).traits.knowledge, Square(n_queries=7).traits.steps) == ("black-box", 7)
    p = problem("Linf")
    assert torch.equal(Square(Threat("Linf", 0.0))(p.classifier, p.images, p.labels), p.images)
