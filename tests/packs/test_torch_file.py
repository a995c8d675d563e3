"""Tensors of files of PyTorch, written here without it, whole, damaged and hostile."""

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
from app.packs.convert.torch_file import read_tensors
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
    packed: int = zipfile.ZIP_STORED,
    folder: str = "archive",
    extra: dict[str, bytes] | None = None,
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packed) as archive:
        archive.writestr(f"{folder}/data.pkl", program)
        for key, data in (storages or {"0": NUMBERS.tobytes()}).items():
            archive.writestr(f"{folder}/data/{key}", data)
        for key, data in (extra or {}).items():
            archive.writestr(key, data)
    return stream.getvalue()


def holding(value: bytes) -> bytes:
    return pickled(DICTIONARY, text("weight"), value, b"s")


def test_the_published_weights() -> None:
    tensors = read_tensors(published())
    assert len(tensors) == 90
    assert tensors["fc1.weight"].shape == (1024, 4864)
    assert tensors["fc1.weight"].dtype == np.float32
    assert tensors["SDDCNN.0.DDCNN.0.bn.num_batches_tracked"].shape == ()
    assert (tensors["SDDCNN.2.DDCNN.1.bn.running_var"] > 0).all()
    assert all(np.isfinite(values).all() for values in tensors.values())


def test_a_tensor_by_its_name() -> None:
    tensors = read_tensors(file(holding(tensor())))
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
    tensors = read_tensors(file(holding(tensor(shape, strides, offset))))
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
def test_other_numbers(kind: str, dtype: str) -> None:
    values = np.arange(12).astype(dtype)
    program = holding(tensor(source=storage(kind=kind)))
    tensors = read_tensors(file(program, storages={"0": values.tobytes()}))
    assert tensors["weight"].dtype == np.dtype(dtype)
    assert np.array_equal(tensors["weight"], values.reshape(3, 4))


def test_several_tensors_share_a_storage() -> None:
    items = b"".join(text(key) + tensor() for key in ("one", "other"))
    tensors = read_tensors(file(pickled(DICTIONARY, b"(", items, b"u")))
    assert np.shares_memory(tensors["one"], tensors["other"])


def test_what_is_kept_beside_the_tensors_is_left_out() -> None:
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
def test_a_tensor_is_never_larger_than_its_storage(
    shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    program = holding(tensor(shape, strides, offset))
    with pytest.raises(PackError, match="no saved dictionary"):
        read_tensors(file(program))


class Evil:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return exec, ("raise SystemExit('it was run')",)


HOSTILE = {
    "a call": pickle.dumps(Evil(), 2),
    "a call of a later protocol": pickle.dumps(Evil(), 5),
    "a call under a name": holding(name("builtins", "eval") + b"(" + text("1") + b"tR"),
    "an attribute of what is allowed": holding(name("torch._utils", "_rebuild_parameter")),
    "a call of a storage": holding(name("torch", "FloatStorage") + b"(" + number(9) + b"tR"),
    "a list in a dictionary's place": pickle.dumps([1, 2], 2),
    "a dictionary of numbers": pickle.dumps(OrderedDict(a=1), 2),
    "a bare tensor": pickled(tensor()),
    "a tensor of no storage": holding(tensor(source=b"\x89")),
    "a tensor of a tensor": holding(tensor(source=tensor())),
    "a dictionary filled by its call": holding(
        name("collections", "OrderedDict") + numbers([1]) + b"R"
    ),
    "a name that takes forever to hash": pickled(
        DICTIONARY, b")", b"q\x000q\x00h\x00\x86" * 60, b"\x89s"
    ),
    "a memo that was never made": pickled(b"h\x07"),
    "too little on the stack": pickled(b"R"),
    "a mark that is missing": pickled(b"t"),
    "two values": pickled(DICTIONARY, DICTIONARY),
    "nothing": pickled(),
    "an unknown instruction": pickled(b"\xff"),
    "no end": DICTIONARY,
    "text of four gigabytes": b"\x80\x02X\xff\xff\xff\xff",
    "no reference to a storage": holding(tensor(source=b"(" + text("module") * 5 + b"tQ")),
    "a storage outside the archive": holding(tensor(source=storage("../data.pkl"))),
    "a storage that is missing": holding(tensor(source=storage("1"))),
    "a storage of another length": holding(tensor(source=storage(count=11))),
    "a storage of another type": holding(tensor(source=storage(kind="LongStorage"))),
    "a storage of an unknown type": holding(tensor(source=storage(kind="BFloat16Storage"))),
    "megabytes of instructions": pickled(DICTIONARY, b"q\x00" * (1 << 20)),
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_anything_else_is_refused(program: bytes) -> None:
    with pytest.raises(PackError, match="no saved dictionary") as caught:
        read_tensors(file(program))
    assert "\n" not in str(caught.value)


def test_a_memo_of_a_far_place_takes_no_room() -> None:
    """Python's own machine would make a table of two thousand million places for it."""
    assert read_tensors(file(pickled(DICTIONARY, b"r\xff\xff\xff\x7f"))) == {}


def test_a_packed_archive_is_refused() -> None:
    """Members that are unpacked may be a thousand times as large as the file."""
    with pytest.raises(PackError, match=r"data\.pkl is packed"):
        read_tensors(file(holding(tensor()), packed=zipfile.ZIP_DEFLATED))


def test_members_that_overlap_are_refused() -> None:
    """A directory that lists the same bytes many times makes much out of little."""
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
    with pytest.raises(PackError, match="no saved dictionary"):
        read_tensors(bytes(data[:first] + b"PK\x01\x02" + entries[0] + joined))


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ({"archive/byteorder": b"big"}, "not little-endian"),
        ({"other/data.pkl": b""}, "found 2"),
    ],
)
def test_archives_of_another_kind(extra: dict[str, bytes], says: str) -> None:
    with pytest.raises(PackError, match=says):
        read_tensors(file(holding(tensor()), extra=extra))


def test_an_archive_that_says_its_byte_order() -> None:
    data = file(holding(tensor()), extra={"archive/byteorder": b"little"})
    assert list(read_tensors(data)) == ["weight"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02}.", bytes(1000)])
def test_what_is_no_archive(data: bytes) -> None:
    with pytest.raises(PackError, match="no saved dictionary"):
        read_tensors(data)


WHOLE = file(holding(tensor()))


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255))
def test_one_damaged_byte(place: int, value: int) -> None:
    """The tensors are those that were saved, or there are none."""
    damaged = WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :]
    try:
        tensors = read_tensors(damaged)
    except PackError:
        return
    assert all(np.array_equal(one, NUMBERS.reshape(3, 4)) for one in tensors.values())


@settings(max_examples=50, deadline=None)
@given(keep=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file(keep: int) -> None:
    with pytest.raises(PackError):
        read_tensors(WHOLE[:keep])


@settings(max_examples=300, deadline=None)
@given(program=st.binary(max_size=60))
def test_any_instructions(program: bytes) -> None:
    """Whatever they are, there are tensors, or an error of ours."""
    try:
        tensors = read_tensors(file(program))
    except PackError:
        return
    assert all(isinstance(one, np.ndarray) for one in tensors.values())
