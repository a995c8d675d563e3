"""Read the tensors of a PyTorch file without PyTorch, and without running code from the file.

``torch.save`` writes a zip archive of uncompressed members: ``<name>/data.pkl``, a pickle that
names and describes the tensors, and ``<name>/data/<key>``, the raw numbers of each storage
(https://docs.pytorch.org/docs/stable/notes/serialization.html).

A pickle is a program, so a hostile one could run commands or use up memory and time. Three checks
prevent that: only the instructions that such a file needs may occur, only the names in ``_GLOBALS``
can be resolved, and each tensor must lie inside its storage.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from typing import Any, Final, NamedTuple, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from app.errors import PackError

_MAX_PICKLE: Final = 1 << 20
"""Bytes. The pickle of a network with a thousand tensors is about a tenth of this."""
_DTYPES: Final = {
    "HalfStorage": "<f2",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}
"""Little-endian NumPy types by the names of PyTorch's storage classes."""
_PUTS: Final = frozenset({"BINPUT", "LONG_BINPUT"})
_GETS: Final = frozenset({"BINGET", "LONG_BINGET"})
_REUSABLE: Final = frozenset({"BINUNICODE", "GLOBAL", "EMPTY_DICT", "REDUCE", "BINPERSID"})
"""Instructions whose results may be used again. Tuples may not: nested in each other they could
take exponential time to hash."""
_ALLOWED: Final = (
    _PUTS
    | _GETS
    | _REUSABLE
    | {"PROTO", "STOP", "MARK", "BININT", "BININT1", "BININT2", "NEWFALSE", "NEWTRUE"}
    | {"EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "SETITEM", "SETITEMS", "BUILD"}
)
_DAMAGED: Final = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""Exceptions that the standard library and NumPy raise on damaged files."""


def read_tensors(data: bytes) -> dict[str, NDArray[Any]]:
    """Read the tensors of a saved state dictionary.

    Args:
        data: a file as ``torch.save(module.state_dict(), path)`` writes it.

    Returns:
        The tensors by name, as read-only views of the storages.

    Raises:
        PackError: the file is damaged, or contains anything but named tensors.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            archive = _Archive(file, len(data))
            program = archive.pickle()
            _check_program(program)
            named = _TensorUnpickler(io.BytesIO(program)).load()
            if type(named) is not OrderedDict:
                raise ValueError("its pickle is not a dictionary")
            return {_name(key): archive.tensor(value) for key, value in dict.items(named)}
    except _DAMAGED as error:
        raise PackError(f"the file is not a saved dictionary of tensors: {error}") from error


def _name(key: object) -> str:
    if type(key) is not str:
        raise ValueError("a tensor has no name")
    return key


class _Storage(NamedTuple):
    """A reference to a member of the archive: its key, NumPy type and number of values."""

    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; the offset and the strides count values, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor:
    """Stand-in for ``torch._utils._rebuild_tensor_v2``.

    An object without attributes rather than a function: a pickle may set attributes.
    """

    __slots__ = ()

    def __call__(
        self,
        storage: object,
        offset: object,
        shape: object,
        strides: object,
        _requires_grad: object,
        _hooks: object,
    ) -> _Tensor:
        """Describe a tensor, after checking the types of the arguments."""
        if type(storage) is not _Storage or type(offset) is not int:
            raise TypeError("a tensor has no storage")
        return _Tensor(storage, offset, _whole_numbers(shape), _whole_numbers(strides))


def _whole_numbers(values: object) -> tuple[int, ...]:
    if type(values) is not tuple or any(type(value) is not int for value in values):
        raise TypeError("the shape of a tensor is not a tuple of whole numbers")
    return values


_GLOBALS: Final[dict[tuple[str, str], Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    **{("torch", name): dtype for name, dtype in _DTYPES.items()},
}
"""The names that a pickle may use."""


class _TensorUnpickler(pickle.Unpickler):
    """An unpickler that creates dictionaries and descriptions of tensors, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Resolve one of the permitted names."""
        if (module, name) not in _GLOBALS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in it")
        return _GLOBALS[module, name]

    def persistent_load(self, reference: Any) -> _Storage:
        """Resolve a reference to a storage, ``("storage", type, key, device, count)``."""
        tag, dtype, key, _device, count = reference
        if tag != "storage" or dtype not in _DTYPES.values():
            raise pickle.UnpicklingError("it refers to something that is not a storage")
        if type(key) is not str or type(count) is not int:
            raise pickle.UnpicklingError("a reference to a storage is malformed")
        return _Storage(key, dtype, count)


def _check_program(program: bytes) -> None:
    """Refuse instructions that a saved state dictionary does not need.

    Raises:
        ValueError: an instruction is not allowed, a memo index is larger than the pickle (the
            unpickler would allocate a table of that length), or the stack is not used up.
    """
    reusable: set[int] = set()
    previous = ""
    for instruction, argument, _ in pickletools.genops(program):
        name, index = instruction.name, cast(int, argument)
        if name not in _ALLOWED:
            raise ValueError(f"{name} is not allowed in it")
        if name in _PUTS:
            if index >= len(program):
                raise ValueError(f"memo index {index} is too large")
            (reusable.add if previous in _REUSABLE else reusable.discard)(index)
            continue
        if name in _GETS and index not in reusable:
            raise ValueError(f"memo index {index} may not be used")
        previous = name
    # This raises ValueError if the stack underflows or has several values at the end.
    pickletools.dis(program, out=io.StringIO())


class _Archive:
    """The members of a file, each read once; in total they are no larger than the file."""

    def __init__(self, file: zipfile.ZipFile, size: int) -> None:
        self._file = file
        self._bytes_left = size
        self._storages: dict[str, NDArray[Any]] = {}
        pickles = [name for name in file.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"expected one data.pkl, found {len(pickles)}")
        self._folder = pickles[0].removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if order in file.namelist() and self._member(order) != b"little":
            raise ValueError("its numbers are not little-endian")

    def _member(self, name: str) -> bytes:
        info = self._file.getinfo(name)
        self._bytes_left -= info.file_size
        if info.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name} is compressed")
        if self._bytes_left < 0:
            raise ValueError(f"{name} overlaps with another member")
        return self._file.read(info)

    def pickle(self) -> bytes:
        """Read ``data.pkl``."""
        data = self._member(f"{self._folder}data.pkl")
        if len(data) > _MAX_PICKLE:
            raise ValueError(f"data.pkl has {len(data)} bytes")
        return data

    def _storage(self, described: _Storage) -> NDArray[Any]:
        """Read a flat storage, which must have the type and length that the pickle states."""
        if described.key not in self._storages:
            member = self._member(f"{self._folder}data/{described.key}")
            self._storages[described.key] = np.frombuffer(member, described.dtype)
        values = self._storages[described.key]
        if values.size != described.length or values.dtype != np.dtype(described.dtype):
            raise ValueError(
                f"storage {described.key} has {values.size} numbers, not {described.length}"
            )
        return values

    def tensor(self, described: object) -> NDArray[Any]:
        """Create the view that a description stands for, after checking its bounds."""
        if type(described) is not _Tensor:
            raise ValueError("a value is not a tensor")
        storage, offset, shape, strides = described
        values = self._storage(storage)
        if len(shape) != len(strides) or min((offset, *shape, *strides)) < 0:
            raise ValueError("a tensor has an impossible shape")
        last = offset + sum((side - 1) * step for side, step in zip(shape, strides, strict=True))
        if not 0 < math.prod(shape) <= values.size or last >= values.size:
            raise ValueError(f"a tensor of shape {shape} is larger than its storage")
        steps = [step * values.itemsize for step in strides]
        return as_strided(values[offset:], shape, steps, writeable=False)
