"""Who is in play, who left, and whose random numbers are whose."""

import pytest
import torch

from robustmeta.attacks.in_play import InPlay
from robustmeta.draws import Draws
from robustmeta.learners.base import Classifier


class Signs(Classifier):
    """Two classes: 1 where an image's first pixel is above the task's threshold."""

    ways = 2

    def __init__(self, thresholds, shares_weights=False) -> None:
        super().__init__()
        self.thresholds, self.shares_weights = thresholds, shares_weights

    def forward(self, query_x):
        above = query_x[..., 0, 0, 0] - torch.tensor(self.thresholds)[:, None]
        return torch.stack([-above, above], -1)

    def select(self, tasks):
        return Signs([self.thresholds[task] for task in tasks], self.shares_weights)


@pytest.mark.parametrize("shares", [False, True])
def test_the_fooled_leave_and_the_best_of_each_is_kept(shares) -> None:
    images = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.2, 0.2, 0.7]])[..., None, None, None]
    labels = torch.zeros(3, 3, dtype=torch.long)
    play = InPlay(Signs([0.25, 0.3, 0.65], shares), images, labels)
    place = torch.arange(9).view(3, 3)

    def look(x):
        logits = play.classifier(x)
        play.note(x, x[..., 0, 0, 0], logits)

    look(images)  # the last of task 0, all of task 1 and the last of task 2 are above
    (left,) = play.leave(place)
    assert play.tasks.tolist() == ([0, 0, 2, 2] if shares else [0, 2])
    assert left.tolist() == ([[0], [1], [6], [7]] if shares else [[0, 1], [6, 7]])
    assert torch.equal(play.taken(place), left)
    assert torch.equal(play.images, play.taken(images))
    assert play.classifier.thresholds == ([0.25, 0.25, 0.65, 0.65] if shares else [0.25, 0.65])
    look(play.images + 0.06)  # the second of task 0 leaves; the rectangle keeps it beside those of task 2
    (left,) = play.leave(left)
    assert left.tolist() == ([[0], [6], [7]] if shares else [[0, 1], [6, 7]])
    look(play.images - 0.1)  # nothing gained
    look(play.images + 0.5)
    assert play.leave(left)[0].numel() == 0
    assert play.over
    found = [[0.6, 0.26, 0.3], [0.4, 0.5, 0.6], [0.7, 0.7, 0.7]]
    assert torch.allclose(play.found[..., 0, 0, 0], torch.tensor(found))


def test_where_they_go_on_the_highest_loss_of_those_that_fool_is_kept() -> None:
    images, labels = torch.full((1, 1, 1, 1, 1), 0.5), torch.zeros(1, 1, dtype=torch.long)
    play = InPlay(Signs([0.25]), images, labels, until_fooled=False)
    for value, kept in ((0.3, 0.3), (0.2, 0.3), (0.6, 0.6), (0.4, 0.6)):
        x = torch.full_like(images, value)
        play.note(x, x[..., 0, 0, 0] + (value < 0.25), play.classifier(x))  # a higher loss that does not fool
        assert play.found.item() == pytest.approx(kept)
    assert play.leave(labels)[0].shape == (1, 1)


def test_a_task_draws_what_torch_draws_after_its_seed() -> None:
    draws = Draws(torch.zeros(2, 1), [3, 4])
    first, second, signs = draws.uniform(5), draws.normal(32), draws.signs(7)
    for task, seed in enumerate((3, 4)):
        torch.manual_seed(seed)
        assert torch.equal(first[task], torch.rand(5))
        assert torch.equal(second[task], torch.randn(32))
        assert torch.equal(signs[task], (2 * torch.rand(7) - 1).sign())


def test_those_that_stand_keep_their_order_whoever_remains_beside_them() -> None:
    images = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.9]])[..., None, None, None]
    play = InPlay(Signs([0.5, 0.5, 0.5]), images, torch.zeros(3, 3, dtype=torch.long))
    play.note(images, images[..., 0, 0, 0], play.classifier(images))
    (left,) = play.leave(torch.arange(9).view(3, 3))
    assert left.tolist() == [[1, 2], [3, 4]]
    whole = InPlay(Signs([0.5, 0.5]), images[[0, 2]], torch.zeros(2, 3, dtype=torch.long))
    low = torch.full_like(images[[0, 2]], 0.1)
    low[0, 0], low[1] = 0.9, 0.9
    whole.note(low, low[..., 0, 0, 0], whole.classifier(low))
    assert whole.leave(torch.arange(6).view(2, 3))[0].tolist() == [[1, 2]]


def test_the_last_iterates_are_put_only_where_nobody_was_fooled() -> None:
    images = torch.tensor([[0.9, 0.1], [0.1, 0.1]])[..., None, None, None]
    play = InPlay(Signs([0.5, 0.5]), images, torch.zeros(2, 2, dtype=torch.long))
    play.note(images, images[..., 0, 0, 0], play.classifier(images))
    play.leave()
    play.put(torch.full_like(play.images, 0.3))  # the first, fooled, remains beside the others
    torch.testing.assert_close(play.found[..., 0, 0, 0], torch.tensor([[0.9, 0.3], [0.3, 0.3]]))
