"""Where a gradient would arrive."""

import torch
from torch import Tensor, nn

from robustmeta.errors import RobustMetaError

BROKEN = ("through the graph a second time", "modified by an inplace operation", "a non-leaf Tensor")
"""Words of torch's errors where code breaks the graph that it is in."""


def leaves_of(tensor: Tensor) -> set[int]:
    """The ids of the tensors in which a backward pass from `tensor` would leave a gradient."""
    found, seen, ahead = set(), set(), [tensor.grad_fn]
    if tensor.grad_fn is None and tensor.requires_grad:
        found.add(id(tensor))
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None:
            found.add(id(leaf))
        ahead += [following for following, _ in node.next_functions]
    return found


def check_reach(classifier: nn.Module, module: nn.Module, images: Tensor) -> None:
    """Raise `RobustMetaError` unless a gradient of the logits of images reaches them, and a parameter that trains.

    A module without a parameter that trains need not be reached.
    """
    try:
        logits = classifier(images)
        if logits.requires_grad:
            torch.autograd.grad(logits.sum(), images, retain_graph=True, allow_unused=True)
    except (RuntimeError, ValueError) as error:
        if not any(words in str(error) for words in BROKEN):
            raise
        raise RobustMetaError(
            f"the logits of {type(module).__name__} have no gradient at the images, along which queries are attacked: "
            "logits runs an optimizer of its own, or writes in place into what the gradient needs, so that it can be "
            "evaluated, but not trained through"
        ) from error
    reached = leaves_of(logits)
    trained = {id(parameter) for parameter in module.parameters() if parameter.requires_grad}
    if trained and not trained & reached:
        raise RobustMetaError(
            f"the outer loss reaches none of the {len(trained)} parameters of {type(module).__name__}: adapt or logits "
            "detaches, copies, or runs without gradients; keep the graph from the parameters to the logits (in an "
            "inner loop, create_graph=True)"
        )
    if id(images) not in reached:
        raise RobustMetaError(
            f"the logits of {type(module).__name__} have no gradient at the images, along which queries are attacked: "
            "logits detaches them; leave that out"
        )
