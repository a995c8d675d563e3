"""Logging as lines of JSON, without names and paths.

The text of an exception may contain file names, and files are named after people. So only the type
of an exception and its traceback (file names of the code, line numbers, functions) are logged.
"""

import json
import logging
import re
import traceback
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.config import dictConfig
from pathlib import Path
from types import MappingProxyType
from typing import Any

LOGGER = logging.getLogger("face_blur")

_MAX_CHARACTERS = 500
"""Length of a redacted message."""
_PATH = re.compile(
    r"(?<![\w.:/])(?!s3://BUCKET/(?:PREFIX/|KEY)?(?![\w/]))(?:s3:/)?/[^\s;,()'\"]*[^\s;,()'\":]"
)
"""A path or S3 URI, but not the form of a URI in a message: no bucket has capital letters."""
_IP_ADDRESS = re.compile(r"\bip=\S+")
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of Unicode: controls, formats, halves of pairs, private and unassigned characters, and
separators of lines."""
_JOINERS = frozenset("\u200c\u200d")
"""Format characters that belong to words, in Persian for example, and to pictures of families."""
_BOOT_NOISE = re.compile(r"Reason: Worker failed to boot|Shutting down: Master|exited with code 3")
"""Messages that gunicorn adds after our own line has given the reason of a failed start."""


def printable(text: str) -> str:
    r"""Return one line in which nothing acts on a terminal, or changes the order of letters.

    Names of files and people can hold control characters, which would move the cursor or hide
    text, marks of writing direction, and bytes that are not UTF-8. They become escapes as in JSON.

    >>> printable("a\x1b[2Jb\u202egpj.mp4")
    'a\\u001b[2Jb\\u202egpj.mp4'
    """
    if text.isprintable():
        return text
    return "".join(char if _is_shown(char) else _escaped(char) for char in text)


def _is_shown(char: str) -> bool:
    """Whether a character is a letter, a mark or a space of any kind that joins no lines."""
    return char in _JOINERS or unicodedata.category(char) not in _ACTING


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with the fields in ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": self._event(record),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= describe_exception(record.exc_info[1])
        return printable(json.dumps(line, ensure_ascii=False))

    @staticmethod
    def _event(record: logging.LogRecord) -> str:
        """Return the message, without the parts that may contain names.

        With an exception that is the message before its arguments are filled in; for other
        libraries than gunicorn it is the name of the logger.
        """
        known = record.name.partition(".")[0] in {"face_blur", "gunicorn"}
        text = record.getMessage() if known and not record.exc_info else str(record.msg)
        return _IP_ADDRESS.sub("ip=-", text) if known else record.name


def describe_exception(error: BaseException) -> dict[str, Any]:
    """Return the type of an exception and its traceback, innermost call last."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where}


def _is_not_boot_noise(record: logging.LogRecord) -> bool:
    return not _BOOT_NOISE.search(record.getMessage())


LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"boot": {"()": lambda: _is_not_boot_noise}},
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {
        "lines": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "json",
            "filters": ["boot"],
        }
    },
    "root": {"level": "WARNING", "handlers": ["lines"]},
    "loggers": {
        "face_blur": {"level": "INFO", "handlers": ["lines"], "propagate": False},
        "gunicorn.error": {"level": "INFO", "handlers": ["lines"], "propagate": False},
    },
}
"""The configuration for ``logging.config.dictConfig``."""


def configure_logging() -> None:
    """Send all logs to stdout as JSON."""
    dictConfig(LOGGING_CONFIG)


def redact(message: str, labels: Mapping[Path, str] = MappingProxyType({})) -> str:
    """Return a message as one line without paths, because paths contain names of people.

    Args:
        message: the message of an error.
        labels: replacements for known paths.

    >>> redact("/spool/x/media: damaged; see /data/alice", {Path("/spool/x/media"): "the media"})
    'the media: damaged; see a file'
    """
    # Longer paths first: the path of a folder is the beginning of the paths inside it.
    for path in sorted(labels, key=lambda path: len(str(path)), reverse=True):
        message = message.replace(str(path), labels[path])
    message = _PATH.sub("a file", " ".join(message.split()))
    return message[:_MAX_CHARACTERS].removeprefix("a file: ")


def silence_logging() -> None:
    """Drop all records of Face blur: a command prints its own messages."""
    LOGGER.addHandler(logging.NullHandler())
    LOGGER.propagate = False
