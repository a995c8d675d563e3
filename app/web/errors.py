"""Errors that only a service has, and the words of any error that may leave it.

::

    FaceBlurError
    ├── Busy                      503   busy
    └── UsageError
        └── IncompleteUpload      400   incomplete_upload
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from app.errors import FaceBlurError, UsageError

_LONGEST = 500
_PATH = re.compile(r"(?<![\w.:/])(?:s3:/)?/[^\s;,()'\"]*[^\s;,()'\":]")


class Busy(FaceBlurError):
    """Another request is being worked on; try again later."""

    http_status = 503
    code = "busy"


class IncompleteUpload(UsageError):
    """The body ended before its declared end, or stopped coming."""

    code = "incomplete_upload"


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
