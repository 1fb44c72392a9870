"""Pickles against the standard library's reader where they are harmless, and refused where they name anything else."""

import io
import os
import pickle
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest

from robustmeta.data.pickle_names import text
from robustmeta.data.plain_pickle import read_mapping, read_pickle
from robustmeta.errors import RobustMetaError

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "bytes": RANDOM.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8),
    "columns": np.asfortranarray(RANDOM.integers(0, 256, (3, 4), dtype=np.uint8)),
    "strided": RANDOM.integers(0, 256, (6, 8), dtype=np.int64)[::2, 1:7:3],
    "big-endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "floats": RANDOM.normal(size=(2, 3)).astype(np.float32),
    "halves": RANDOM.normal(size=4).astype(np.float16),
    "truths": np.array([True, False, True]),
    "texts": np.array(["ant", "bumblebee", "é"]),
    "octets": np.array([b"ant", b"bee"]),
    "none": np.zeros((0, 3), np.uint8),
    "of no axis": np.array(7, np.uint16),
    "scalar": np.int64(-5),
    "real": np.float32(0.1),
}
PLAIN = {
    "mapping": {"class_dict": {"n01": [0, 1], "n02": (2, 3)}, "deep": [[{}], None, True, -1, 2**70, 0.5, "é"]},
    "sets": [{1, 2}, frozenset({3})],
    "ordered": OrderedDict(b=1, a=2),
    "octets": [b"", b"\x00\xff", bytearray(b"ab")],
}


def read(stream: bytes) -> object:
    return read_pickle(io.BytesIO(stream), "some.pkl")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_of_numbers_and_texts_are_read_as_numpy_reads_them(array, protocol):
    stream = pickle.dumps([array, array], protocol)
    for each, truth in zip(read(stream), pickle.loads(stream), strict=True):
        assert (each.dtype.newbyteorder("="), each.shape) == (truth.dtype.newbyteorder("="), truth.shape)
        assert np.array_equal(np.asarray(each), truth)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN)
