"""Where a gradient would arrive."""

from torch import Tensor, nn

from robustmeta.errors import RobustMetaError


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


def check_reach(logits: Tensor, module: nn.Module, images: Tensor) -> None:
    """Raise `RobustMetaError` unless a gradient of the logits reaches a parameter that trains, and the images.

    A module without a parameter that trains need not be reached.
    """
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
