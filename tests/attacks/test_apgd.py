"""Auto-PGD step for step with torchattacks, against the closed form, and in company."""

import pytest
import torch
import torchattacks

from robustmeta.attacks.apgd import AutoPGD, _Climb, _windows, dlr, targeted_dlr
from robustmeta.attacks.base import Threat, craft
from robustmeta.attacks.meter import Meter, Metered
from robustmeta.errors import RobustMetaError
from robustmeta.learners.base import Classifier

NORMS = pytest.mark.parametrize("norm", ["Linf", "L2"])
SETTINGS = [("ce", 0), ("dlr", 0), ("dlr", 9)]
AIMS = pytest.mark.parametrize(("loss", "targets"), SETTINGS)


class Nets(Classifier):
    """A network in float64 for each task, whose loss is bent enough for step sizes to shrink."""

    ways = 5

    def __init__(self, nets) -> None:
        super().__init__()
        self.nets = nets

    def forward(self, query_x):
        return torch.stack([net(x) for net, x in zip(self.nets, query_x, strict=True)])

    def detach(self):
        return self

    def select(self, tasks):
        return Nets([self.nets[task] for task in tasks])


@pytest.fixture(scope="module")
def two_nets():
    """Classifiers of two tasks, eight images of each that are classified with the largest margins, and their labels."""
    torch.manual_seed(0)
    nets, images = [], []
    for _ in range(2):
        net = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(100, 32), torch.nn.Tanh(), torch.nn.Linear(32, 5)
        ).double()
        drawn = torch.rand(400, 1, 10, 10).double()
        first, second = net(drawn).topk(2).values.unbind(1)
        nets.append(net)
        images.append(drawn[(first - second).argsort()[-8:]])
    classifier = Nets(nets)
    return classifier, torch.stack(images), classifier(torch.stack(images)).argmax(-1)


def theirs(net, norm, eps, loss, targets, steps, seed):
    about = {"norm": norm, "eps": eps, "steps": steps, "seed": seed}
    return torchattacks.APGDT(net, n_classes=5, **about) if targets else torchattacks.APGD(net, loss=loss, **about)


def unfooled(attack, images, labels, seed):
    """The images of highest loss of an attack that fools nobody, which it throws away."""
    torch.manual_seed(seed)
    tries = []
    for target in (2, 3, 4, 5) if isinstance(attack, torchattacks.APGDT) else (0,):
        attack.target_class = target
        best, right, loss, _ = attack.attack_single_run(images, labels)
        assert right.all()
        tries.append((loss, best))
    which = torch.stack([loss for loss, _ in tries]).argmax(0)
    return torch.stack([best for _, best in tries])[which, torch.arange(len(which))]


@NORMS
@AIMS
def test_it_takes_the_path_of_torchattacks(two_nets, norm, loss, targets) -> None:
    classifier, images, labels = two_nets
    if (norm, targets) == ("L2", 9):  # torchattacks.APGDT steps all images by the step size of the first
        images, labels = images[:, :1], labels[:, :1]
    eps = {"Linf": 0.03, "L2": 0.3}[norm]
    for steps in (1, 10):
        moved = AutoPGD(Threat(norm, eps), steps, loss, targets)(classifier, images, labels, [3, 4])
        for task, net in enumerate(classifier.nets):
            other = unfooled(
                theirs(net, norm, eps, loss, targets, steps, 3 + task), images[task], labels[task], 3 + task
            )
            assert (moved[task] - other).abs().max() < 1e-7
            assert (moved[task] - images[task]).abs().max() > 0.1 * eps


@NORMS
@AIMS
def test_it_fools_where_torchattacks_does(two_nets, norm, loss, targets) -> None:
    classifier, images, labels = two_nets
    eps = {"Linf": 0.12, "L2": 0.9}[norm]
    moved = AutoPGD(Threat(norm, eps), 40, loss, targets)(classifier, images, labels, [3, 4])
    fooled = classifier(moved).argmax(-1) != labels
    assert 0 < fooled.sum() < fooled.numel()
    for task, net in enumerate(classifier.nets):
        other = theirs(net, norm, eps, loss, targets, 40, 3 + task)(images[task], labels[task])
        assert torch.equal(fooled[task], net(other).argmax(-1) != labels[task])


@NORMS
@pytest.mark.parametrize("ways", [2, 3, 5])
def test_it_succeeds_just_above_the_smallest_perturbation_and_never_below(problem, norm, ways) -> None:
    p = problem(norm, queries=6, ways=ways, seed=ways)
    p.images, p.classifier = (
        p.images.double(),
        type(p.classifier)(p.classifier.weight.double(), p.classifier.bias.double()),
    )
    for loss, targets in SETTINGS:
        for factor in (0.98, 1.02):
            attack = AutoPGD(Threat(norm, factor * p.distance), 30, loss, targets, restarts=2)
            if attack.fewest_ways <= ways:
                moved = craft(attack, p.classifier, p.images, p.labels, [0, 1])
                assert (p.fooled(moved) == (factor > 1)).all()


