"""easyfsl's classifiers: `process_support_set(images, labels)`, then `model(queries)`."""

from typing import Any

from torch import Tensor, nn

from robustmeta.adapters.taskwise import TaskwiseLearner
from robustmeta.errors import RobustMetaError

_REGISTRIES = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "training")
State = dict[tuple[str, str], Any]


class EasyFSL(TaskwiseLearner):
    """A few-shot classifier of easyfsl (Sicara, 2022), or of its interface, as a learner.

    Adapted: the attributes that `model.process_support_set(support, labels)` sets, on the model or on a part of it;
    logits = `model(queries)` with these attributes in place. The model keeps the attributes that it had.

    model: has `process_support_set`, and logits from its call. What its `is_transductive()` says, where it has one, is
    taken for true.

    Those that run an optimizer in their `forward` (TIM, Finetune, TransductiveFinetuning), and PTMAP, which writes in
    place there, can be evaluated, but not trained through.

    Deviates from easyfsl in that the model forgets the support set after each call, as it is lent to several tasks.

    Raises `RobustMetaError` for a `process_support_set` that sets no attribute, changes one in place, or puts new
    parameters or modules into the model, and as `TaskwiseLearner` does.
    """

    shared_state = (
        "process_support_set changes in place what all tasks share, as a list, a dict or a buffer: the logits of a "
        "task change once another is adapted; let it set attributes anew, as self.prototypes = ..."
    )

    looks_for = "process_support_set (easyfsl)"

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @classmethod
    def fits(cls, model: object) -> bool:
        """Whether a model has easyfsl's interface."""
        return isinstance(model, nn.Module) and callable(getattr(model, "process_support_set", None))

    def adapt_one(self, support_x: Tensor, support_y: Tensor) -> State:
        """The attributes that a support `[N, C, H, W]` with labels `[N]` sets, by module and name."""
        before = _attributes(self.model)
        registered = _registered(self.model)
        try:
            self.model.process_support_set(support_x, support_y)  # type: ignore[operator]
            after = _attributes(self.model)
            if _registered(self.model) != registered:
                raise RobustMetaError(
                    f"{type(self.model).__name__}.process_support_set puts parameters or modules into the model, which "
                    "all tasks share; let it set plain tensors"
                )
        finally:
            _put_back(self.model, before)
        state = {at: value for at, value in after.items() if at not in before or value is not before[at]}
        if not state:
            raise RobustMetaError(
                f"{type(self.model).__name__}.process_support_set sets no attribute of the model, or changes one in "
                "place, which all tasks share; let it set what forward needs anew, as self.prototypes = ..."
            )
        return state

    def logits_one(self, state: State, query_x: Tensor) -> Tensor:
        """The model's logits `[Q, ways]` of queries `[Q, C, H, W]`, with the attributes of a task in place."""
        before = _attributes(self.model)
        try:
            _set(self.model, state)
            logits: Tensor = self.model(query_x)
        finally:
            _put_back(self.model, before)
        return logits

    def transductive(self) -> bool:
        """What the model's `is_transductive()` says."""
        says = getattr(self.model, "is_transductive", None)
        return bool(says()) if callable(says) else False


def _attributes(model: nn.Module) -> State:
    found: State = {}
    for path, part in model.named_modules():
        own = {name: value for name, value in vars(part).items() if name not in _REGISTRIES}
        found |= {(path, name): value for name, value in {**own, **part._buffers}.items()}
    return found


def _registered(model: nn.Module) -> list[tuple[str, int]]:
    return [
        (f"{path}.{name}", id(thing))
        for path, part in model.named_modules()
        for name, thing in (*part._parameters.items(), *part._modules.items())
    ]


def _place(part: nn.Module, name: str) -> dict[str, Any]:
    """The mapping in which a part keeps an attribute."""
    return part._buffers if name in part._buffers else part.__dict__


def _set(model: nn.Module, attributes: State) -> None:
    parts = dict(model.named_modules())
    for (path, name), value in attributes.items():
        _place(parts[path], name)[name] = value


def _put_back(model: nn.Module, before: State) -> None:
    parts = dict(model.named_modules())
    for (path, name), value in _attributes(model).items():
        place = _place(parts[path], name)
        if (path, name) not in before:
            del place[name]
        elif value is not before[path, name]:
            place[name] = before[path, name]
