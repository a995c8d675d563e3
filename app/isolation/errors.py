"""Errors that cross from the child to its supervisor by name."""

from collections.abc import Iterator
from typing import Any

from app import errors
from app.errors import FaceBlurError, MediaTooLarge
from app.isolation.messages import Message
from app.logs import describe_exception


class ChildFault(Exception):
    """A bug in the child: an exception that no part raises on purpose.

    ``description`` has the type of the exception and its traceback, as ``describe_exception``.
    """

    def __init__(self, description: dict[str, Any]) -> None:
        super().__init__("an internal error in the child process")
        self.description = description


def describe_failure(error: Exception) -> Message:
    """Return the message about an exception that ended a request."""
    if isinstance(error, MemoryError):
        error = MediaTooLarge("the work needs more memory than is allowed")
    if isinstance(error, FaceBlurError):
        return {"kind": "failed", "error": _public_kind(type(error)), "text": str(error)}
    return {"kind": "failed", "error": "", "description": describe_exception(error)}


def restore_failure(message: Message) -> Exception:
    """Return the exception of a message that ``describe_failure`` made."""
    kind = dict(_kinds(FaceBlurError)).get(str(message.get("error")))
    if kind is None:
        return ChildFault(dict(message.get("description") or {}))
    return kind(str(message.get("text")))


def _public_kind(kind: type[FaceBlurError]) -> str:
    """Return the name of the nearest class in ``app.errors``: the parent knows only those."""
    known = dict(_kinds(FaceBlurError))
    return next(one.__name__ for one in kind.__mro__ if known.get(one.__name__) is one)


def _kinds(root: type[FaceBlurError]) -> Iterator[tuple[str, type[FaceBlurError]]]:
    if root.__module__ == errors.__name__:
        yield root.__name__, root
        for kind in root.__subclasses__():
            yield from _kinds(kind)
