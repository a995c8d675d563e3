"""PyTorch files that are intact, damaged or hostile; they are written here without PyTorch."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import PackError
from app.packs.convert.torch_tensors import read_tensors
from testmedia.transnet_weights import published

NUMBERS = np.arange(12, dtype="<f4")


def pickled(*instructions: bytes) -> bytes:
    return b"".join((b"\x80\x02", *instructions, b"."))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


DICTIONARY = name("collections", "OrderedDict") + b")R"


def storage(key: str = "0", count: int = 12, kind: str = "FloatStorage") -> bytes:
    return (
        b"("
        + text("storage")
        + name("torch", kind)
        + text(key)
        + text("cpu")
        + number(count)
        + b"tQ"
    )


def tensor(
    shape: Sequence[int] = (3, 4),
    strides: Sequence[int] = (4, 1),
    offset: int = 0,
    source: bytes | None = None,
) -> bytes:
    return (
        name("torch._utils", "_rebuild_tensor_v2")
        + b"("
        + (storage() if source is None else source)
        + number(offset)
        + numbers(shape)
        + numbers(strides)
        + b"\x89"
        + DICTIONARY
        + b"tR"
    )


def file(
    program: bytes,
    *,
    storages: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    folder: str = "archive",
    extra: dict[str, bytes] | None = None,
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", program)
        for key, data in (storages or {"0": NUMBERS.tobytes()}).items():
            archive.writestr(f"{folder}/data/{key}", data)
        for key, data in (extra or {}).items():
            archive.writestr(key, data)
    return stream.getvalue()


def saved(value: bytes) -> bytes:
    return pickled(DICTIONARY, text("weight"), value, b"s")


def test_published_weights() -> None:
    tensors = read_tensors(published())
    assert len(tensors) == 90
    assert tensors["fc1.weight"].shape == (1024, 4864)
    assert tensors["fc1.weight"].dtype == np.float32
    assert tensors["SDDCNN.0.DDCNN.0.bn.num_batches_tracked"].shape == ()
    assert (tensors["SDDCNN.2.DDCNN.1.bn.running_var"] > 0).all()
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_named_tensor() -> None:
    tensors = read_tensors(file(saved(tensor())))
    assert list(tensors) == ["weight"]
    assert np.array_equal(tensors["weight"], NUMBERS.reshape(3, 4))
    assert not tensors["weight"].flags.writeable


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((4, 3), (1, 4), 0, NUMBERS.reshape(3, 4).T),
        ((2, 2), (4, 1), 5, NUMBERS.reshape(3, 4)[1:, 1:3]),
        ((12,), (1,), 0, NUMBERS),
        ((1,), (1,), 11, NUMBERS[11:]),
        ((), (), 7, NUMBERS[7]),
        ((1,), (2**31 - 1,), 3, NUMBERS[3:4]),
    ],
)
def test_views_of_a_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int, expected: NDArray[Any]
) -> None:
    tensors = read_tensors(file(saved(tensor(shape, strides, offset))))
    assert np.array_equal(tensors["weight"], expected)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("HalfStorage", "<f2"),
        ("DoubleStorage", "<f8"),
        ("IntStorage", "<i4"),
        ("LongStorage", "<i8"),
    ],
)
def test_other_number_types(kind: str, dtype: str) -> None:
    values = np.arange(12).astype(dtype)
    program = saved(tensor(source=storage(kind=kind)))
    tensors = read_tensors(file(program, storages={"0": values.tobytes()}))
    assert tensors["weight"].dtype == np.dtype(dtype)
    assert np.array_equal(tensors["weight"], values.reshape(3, 4))


def test_tensors_share_a_storage() -> None:
    items = b"".join(text(key) + tensor() for key in ("one", "other"))
    tensors = read_tensors(file(pickled(DICTIONARY, b"(", items, b"u")))
    assert np.shares_memory(tensors["one"], tensors["other"])


def test_metadata_is_ignored() -> None:
    attributes = b"}" + text("_metadata") + DICTIONARY + b"s"
    program = pickled(DICTIONARY, text("weight"), tensor(), b"s", attributes, b"b")
    assert list(read_tensors(file(program))) == ["weight"]


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((3, 4), (4, 1), 1),
        ((4, 4), (4, 1), 0),
        ((13,), (1,), 0),
        ((2,), (12,), 0),
        ((1,), (1,), 12),
        ((-3, 4), (4, 1), 0),
        ((3, 4), (-4, 1), 8),
        ((3, 4), (4, 1), -1),
        ((2**15, 2**15), (0, 0), 0),
        ((3, 4), (1,), 0),
        ((0,), (1,), 0),
        ((1,) * 100, (1,) * 100, 0),
    ],
)
def test_tensor_outside_its_storage_is_refused(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    program = saved(tensor(shape, strides, offset))
    with pytest.raises(PackError, match="not a saved dictionary"):
        read_tensors(file(program))


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return exec, ("raise SystemExit('the code ran')",)


NESTED = b")" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(60))
"""Tuples of twice the same tuple, 60 levels deep."""
HOSTILE = {
    "call": pickle.dumps(Evil(), 2),
    "call, protocol 5": pickle.dumps(Evil(), 5),
    "call of eval": saved(name("builtins", "eval") + b"(" + text("1") + b"tR"),
    "another name of a permitted module": saved(name("torch._utils", "_rebuild_parameter")),
    "call of a storage type": saved(name("torch", "FloatStorage") + b"(" + number(9) + b"tR"),
    "list instead of a dictionary": pickle.dumps([1, 2], 2),
    "dictionary of numbers": pickle.dumps(OrderedDict(a=1), 2),
    "tensor without a name": pickled(tensor()),
    "tensor without a storage": saved(tensor(source=b"\x89")),
    "tensor over a tensor": saved(tensor(source=tensor())),
    "OrderedDict called with an argument": saved(
        name("collections", "OrderedDict") + numbers([1]) + b"R"
    ),
    "key that takes exponential time to hash": pickled(
        DICTIONARY, b")", b"q\x000q\x00h\x00\x86" * 60, b"\x89s"
    ),
    "the same without a POP": pickled(DICTIONARY, NESTED, b"\x89s"),
    "the same in a plain dictionary": pickled(b"}", NESTED, b"\x89s"),
    "the same in attributes": pickled(DICTIONARY, b"}", NESTED, b"\x89s", b"b"),
    "attributes of a function": pickled(
        name("torch._utils", "_rebuild_tensor_v2"), b"}", text("a") + text("b"), b"sb"
    ),
    "attributes of a class": pickled(
        name("collections", "OrderedDict"), b"}", text("a") + text("b"), b"sb"
    ),
    "memo entry that does not exist": pickled(b"h\x07"),
    "empty stack": pickled(b"R"),
    "missing mark": pickled(b"t"),
    "two values": pickled(DICTIONARY, DICTIONARY),
    "nothing": pickled(),
    "unknown instruction": pickled(b"\xff"),
    "no STOP": DICTIONARY,
    "string of four gigabytes": b"\x80\x02X\xff\xff\xff\xff",
    "reference that is not to a storage": saved(tensor(source=b"(" + text("module") * 5 + b"tQ")),
    "storage outside the folder": saved(tensor(source=storage("../data.pkl"))),
    "missing storage": saved(tensor(source=storage("1"))),
    "storage of another length": saved(tensor(source=storage(count=11))),
    "storage of another type": saved(tensor(source=storage(kind="LongStorage"))),
    "storage of an unknown type": saved(tensor(source=storage(kind="BFloat16Storage"))),
    "pickle of several megabytes": pickled(DICTIONARY, b"q\x00" * (1 << 20)),
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickle_is_refused(program: bytes) -> None:
    with pytest.raises(PackError, match="not a saved dictionary") as caught:
        read_tensors(file(program))
    assert "\n" not in str(caught.value)


def test_large_memo_index_is_refused() -> None:
    """The unpickler would allocate a table of two thousand million entries."""
    with pytest.raises(PackError, match="memo index 2147483647 is too large"):
        read_tensors(file(pickled(DICTIONARY, b"r\xff\xff\xff\x7f")))


def test_shared_tensor() -> None:
    program = pickled(DICTIONARY, b"(", text("one"), tensor(), b"q\x00", text("two"), b"h\x00u")
    tensors = read_tensors(file(program))
    assert np.array_equal(tensors["one"], tensors["two"])


def test_compressed_archive_is_refused() -> None:
    """Decompressed members may be a thousand times as large as the file."""
    with pytest.raises(PackError, match=r"data\.pkl is compressed"):
        read_tensors(file(saved(tensor()), compression=zipfile.ZIP_DEFLATED))


def test_overlapping_members_are_refused() -> None:
    """A zip directory may list the same bytes many times."""
    keys = [f"{number:02}" for number in range(40)]
    items = b"".join(text(key) + tensor(source=storage(key)) for key in keys)
    data = bytearray(
        file(
            pickled(DICTIONARY, b"(", items, b"u"), storages=dict.fromkeys(keys, NUMBERS.tobytes())
        )
    )
    assert len(read_tensors(bytes(data))) == 40
    first = data.index(b"PK\x01\x02")
    entries = data[first:].split(b"PK\x01\x02")[1:]
    place = entries[1][38:42]
    joined = b"".join(b"PK\x01\x02" + entry[:38] + place + entry[42:] for entry in entries[1:])
    with pytest.raises(PackError, match="not a saved dictionary"):
        read_tensors(bytes(data[:first] + b"PK\x01\x02" + entries[0] + joined))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"archive/byteorder": b"big"}, "not little-endian"),
        ({"other/data.pkl": b""}, "found 2"),
    ],
)
def test_unsupported_archive_is_refused(extra: dict[str, bytes], message: str) -> None:
    with pytest.raises(PackError, match=message):
        read_tensors(file(saved(tensor()), extra=extra))


def test_little_endian_archive() -> None:
    data = file(saved(tensor()), extra={"archive/byteorder": b"little"})
    assert list(read_tensors(data)) == ["weight"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02}.", bytes(1000)])
def test_file_that_is_not_an_archive(data: bytes) -> None:
    with pytest.raises(PackError, match="not a saved dictionary"):
        read_tensors(data)


WHOLE = file(saved(tensor()))


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_one_damaged_byte(place: int, value: int) -> None:
    """Either the tensors are correct or the file is refused."""
    damaged = WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]
    try:
        tensors = read_tensors(damaged)
    except PackError:
        return
    assert all(np.array_equal(one, NUMBERS.reshape(3, 4)) for one in tensors.values())


@settings(max_examples=50, deadline=None)
@given(keep=st.integers(0, len(WHOLE) - 1))
def test_truncated_file(keep: int) -> None:
    with pytest.raises(PackError):
        read_tensors(WHOLE[:keep])


@settings(max_examples=300, deadline=None)
@given(program=st.binary(max_size=60))
def test_random_pickles(program: bytes) -> None:
    """Any pickle gives tensors or a PackError."""
    try:
        tensors = read_tensors(file(program))
    except PackError:
        return
    assert all(isinstance(one, np.ndarray) for one in tensors.values())
