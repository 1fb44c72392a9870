"""Whether what adaptation makes of one task is that task's own."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from robustmeta.adapters.taskwise_classifier import Adapted, TaskwiseClassifier, copies, near
from robustmeta.adapters.undisturbed import in_modes, modes_of, standing_in
from robustmeta.attacks.isolation import drawing_from
from robustmeta.batch import ways_of
from robustmeta.errors import RobustMetaError

if TYPE_CHECKING:
    from robustmeta.adapters.taskwise import TaskwiseLearner


def stays_apart(learner: "TaskwiseLearner", task: Adapted, support_x: Tensor, support_y: Tensor) -> bool:
    """Whether the first task of supports `[T, N, C, H, W]`, just adapted, is seen to be untouched by adapting another.

    The other is the last task, or, where that has the same images, the first one's negatives, mirrored. False where
    nothing is seen, as the classifiers of both are alike, or random. To be called where the task was adapted.

    Raises `RobustMetaError` where the task's logits change once the other is adapted.
    """
    images, other_x = support_x.detach()[0], support_x.detach()[-1]
    other_y = support_y[-1]
    if torch.equal(images, other_x):
        other_x, other_y = 1 - images.flip(-1), support_y[0]
    ways = ways_of(support_y)
    buffers = {name: buffer.clone() for name, buffer in learner.named_buffers()}
    right_after = _logits(learner, task, images, ways, {})
    again = _logits(learner, task, images, ways, {})
    own = [*learner.own_weights(), *copies(learner.buffers())]
    with drawing_from(task.seed), in_modes(learner), standing_in([learner], own), torch.enable_grad():
        other = learner.adapted_one(other_x, other_y, task.seed)
        tracked = {name: buffers[name] for name in _tracked(learner) if name in buffers} if learner.training else {}
        later = _logits(learner, task, images, ways, tracked)
        others = _logits(learner, other, images, ways, tracked)
    if not near(again, right_after):
        return False
    if not near(later, right_after):
        raise RobustMetaError(learner.shared_state)
    return not near(others, right_after)


@torch.no_grad()
def _logits(learner: "TaskwiseLearner", task: Adapted, images: Tensor, ways: int, buffers: dict[str, Tensor]) -> Tensor:
    """The logits of a task with modes and buffers as they stand, but for the `buffers` given by name."""
    kept = [(buffer, buffers.get(name, buffer).clone()) for name, buffer in learner.named_buffers()]
    classifier = TaskwiseClassifier(learner, [task], ways, modes_of(learner), [], kept)
    logits: Tensor = classifier.detach()(images[None])
    return logits


def _tracked(learner: nn.Module) -> list[str]:
    """The buffers that torch's own layers keep up in training, as running statistics, which tasks share by intent."""
    found: list[str] = []
    for path, part in learner.named_modules():
        if isinstance(part, _NormBase) or type(part).__module__.startswith("torch.nn."):
            found += [f"{path}.{name}" for name in part._buffers]
    return found
