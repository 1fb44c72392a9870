"""What the names in a pickle stand for when it is read: functions that make plain values and check what of."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robustmeta.errors import RobustMetaError

_DTYPE = re.compile(r"[<>=|]?(b1|\?|[iu][1248]|f[248]|[SU][1-9][0-9]{0,3})")
_MOST_ENTRIES = 1 << 40
_LAST_CODE_POINT = 0x10FFFF


def text(value: object) -> str:
    """A text of a pickle, which Python 2 wrote as bytes, or a whole number in digits; `TypeError` for all else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str | int | np.integer):
        raise TypeError(f"a {type(value).__name__} where a text belongs")
    return str(value)


def keys(values: Iterable[object]) -> Iterable[Any]:
    """The values, none of which takes long, or much of the stack, to be hashed or compared."""
    for value in values:
        if not isinstance(value, str | bytes | int | np.integer):
            raise RobustMetaError(f"has a {type(value).__name__} as a key; only texts, bytes and numbers can be keys")
        yield value


def fill(into: object, items: Sequence[object]) -> None:
    """Put keys and values, in turn, into a dictionary."""
    if not isinstance(into, dict):
        raise RobustMetaError(f"sets parts of a {type(into).__name__}; only dictionaries have parts by key")
    into.update(zip(keys(items[::2]), items[1::2], strict=True))


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
        named = text(code) if isinstance(code, str | bytes) else type(code).__name__
        if not _DTYPE.fullmatch(named):
            raise RobustMetaError(f"holds an array of type {named[:20]!r}; only numbers and texts are read")
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
        _check(content, kind.dtype, shape)
        checked: Any = (1, shape, kind.dtype, bool(by_columns), bytes(content))
        super().__setstate__(checked)


def _check(content: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if (
        any(type(n) is not int or n < 0 for n in shape)
        or len(content) != math.prod(shape) * dtype.itemsize
        or math.prod(max(n, 1) for n in shape) > _MOST_ENTRIES
    ):
        raise RobustMetaError("holds an array whose size is not that of its numbers; get the file anew")
    if dtype.kind == "U" and np.frombuffer(content, f"{dtype.str[0]}u4").max(initial=0) > _LAST_CODE_POINT:
        raise RobustMetaError("holds an array of texts with characters that there are not; get the file anew")


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
ADMITTED = {
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


def _mapping(pairs: Iterable[Sequence[Any]] = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for pair in pairs:
        fill(made, pair)
    return made


STANDS_IN: dict[str, object] = {
    "_reconstruct": _Function(_reconstruct),
    "scalar": _Function(_scalar),
    "_frombuffer": _Function(_frombuffer),
    "ndarray": _NDARRAY,
    "dtype": _Function(_Type),
    "encode": _Function(_encode),
    "OrderedDict": _Function(_mapping),
    "set": _Function(lambda members=(): set(keys(members))),
    "frozenset": _Function(lambda members=(): frozenset(keys(members))),
    "bytes": _Function(_octets),
    "bytearray": _Function(_octets),
}
