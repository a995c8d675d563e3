"""Tensors out of a file of PyTorch, without PyTorch, and without running what is in the file.

A file of ``torch.save`` is a zip archive of stored members: ``<name>/data.pkl``, a pickle that says
how the tensors are called and built, and ``<name>/data/<key>``, the raw numbers of each storage
(https://docs.pytorch.org/docs/stable/notes/serialization.html). Pickles are programs. Of their
instructions (described in Python's ``pickletools``) only those are understood here that a
dictionary of tensors is written with, by an interpreter of their own that can name nothing but
tensors, their storages and dictionaries. Everything else is refused.
"""

import io
import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from app.errors import PackError

_DICTIONARY = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"
_STORAGES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
}
"""Element types, little-endian."""
_DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What Python raises on such files."""
_MOST_INSTRUCTIONS = 1 << 20
"""Bytes of the pickle at most: a network of a thousand tensors has a tenth of it."""


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a saved state dictionary by name, as read-only arrays.

    Args:
        data: the file, as ``torch.save(module.state_dict(), path)`` writes it.

    Raises:
        PackError: it is damaged, or holds anything but tensors by name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Machine(_Storages(archive, len(data))).run()
    except _DAMAGED as error:
        raise PackError(f"the file is no saved dictionary of tensors: {error}") from error


class _Storages:
    """The members of the archive, each read once; all of them are no more than the archive."""

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._left = size
        self._read: dict[str, NDArray[Any]] = {}
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"expected one data.pkl, found {len(pickles)}")
        self._folder = pickles[0].removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if order in archive.namelist() and self._member(order) != b"little":
            raise ValueError("its numbers are not little-endian")

    def _member(self, name: str) -> bytes:
        info = self._archive.getinfo(name)
        self._left -= info.file_size
        if info.compress_type != zipfile.ZIP_STORED or self._left < 0:
            raise ValueError(f"{name} is packed")
        return self._archive.read(info)

    def instructions(self) -> bytes:
        """The pickle."""
        data = self._member(f"{self._folder}data.pkl")
        if len(data) > _MOST_INSTRUCTIONS:
            raise ValueError(f"data.pkl has {len(data)} bytes")
        return data

    def numbers(self, kind: str, key: str, count: int) -> NDArray[Any]:
        """The flat storage ``key``, which must have ``count`` numbers."""
        if key not in self._read:
            member = self._member(f"{self._folder}data/{key}")
            self._read[key] = np.frombuffer(member, _STORAGES[kind])
        found = self._read[key]
        if found.size != count or found.dtype != np.dtype(_STORAGES[kind]):
            raise ValueError(f"storage {key} has {found.size} numbers, not {count}")
        return found


@dataclass(frozen=True, slots=True)
class _Name:
    """One of the few things that a pickle may name."""

    text: str


@dataclass(slots=True)
class _Machine:
    """The instructions that are understood; ``stack``, marks and memo are those of a pickle."""

    storages: _Storages
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self) -> dict[str, NDArray[Any]]:
        for instruction, argument, _ in pickletools.genops(self.storages.instructions()):
            if instruction.name not in _INSTRUCTIONS:
                raise ValueError(f"{instruction.name} is not allowed in it")
            _INSTRUCTIONS[instruction.name](self, argument)
        result = self.stack.pop()
        if type(result) is not dict or self.stack:
            raise ValueError("it is no dictionary")
        if wrong := [name for name, value in result.items() if not isinstance(value, np.ndarray)]:
            raise ValueError(f"{wrong[0][:80]!r} is no tensor")
        return result

    def since_mark(self) -> list[Any]:
        """Take what lies above the last mark."""
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def pack(self, count: int) -> None:
        """A tuple of the last ``count`` values, in their place."""
        start = len(self.stack) - count
        if start < 0:
            raise ValueError("its stack is empty")
        self.stack[start:] = [tuple(self.stack[start:])]

    def name(self, text: str) -> None:
        if text not in {_DICTIONARY, _TENSOR, *_STORAGES}:
            raise ValueError(f"{text} is not allowed in it")
        self.stack.append(_Name(text))

    def call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if function == _Name(_DICTIONARY) and type(arguments) is tuple and not arguments:
            self.stack.append({})
        elif function == _Name(_TENSOR) and type(arguments) is tuple:
            self.stack.append(_tensor(arguments))
        else:
            raise ValueError("a call is not allowed in it")

    def storage(self) -> None:
        tag, kind, key, _device, count = self.stack.pop()
        if tag != "storage" or type(kind) is not _Name or type(key) is not str:
            raise ValueError("what it refers to is no storage")
        self.stack.append(self.storages.numbers(kind.text, key, count))

    def put(self, items: list[Any]) -> None:
        """Pairs of name and value into the dictionary that is then the last value."""
        target = self.stack[-1]
        for name, value in zip(items[::2], items[1::2], strict=True):
            # other keys than strings may take forever to hash
            if type(target) is not dict or type(name) is not str:
                raise ValueError("a value of it has no name")
            target[name] = value

    def put_one(self) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        self.put([name, value])


def _tensor(arguments: tuple[Any, ...]) -> NDArray[Any]:
    """A view of a storage; offset and strides count numbers. Gradients and hooks mean nothing."""
    numbers, offset, shape, strides, _gradient, _hooks = arguments
    if not isinstance(numbers, np.ndarray) or numbers.ndim != 1:
        raise TypeError("a tensor of it has no storage")
    if type(shape) is not tuple or type(strides) is not tuple or len(shape) != len(strides):
        raise TypeError("a tensor of it has no shape")
    if any(type(value) is not int or value < 0 for value in (offset, *shape, *strides)):
        raise ValueError("a tensor of it has a shape that is none")
    last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
    if not 0 < math.prod(shape) <= numbers.size or last >= numbers.size:
        raise ValueError(f"a tensor of shape {shape} is larger than its storage")
    steps = [step * numbers.itemsize for step in strides]
    return as_strided(numbers[offset:], shape, steps, writeable=False)


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _keep(machine: _Machine, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


def _recall(machine: _Machine, place: int) -> None:
    machine.stack.append(machine.memo[place])


_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda _machine, _argument: None,
    "STOP": lambda _machine, _argument: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "BINUNICODE": _push,
    "BININT": _push,
    "BININT1": _push,
    "BININT2": _push,
    "NEWFALSE": lambda machine, _: _push(machine, value=False),
    "NEWTRUE": lambda machine, _: _push(machine, value=True),
    "EMPTY_DICT": lambda machine, _: _push(machine, {}),
    "EMPTY_TUPLE": lambda machine, _: _push(machine, ()),
    "TUPLE": lambda machine, _: _push(machine, tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "BINPUT": _keep,
    "LONG_BINPUT": _keep,
    "BINGET": _recall,
    "LONG_BINGET": _recall,
    "GLOBAL": _Machine.name,
    "REDUCE": lambda machine, _: machine.call(),
    "BINPERSID": lambda machine, _: machine.storage(),
    "SETITEM": lambda machine, _: machine.put_one(),
    "SETITEMS": lambda machine, _: machine.put(machine.since_mark()),
    # attributes of a dictionary: versions of modules, which mean nothing here
    "BUILD": lambda machine, _: machine.stack.pop(),
}
