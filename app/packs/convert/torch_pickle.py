"""What a saved dictionary of tensors says, without running it.

Pickles are programs. Of their instructions (described in Python's ``pickletools``) only those are
understood here that PyTorch writes a dictionary of tensors with, and nothing can be named but
tensors, their storages and dictionaries. Everything else is refused.
"""

import math
import pickletools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Numbers: TypeAlias = Callable[[str, str, int], NDArray[Any]]
"""The flat storage of a kind, by its key, that must have so many numbers."""

_DICTIONARY = "collections OrderedDict"
_TENSOR = "torch._utils _rebuild_tensor_v2"


def interpret(program: bytes, kinds: Collection[str], numbers: Numbers) -> dict[str, NDArray[Any]]:
    """The tensors by name, as read-only views of their storages.

    Args:
        program: the pickle.
        kinds: the names of storages that it may use, like ``torch FloatStorage``.
        numbers: gives them.

    Raises:
        ArithmeticError, LookupError, TypeError, ValueError: it is damaged, or makes anything else.
    """
    result = _Machine(kinds, numbers).run(program)
    if type(result) is not dict:
        raise ValueError("it is no dictionary")
    if wrong := [name for name, value in result.items() if not isinstance(value, np.ndarray)]:
        raise ValueError(f"{wrong[0][:80]!r} is no tensor")
    return result


@dataclass(frozen=True, slots=True)
class _Name:
    """One of the few things that a pickle may name."""

    text: str


@dataclass(slots=True)
class _Machine:
    """The instructions that are understood; ``stack``, marks and memo are those of a pickle."""

    kinds: Collection[str]
    numbers: Numbers
    stack: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def run(self, program: bytes) -> object:
        """What the instructions make."""
        for instruction, argument, _ in pickletools.genops(program):
            if instruction.name not in _INSTRUCTIONS:
                raise ValueError(f"{instruction.name} is not allowed in it")
            _INSTRUCTIONS[instruction.name](self, argument)
        result = self.stack.pop()
        if self.stack:
            raise ValueError("it holds several things")
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
        if text not in {_DICTIONARY, _TENSOR, *self.kinds}:
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
        self.stack.append(self.numbers(kind.text, key, count))

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