def test_checkpoints_are_those_of_the_paper() -> None:
    assert list(_windows(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert _windows(100) == {22: 22, 41: 19, 57: 16, 70: 13, 80: 10, 87: 7, 93: 6, 99: 6}
    assert _windows(3) == {1: 1, 2: 1, 3: 1}


def test_a_checkpoint_by_hand() -> None:
    """The loss rose in 3 of 4 steps, then in more; it did not improve; nor did it where the last checkpoint halved."""
    numbers = {
        "rises": [3, 4, 4, 4], "best_loss": [2, 2, 1, 1], "checked": [1, 1, 1, 1], "size": [8, 8, 8, 8],
        "loss": [0, 0, 0, 0],
    }  # fmt: skip
    images = {"x": 0.0, "old": 0.0, "gradient": 0.0, "best": 1.0, "best_gradient": 2.0}
    now = _Climb(
        **{name: torch.tensor([values]).float() for name, values in numbers.items()},
        **{name: torch.full((1, 4, 1, 1, 1), value) for name, value in images.items()},
        reduced=torch.tensor([[False, False, False, True]]),
    )
    now.check(0.75 * 4)
    assert now.reduced.tolist() == [[True, False, True, False]]
    assert now.size.tolist() == [[4, 8, 4, 8]]
    assert now.x.flatten().tolist() == [1, 0, 1, 0]
    assert now.gradient.flatten().tolist() == [2, 0, 2, 0]
    assert now.checked.tolist() == [[2, 2, 1, 1]]
    assert now.rises.tolist() == [[0, 0, 0, 0]]
    first = AutoPGD()._beginning(torch.zeros(1, 1, 1, 2, 2), torch.ones(1, 1), torch.zeros(1, 1, 1, 2, 2))
    assert first.reduced.all()  # so that at the first checkpoint no loss that stays the same halves anything


def test_ratios_by_hand() -> None:
    logits, right = torch.tensor([[[7.0, 5.0, 1.0, 3.0]]]), torch.tensor([[0]])
    assert dlr(logits, right).item() == pytest.approx((5 - 7) / (7 - 3))
    assert dlr(logits, torch.tensor([[3]])).item() == pytest.approx((7 - 3) / (7 - 3))
    for shifted in (logits, 10 * logits - 300):
        assert targeted_dlr(shifted, right, torch.tensor([[2]])).item() == pytest.approx((1 - 7) / (7 - 0.5 * 3 - 0.5))


@pytest.mark.parametrize("shares", [False, True])
def test_what_becomes_of_a_query_hangs_on_its_place_and_its_tasks_seed_alone(two_nets, shares) -> None:
    classifier, images, labels = two_nets

    class Shared(Nets):
        shares_weights = shares

    attack = AutoPGD(Threat("Linf", 0.12), 20, "dlr", targets=4, restarts=2)
    seen, shared = [], Shared(classifier.nets)
    shared.select = lambda tasks: seen.append(list(tasks)) or Shared([classifier.nets[task] for task in tasks])
    moved = attack(shared, images, labels, [3, 4])
    others = torch.ones_like(labels, dtype=torch.bool)
    others[1, 5] = others[0, 2] = False
    apart = attack(
        classifier, images, torch.where(others, (labels + 1) % 5, labels), [3, 4]
    )  # the others leave at once
    assert torch.allclose(apart[~others], moved[~others])
    assert torch.equal(apart[others], images[others])
    assert torch.allclose(attack(classifier.select([1]), images[1:], labels[1:], [4]), moved[1:])
    assert not torch.allclose(attack(classifier, images, labels, [5, 6]), moved)
    assert bool(seen) == shares  # a task of one query each; both tasks have some that stand to the end


def test_who_is_fooled_leaves_unless_queries_depend_on_each_other_or_are_to_go_on(two_nets) -> None:
    classifier, images, labels = two_nets
    labels = labels.clone()
    labels[:, :4] = (labels[:, :4] + 1) % 5  # wrong from the start
    for until_fooled, inductive, asked in ((True, True, 16 + 11 * 8), (False, True, 16 * 12), (True, False, 16 * 12)):
        meter, again = Meter(), Nets(classifier.nets)
        again.inductive = inductive
        attack = AutoPGD(Threat("Linf", 0.01), 10, until_fooled=until_fooled)
        moved = attack(Metered(again, meter), images, labels, [0, 1])
        assert (meter.forwards, meter.backwards) == (asked, (asked - 16) * 10 // 11)
        assert torch.equal(moved[:, :4], images[:, :4]) == (asked < 192)


def test_it_climbs_in_float32_where_the_gradient_is_too_small_to_be_squared(problem) -> None:
    p = problem("L2", queries=4)
    confident = p.scaled(20.0)
    attack = AutoPGD(Threat("L2", 1.1 * p.distance), 30)
    assert p.fooled(attack(confident, p.images, p.labels, [0, 1])).all()


def test_without_seeds_it_draws_from_the_global_stream(two_nets) -> None:
    classifier, images, labels = two_nets
    attack = AutoPGD(Threat("L2", 0.3), 2)
    torch.manual_seed(0)
    first, second = (attack(classifier, images, labels) for _ in range(2))
    torch.manual_seed(0)
    assert torch.equal(attack(classifier, images, labels), first)
    assert not torch.equal(second, first)


def test_settings(problem) -> None:
    for wrong, part in (
        ({"loss": "drl"}, "unknown loss of APGD 'drl'; did you mean 'dlr'"),
        ({"steps": 0}, "both must be at least 1"),
        ({"targets": 3}, "it must be 0, or more with dlr"),
        ({"rho": 1.5}, "rho is 1.5; it must lie in"),
    ):
        with pytest.raises(RobustMetaError, match=part):
            AutoPGD(**wrong)
    p = problem("Linf", ways=3)
    with pytest.raises(
        RobustMetaError, match="APGD with loss dlr and targets needs tasks of 4 ways or more, these have 3"
    ):
        AutoPGD(loss="dlr", targets=2)(p.classifier, p.images, p.labels)
    assert AutoPGD(Threat("L2", 1.0), 7, "dlr").scaled(0.5) == AutoPGD(Threat("L2", 0.5), 7, "dlr")
    assert torch.equal(AutoPGD(Threat("Linf", 0.0))(p.classifier, p.images, p.labels), p.images)
    assert AutoPGD()(p.classifier, p.images[:, :0], p.labels[:, :0]).shape == (2, 0, 1, 6, 6)
