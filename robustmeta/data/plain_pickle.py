"""Pickles of arrays, lists, dictionaries, numbers and texts, read without running anything that they name."""

import math
import pickle
import re
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from robustmeta.errors import RobustMetaError

_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f[248]|[SU][0-9]{1,4})")


def read_pickle(file: BinaryIO, name: str) -> Any:
    """The value of a pickle of any protocol, Python 2's included, whose texts come as bytes (see `text`).

    Lists, tuples, dictionaries, sets, numbers, texts, bytes and numpy's arrays and scalars of numbers or texts are
    admitted; arrays come as a subclass of `ndarray`. What a pickle names is never imported: the few names that numpy
    and Python write stand for functions of this file, which check what they are given. Raises `RobustMetaError`,
    beginning with the `name` of the file, for any other name, before it does anything, and for a file that is no
    pickle.
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
    return {text(key): part for key, part in value.items()}


def text(value: object) -> str:
    """A text of a pickle, which Python 2 wrote as bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        if module.replace("numpy._core", "numpy.core") not in _ADMITTED.get(name, ()):
            raise RobustMetaError(
                f"is a pickle that names {module}.{name}, and only arrays, containers, numbers and texts are read; "
                "do not open it with other programs unless you trust where it comes from"
            )
        return _STANDS_IN[name]

    def persistent_load(self, pid: Any, /) -> Any:
        raise RobustMetaError("is a pickle that refers to something outside itself; only plain data are read")


class _Function:
    """A function without attributes that a pickle could set."""

    __slots__ = ("_call",)

    def __init__(self, call: Any) -> None:
        self._call = call

    def __call__(self, *values: Any) -> Any:
        return self._call(*values)

    def __setstate__(self, state: object) -> None:
        raise RobustMetaError("is a pickle that alters a function; only plain data are read")


class _Type:
    """What `numpy.dtype` makes: a plain type, and its byte order once the pickle has told it."""

    __slots__ = ("dtype",)

    def __init__(self, code: object, *flags: object) -> None:
        if not _DTYPE.fullmatch(text(code)):
            raise RobustMetaError(f"holds an array of type {text(code)[:20]!r}; only numbers and texts are read")
        self.dtype = np.dtype(text(code))

    def __setstate__(self, state: Any) -> None:
        version, order, *rest = state
        if version not in (3, 4) or text(order) not in tuple("<>=|") or any(part is not None for part in rest[:3]):
            raise RobustMetaError("holds an array of parts; only numbers and texts are read")
        self.dtype = np.dtype(text(order) + self.dtype.str[1:])


class _Array(np.ndarray):
    def __setstate__(self, state: Any) -> None:
        *_, shape, kind, by_columns, content = state
        if not isinstance(kind, _Type) or not isinstance(content, bytes | bytearray):
            raise RobustMetaError("holds an array without numbers; only numbers and texts are read")
        _check_size(content, kind.dtype, shape)
        checked: Any = (1, shape, kind.dtype, bool(by_columns), bytes(content))
        super().__setstate__(checked)


def _check_size(content: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if any(type(n) is not int or n < 0 for n in shape) or len(content) != math.prod(shape) * dtype.itemsize:
        raise RobustMetaError("holds an array whose size is not that of its numbers; get the file anew")


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    if kind is not _NDARRAY:
        raise RobustMetaError("holds an array that is not numpy's own; only numbers and texts are read")
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _frombuffer(content: bytes | bytearray, kind: _Type, shape: tuple[int, ...], order: object) -> NDArray[Any]:
    """What protocol 5 makes arrays of."""
    array = np.ndarray.__new__(_Array, (0,), np.uint8)
    array.__setstate__((1, shape, kind, text(order) == "F", content))
    return array


def _scalar(kind: _Type, content: bytes) -> Any:
    return _frombuffer(content, kind, (), "C")[()]


def _encode(content: str, coding: str = "") -> bytes:
    """What protocols 0 to 2 make bytes of."""
    if coding not in ("latin1", "latin-1"):
        raise RobustMetaError(f"is a pickle with bytes coded as {coding!r}; only latin1 is read")
    return content.encode("latin1")


_NDARRAY = _Function(_reconstruct)
_BUILTINS = ("builtins", "__builtin__")
#: The modules from which a name is admitted.
_ADMITTED = {
    "_reconstruct": ("numpy.core.multiarray",),
    "scalar": ("numpy.core.multiarray",),
    "_frombuffer": ("numpy.core.numeric",),
    "ndarray": ("numpy",),
    "dtype": ("numpy",),
    "encode": ("_codecs",),
    "OrderedDict": ("collections",),
    "set": _BUILTINS,
    "frozenset": _BUILTINS,
    "bytes": _BUILTINS,
    "bytearray": _BUILTINS,
}


def _octets(content: Any = b"", coding: str = "latin1") -> bytes:
    if isinstance(content, str):
        return _encode(content, coding)
    if not isinstance(content, bytes | bytearray):
        raise RobustMetaError("is a pickle with bytes made of something else; only plain data are read")
    return bytes(content)


_STANDS_IN: dict[str, object] = {
    "_reconstruct": _Function(_reconstruct),
    "scalar": _Function(_scalar),
    "_frombuffer": _Function(_frombuffer),
    "ndarray": _NDARRAY,
    "dtype": _Function(_Type),
    "encode": _Function(_encode),
    "OrderedDict": _Function(dict),
    "set": _Function(set),
    "frozenset": _Function(frozenset),
    "bytes": _Function(_octets),
    "bytearray": _Function(_octets),
}
