"""The exception tree. Each error knows its exit code (command line) and its HTTP status.

::

    FaceBlurError                 1   500   internal_error
    ├── UsageError                2   400   bad_option
    │   ├── ConfigError           2   400   bad_option
    │   ├── PeopleError           2   400   bad_people
    │   ├── PlanError             2   400   bad_plan
    │   ├── OutputError           2   400   bad_output
    │   ├── PlaceError            2   400   bad_place
    │   ├── IncompleteUpload      2   400   incomplete_upload
    │   └── TicketError           2   400   bad_ticket
    ├── MediaError                2   422   broken_media
    │   ├── Crashed               2   422   crashed
    │   ├── UnsupportedMedia      2   415   unsupported_media
    │   └── MediaTooLarge         2   413   too_large
    ├── VerificationError         3   422   not_hidden
    ├── ModelError                1   503   not_ready
    │   ├── PackError             1   503   not_ready
    │   │   └── Unreachable       1   503   not_ready
    │   └── DeviceError           2   503   not_ready
    ├── DiskFull                  1   507   disk_full
    ├── StorageError              1   503   storage_failed
    ├── Busy                      1   503   busy
    └── Interrupted             130   503   interrupted

Errors of third-party libraries are translated where they are raised, with ``from``. A message is
one line: it names the file and says what to do about it.
"""

import errno
from typing import ClassVar, Final

_SYSTEM_REASONS: Final = {
    errno.ENOENT: "it does not exist",
    errno.EACCES: "this user has no permission",
    errno.EPERM: "this user has no permission",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is not a folder",
    errno.EEXIST: "it exists already",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ELOOP: "its links form a loop",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "no space is left on the device",
    errno.EDQUOT: "the quota of the disk is used up",
    errno.EFBIG: "it is larger than the file system allows",
    errno.EIO: "the device has failed",
    errno.ENODEV: "the device is missing",
    errno.EBUSY: "it is in use",
    errno.ETXTBSY: "it is in use",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOMEM: "there is not enough memory",
    errno.ESTALE: "its file server has lost it",
    errno.ECONNREFUSED: "the connection was refused",
    errno.ECONNRESET: "the connection was closed",
    errno.ETIMEDOUT: "no answer came in time",
    errno.EADDRINUSE: "another program uses this address",
    errno.EADDRNOTAVAIL: "this machine does not have this address",
}
"""Our words for errors of the operating system, whose own differ between systems."""


class FaceBlurError(Exception):
    """Root of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"


class UsageError(FaceBlurError):
    """The request cannot be fulfilled as it was made."""

    exit_code = 2
    http_status = 400
    code = "bad_option"


class ConfigError(UsageError):
    """An option is unknown, out of range, or contradicts another option."""


class PeopleError(UsageError):
    """A reference photo is unreadable, shows no usable face, or shows several faces."""

    code = "bad_people"


class PlanError(UsageError):
    """A plan is malformed, has an unknown version, or belongs to another file."""

    code = "bad_plan"


class EditsError(PlanError):
    """The edits of a plan are damaged, incomplete, impossible, or belong to another plan."""

    code = "bad_edits"


class EditConflict(EditsError):
    """Somebody else has edited the plan in the meantime."""

    http_status = 409
    code = "edit_conflict"


class OutputError(UsageError):
    """The output already exists, cannot be written, or cannot hold the streams of the input."""

    code = "bad_output"


class PlaceError(UsageError):
    """An S3 URI is invalid, missing, not permitted, or its object changed during reading."""

    code = "bad_place"


class IncompleteUpload(UsageError):
    """The body of a request ended before its declared length, or stopped arriving."""

    code = "incomplete_upload"


class TicketError(UsageError):
    """A ticket is malformed, requests something that is not allowed, or is refused by S3."""

    code = "bad_ticket"


class MediaError(FaceBlurError):
    """The media file is damaged: at least one frame cannot be decoded."""

    exit_code = 2
    http_status = 422
    code = "broken_media"


class Crashed(MediaError):
    """The process that worked on the media crashed, or made no progress and was killed."""

    code = "crashed"


class UnsupportedMedia(MediaError):
    """Not a supported video or image, for example a playlist or a file that refers to others."""

    http_status = 415
    code = "unsupported_media"


class MediaTooLarge(MediaError):
    """The media exceeds a configured limit of size, duration, resolution or frame count."""

    http_status = 413
    code = "too_large"


class VerificationError(FaceBlurError):
    """A result was looked at again, and a face that should be hidden can still be seen."""

    exit_code = 3
    http_status = 422
    code = "not_hidden"


class ModelError(FaceBlurError):
    """The models cannot be used."""

    http_status = 503
    code = "not_ready"


class PackError(ModelError):
    """A model pack is missing or damaged, or its licence has not been accepted."""


class Unreachable(PackError):
    """The publisher of some weights cannot be reached."""


class DeviceError(ModelError):
    """The device or encoder that a setting requests is not available here."""

    exit_code = 2


class DiskFull(FaceBlurError):
    """There is no space for the result."""

    http_status = 507
    code = "disk_full"


class StorageError(FaceBlurError):
    """S3 failed or could not be reached; a later attempt may succeed."""

    http_status = 503
    code = "storage_failed"


class Busy(FaceBlurError):
    """Another request is being processed; try again later."""

    http_status = 503
    code = "busy"


class Interrupted(FaceBlurError):
    """The work was stopped: Ctrl-C, SIGTERM, or a client that disconnected."""

    exit_code = 130
    http_status = 503
    code = "interrupted"


def reason_of(error: Exception) -> str:
    """Describe an error of the operating system in our words.

    Python raises ``ValueError`` for a name with a zero byte, and ``RuntimeError`` for a loop of
    links.

    >>> reason_of(FileNotFoundError(2, "No such file or directory"))
    'it does not exist'
    """
    if isinstance(error, RuntimeError):
        return _SYSTEM_REASONS[errno.ELOOP]
    if isinstance(error, OSError):
        number = error.errno or 0
        return _SYSTEM_REASONS.get(number, f"the system refuses it, with error {number}")
    return "its name is not possible"