def test_containers_numbers_and_texts_are_read_as_they_are(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


OLD = {
    0: (
        b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntp4\nS'b'\np5\ntp6\n"
        b"Rp7\n(I1\n(I1\nI2\ntp8\ncnumpy\ndtype\np9\n(S'u1'\np10\nI0\nI1\ntp11\nRp12\n(I3\nS'|'\np13\nNNNI-1\nI-1\nI0\n"
        b"tp14\nbI00\nS'\\x01\\xff'\np15\ntp16\nbsS'names'\np17\n(lp18\nS'ant'\np19\naVb\\u00e9e\np20\nas."
    ),
    2: (
        b"\x80\x02}q\x01(U\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85U\x01b"
        b"\x87Rq\x07(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87Rq\t(K\x03U\x01|NNNJ\xff\xff\xff\xffJ"
        b"\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftbU\x05namesq\n]q\x0b(U\x03antq\x0cX\x04\x00\x00\x00b\xc3\xa9eq\reu."
    ),
}


@pytest.mark.parametrize("stream", OLD.values(), ids=map(str, OLD))
def test_what_python_2_wrote_is_read(stream):
    """As the standard library does with encoding="latin1", which is how such files are usually opened."""
    found, truth = read(stream), pickle.loads(stream, encoding="latin1")
    named = {text(key): value for key, value in found.items()}
    assert list(named) == list(truth) == ["data", "names"]
    assert np.asarray(named["data"]).tolist() == truth["data"].tolist() == [[1, 255]]
    assert [text(name) for name in named["names"]] == truth["names"] == ["ant", "bée"]


class Reduced:
    """Makes a folder when it is read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def hostile(path: str) -> dict[str, bytes]:
    """Pickles that make the folder `path` by each instruction that calls what it names."""
    name = path.encode()
    call = b"cos\nmkdir\n(V" + name + b"\ntR"
    array = pickle.dumps(np.zeros(2, np.uint8), 2)
    return {
        **{f"reduce {protocol}": pickle.dumps([1, Reduced(path)], protocol) for protocol in range(6)},
        "in a key": pickle.dumps({(1, Reduced(path)): 1}),
        "inst": b"(V" + name + b"\nios\nmkdir\n.",
        "obj": b"(cos\nmkdir\nV" + name + b"\no.",
        "as the kind of an array": b"cnumpy.core.multiarray\n_reconstruct\n(" + call + b"(I0\ntS'b'\ntR.",
        "as the content of an array": array.replace(b"K\x01K\x02\x85", call + b"0K\x01K\x02\x85"),
        "as a type": b"cnumpy\ndtype\n(" + call + b"I0\nI1\ntR.",
        "as the state of an array": b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\n" + call + b"NNI-1\nI-1\nI0\ntb.",
        "after it is read": array[:-1] + b"0" + call + b".",
    }


@pytest.mark.parametrize("kind", hostile("x"))
def test_a_pickle_that_would_run_something_is_refused_before_it_does(tmp_path, kind):
    made = tmp_path / "made"
    stream = hostile(str(made))[kind]
    with suppress(TypeError, ValueError):  # which come too late
        pickle.loads(stream, encoding="latin1")
    made.rmdir()  # so the stream does what it says, in the standard library's reader
    with pytest.raises(
        RobustMetaError, match=r"^some.pkl is a pickle that names (os|posix)\.mkdir, and only"
    ) as caught:
        read(stream)
    assert not made.exists()
    assert "\n" not in str(caught.value)


def of_type(code: bytes, state: bytes = b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntb") -> bytes:
    """A pickle of an array of 8 bytes and a type of one's own."""
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
    return start + b"cnumpy\ndtype\n(" + code + b"I0\nI1\ntR" + state + b"I00\nS'abcdefgh'\ntb."


@pytest.mark.parametrize(
    ("stream", "line"),
    [
        (of_type(b"S'O'\n"), "holds an array of type 'O'; only numbers and texts"),
        (of_type(b"S'O8'\n"), "holds an array of type 'O8'"),
        (of_type(b"S'V8'\n"), "of type 'V8'"),
        (of_type(b"S'M8[s]'\n"), r"of type 'M8\[s\]'"),
        (of_type(b"S'u4,O'\n"), "of type 'u4,O'"),
        (of_type(b"((S'a'\nS'O'\ntl"), "holds an array of type"),
        (of_type(b"S'f8'\n", b"(I3\nS'<'\n(S'O'\n(I1\nttNNI8\nI8\nI0\ntb"), "holds an array of parts"),
        (of_type(b"S'f8'\n", b"(I3\nS'<'\nN(S'a'\ntNI8\nI8\nI0\ntb"), "holds an array of parts"),
        (of_type(b"S'f8'\n", b"(I3\nS'<'\nNN(dI8\nI8\nI0\ntb"), "holds an array of parts"),
        (of_type(b"S'f8'\n", b"I3\nb"), "cannot be read as a pickle"),
        (of_type(b"S'f4'\n"), "holds an array whose size is not that of its numbers"),
        (of_type(b"S'f8'\n").replace(b"R(I1\n(I1\nt", b"R(I1\n(I-1\nt"), "whose size is not"),
        (of_type(b"S'f8'\n").replace(b"R(I1\n(I1\nt", b"R(I1\n(I4611686018427387905\nt"), "whose size is not"),
        (of_type(b"S'f8'\n").replace(b"S'abcdefgh'\n", b"(I1\nl"), "holds an array without numbers"),
        (of_type(b"S'f8'\n").replace(b"(cnumpy\nndarray\n", b"(cnumpy\nmatrix\n"), r"names numpy\.matrix"),
        (of_type(b"S'f8'\n").replace(b"(cnumpy\nndarray\n", b"(cbuiltins\nset\n"), "an array that is not numpy's own"),
        (pickle.dumps(np.array([1, "a"], object)), "holds an array of type 'O8'"),
        (pickle.dumps(np.zeros(2, [("a", "u1")])), "holds an array of type"),
        (pickle.dumps(np.zeros(2, complex)), "holds an array of type 'c16'"),
        (b"cnumpy.core.multiarray\nscalar\n(I1\nS'a'\ntR.", "holds an array without numbers"),
        (b"cnumpy\nndarray\n)\x81.", "cannot be read as a pickle"),
        (b"cnumpy\nload\n(S'x'\ntR.", r"names numpy\.load"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.newbyteorder\x93.".replace(b"\x0e", b"\x12"), r"names numpy\.dtype\."),
        (b"cbuiltins\ngetattr\n(S'x'\nS'y'\ntR.", r"names builtins\.getattr"),
        (b"c__builtin__\neval\n(S'1'\ntR.", r"names __builtin__\.eval"),
        (b"cos\nset\n(S'x'\ntR.", r"names os\.set"),  # an admitted name, of another module
        (b"crobustmeta.data.plain_pickle\n_Array\n.", "names robustmeta.data.plain_pickle._Array"),
        (b"c_codecs\nencode\n(Vabc\nS'zip'\ntR.", "bytes coded as b'zip'"),
        (b"c_codecs\nencode\n(Vabc\nVpunycode\ntR.", "bytes coded as 'punycode'"),
        (b"cbuiltins\nbytearray\n(I100000000000\ntR.", "with bytes made of something else"),
        (b"cnumpy\ndtype\n}S'x'\nI1\nsb.", "alters a function"),
        (b"cnumpy\ndtype\n(N}S'_call'\nI1\nstb.", "alters a function"),
        (b"Pevil\n.", "refers to something outside itself"),
        (b"\x80\x02\x82\x01.", "cannot be read as a pickle"),
        (of_type(b"S'S0'\n").replace(b"(I1\nt", b"(I1000000000000000\nt").replace(b"abcdefgh", b""), "of type 'S0'"),
        (of_type(b"S'U2'\n").replace(b"abcdefgh", rb"a\x00\x00\x00\xff\xff\xff\x7f"), "characters that there are not"),
        (
            of_type(b"S'u1'\n").replace(b"(I1\nt", b"(I4611686018427387904\nI0\nt").replace(b"abcdefgh", b""),
            "whose size",
        ),
        (b"\x80\x05\x96" + (1 << 62).to_bytes(8, "little") + b"a.", "cannot be read as a pickle"),
        (b"\x80\x02]K\x01K\x02s.", "sets parts of a list"),
        (b"", "cannot be read as a pickle .EOFError"),
        (b"hello", "cannot be read as a pickle"),
        (pickle.dumps(list(range(1000)))[:700], "cannot be read as a pickle"),
    ],
)
def test_what_is_not_plain_or_not_whole_is_refused_in_one_line(stream, line):
    with pytest.raises(RobustMetaError, match=line) as caught:
        read(stream)
    assert str(caught.value).startswith("some.pkl ")
    assert "\n" not in str(caught.value)


DEEP = b")" + 1000 * b"\x85"
"""A tuple in a tuple in a tuple; of two million, the stack of a process is too small to hash it."""
SHARED = b")" + b"".join(b"q%c0h%ch%c\x86" % (n, n, n) for n in range(16))
"""A tuple of twice a tuple of twice a tuple, whose hash takes 2 ** 16 steps, and of 40 levels 2 ** 40."""


@pytest.mark.parametrize("key", [DEEP, SHARED, b"N", b"]"], ids=["deep", "shared", "none", "list"])
@pytest.mark.parametrize(
    "around",
    [
        b"\x80\x04}%bNs.",
        b"\x80\x04}(%bNu.",
        b"(%bNd.",
        b"\x80\x04\x8f(%b\x90.",
        b"\x80\x04(%b\x91.",
        b"c__builtin__\nset\n((%bltR.",
        b"cbuiltins\nfrozenset\n((%bltR.",
        b"ccollections\nOrderedDict\n(((%bNlltR.",
    ],
    ids=["setitem", "setitems", "dict", "additems", "frozenset", "set", "another frozenset", "ordered"],
)
def test_only_texts_bytes_and_whole_numbers_are_hashed(around, key):
    with pytest.raises(RobustMetaError, match=r"^some.pkl has a \w+ as a key; only texts, bytes and numbers can be"):
        read(around % key)


@pytest.mark.parametrize("key", [3, 1 << 32768, True], ids=["three", "of 4096 bytes", "truth"])
def test_a_mapping_is_by_texts(key):
    with pytest.raises(RobustMetaError, match=r"^some.pkl holds a dictionary whose keys are no texts"):
        read_mapping(io.BytesIO(pickle.dumps({"data": 1, key: 2})), "some.pkl")
    assert read_mapping(io.BytesIO(pickle.dumps({"data": 1, b"ant": 2})), "some.pkl") == {"data": 1, "ant": 2}


def test_what_is_no_text_is_not_made_one():
    assert (text(b"ant"), text("ant"), text(np.str_("ant")), text(7)) == ("ant", "ant", "ant", "7")
    for value in ([], (), None, 0.5):
        with pytest.raises(TypeError, match="where a text belongs"):
            text(value)
