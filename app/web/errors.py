"""Errors that only a service has.

::

    FaceBlurError
    ├── Busy                      503   busy
    └── UsageError
        ├── IncompleteUpload      400   incomplete_upload
        └── TicketError           400   bad_ticket
"""

from app.errors import FaceBlurError, UsageError


class Busy(FaceBlurError):
    """Another request is being worked on; try again later."""

    http_status = 503
    code = "busy"


class IncompleteUpload(UsageError):
    """The body ended before its declared end, or stopped coming."""

    code = "incomplete_upload"


class TicketError(UsageError):
    """A ticket is malformed, asks for what is not allowed, or S3 refuses what it asks for."""

    code = "bad_ticket"
