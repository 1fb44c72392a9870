"""Pickles of arrays, lists, dictionaries, numbers and texts, read without running anything that they name."""

import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

from robustmeta.data.pickle_names import ADMITTED, STANDS_IN, fill, keys, text
from robustmeta.errors import RobustMetaError


def read_pickle(file: BinaryIO, name: str) -> Any:
    """The value of a pickle of any protocol, Python 2's included, whose texts come as bytes (see `text`).

    Lists, tuples, dictionaries, sets, numbers, texts, bytes and numpy's arrays and scalars of numbers or texts are
    admitted, as keys and members of sets only texts, bytes and whole numbers; arrays come as a subclass of `ndarray`.
    What a pickle names is never imported: the few names that numpy and Python write stand for functions of
    `pickle_names.py`, which check what they are given. Raises `RobustMetaError`, beginning with the `name` of the file,
    for any other name, before it does anything, and for a file that is no pickle.
    """
    try:
        return _Reader(file, encoding="bytes").load()
    except RobustMetaError as error:
        raise RobustMetaError(f"{name} {error}") from None
    except Exception as error:  # a stream of instructions can fail in any way
        reason = " ".join(str(error).split())
        raise RobustMetaError(
            f"{name} cannot be read as a pickle ({type(error).__name__}: {reason[:80]}); get the file anew"
        ) from error


def read_mapping(file: BinaryIO, name: str) -> dict[str, Any]:
    """The values of a pickled dictionary by the `text` of their keys; raises `RobustMetaError` where it holds none."""
    value = read_pickle(file, name)
    if not isinstance(value, dict):
        raise RobustMetaError(f"{name} holds a {type(value).__name__}; it must hold a dictionary")
    if not all(isinstance(key, str | bytes) for key in value):
        raise RobustMetaError(f"{name} holds a dictionary whose keys are no texts; get the file anew")
    return {text(key): part for key, part in value.items()}


class _Reader(pickle._Unpickler):  # in Python, where every instruction that hashes what it is given can be replaced
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)
    stack: list[Any]
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]

    def load_dict(self) -> None:
        items, made = self.pop_mark(), dict[Any, Any]()
        fill(made, items)
        self.append(made)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        fill(self.stack[-1], [key, value])

    def load_setitems(self) -> None:
        items = self.pop_mark()
        fill(self.stack[-1], items)

    def load_additems(self) -> None:
        items = self.pop_mark()
        self.stack[-1].update(keys(items))

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(keys(items)))

    def load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))  # the size may be a lie, and is not to be cleared for

    for _code, _load in (
        (pickle.DICT, load_dict),
        (pickle.SETITEM, load_setitem),
        (pickle.SETITEMS, load_setitems),
        (pickle.ADDITEMS, load_additems),
        (pickle.FROZENSET, load_frozenset),
        (pickle.BYTEARRAY8, load_bytearray8),
    ):
        dispatch[_code[0]] = _load

    def find_class(self, module: str, name: str, /) -> Any:
        if module.replace("numpy._core", "numpy.core") not in ADMITTED.get(name, ()):
            raise RobustMetaError(
                f"is a pickle that names {module}.{name}, and only arrays, containers, numbers and texts are read; "
                "do not open it with other programs unless you trust where it comes from"
            )
        return STANDS_IN[name]

    def persistent_load(self, pid: Any, /) -> Any:
        raise RobustMetaError("is a pickle that refers to something outside itself; only plain data are read")
