"""Logs as lines of JSON, and words of errors that may be told: without names and paths.

What an exception says may name files, and files are named after people: of an exception only its
type and the lines of code that it passed are told.
"""

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.config import dictConfig
from pathlib import Path
from types import MappingProxyType
from typing import Any

LOGGER = logging.getLogger("face_blur")

_LONGEST = 500
_PATH = re.compile(r"(?<![\w.:/])(?:s3:/)?/[^\s;,()'\"]*[^\s;,()'\":]")
_ADDRESS = re.compile(r"\bip=\S+")
_BOOT_NOISE = re.compile(r"Reason: Worker failed to boot|Shutting down: Master|exited with code 3")
"""What gunicorn adds after the line that already says why nothing was started."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; ``extra={"fields": {...}}`` are added to it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": self._event(record),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            line |= describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)

    @staticmethod
    def _event(record: logging.LogRecord) -> str:
        """The message; of other libraries, and beside exceptions, only what is always the same."""
        known = record.name.partition(".")[0] in {"face_blur", "gunicorn"}
        text = record.getMessage() if known and not record.exc_info else str(record.msg)
        return _ADDRESS.sub("ip=-", text) if known else record.name


def describe(error: BaseException) -> dict[str, Any]:
    """The type of an exception and where it came from, innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return {"error": type(error).__name__, "where": where}


def _not_boot_noise(record: logging.LogRecord) -> bool:
    return not _BOOT_NOISE.search(record.getMessage())


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"boot": {"()": lambda: _not_boot_noise}},
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
"""For ``logging.config.dictConfig``."""


def start_logging() -> None:
    """Send all logs to stdout as JSON."""
    dictConfig(LOGGING)


def public(message: str, labels: Mapping[Path, str] = MappingProxyType({})) -> str:
    """One line of a message in which no path is left: paths tell names of people.

    Args:
        message: of an error.
        labels: what to call the files that the caller knows by other names.

    >>> public("/spool/x/media: damaged; see /data/alice", {Path("/spool/x/media"): "the media"})
    'the media: damaged; see a file'
    """
    # The longer ones first: a folder's path is the beginning of those in it.
    for path in sorted(labels, key=lambda path: len(str(path)), reverse=True):
        message = message.replace(str(path), labels[path])
    return _PATH.sub("a file", " ".join(message.split()))[:_LONGEST].removeprefix("a file: ")
