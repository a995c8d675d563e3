"""Tensors out of a file of PyTorch, without PyTorch, and without running what is in the file.

A file of ``torch.save`` is a zip archive of stored members: ``<name>/data.pkl``, a pickle that says
how the tensors are called and built, and ``<name>/data/<key>``, the raw numbers of each storage
(https://docs.pytorch.org/docs/stable/notes/serialization.html). No pickle is loaded: see
``torch_pickle``.
"""

import io
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import PackError
from app.packs.convert.torch_pickle import interpret

_TYPES = {
    "torch HalfStorage": "<f2",
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch IntStorage": "<i4",
    "torch LongStorage": "<i8",
}
"""Storages by the names that a pickle has for them: little-endian."""
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
            storages = _Storages(archive, len(data))
            return interpret(storages.instructions(), set(_TYPES), storages.numbers)
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
            self._read[key] = np.frombuffer(member, _TYPES[kind])
        found = self._read[key]
        if found.size != count or found.dtype != np.dtype(_TYPES[kind]):
            raise ValueError(f"storage {key} has {found.size} numbers, not {count}")
        return found
