"""The exception tree. Each error knows its exit code (command line) and its HTTP status.

::

    FaceBlurError                 1   500   internal_error
    ├── UsageError                2   400   bad_option
    │   ├── ConfigError           2   400   bad_option
    │   ├── PeopleError           2   400   bad_people
    │   ├── PlanError             2   400   bad_plan
    │   ├── OutputError           2   400   bad_output
    │   └── PlaceError            2   400   bad_place
    ├── MediaError                2   422   broken_media
    │   ├── UnsupportedMedia      2   415   unsupported_media
    │   └── MediaTooLarge         2   413   too_large
    ├── ModelError                1   503   not_ready
    │   ├── PackError             1   503   not_ready
    │   │   └── Unreachable       1   503   not_ready
    │   └── DeviceError           1   503   not_ready
    ├── DiskFull                  1   507   disk_full
    ├── StorageError              1   503   storage_failed
    └── Interrupted             130   503   interrupted

Errors of third-party libraries are translated where they are raised, with ``from``. A message is
one line: it names the file and says what to do about it.
"""

from typing import ClassVar


class FaceBlurError(Exception):
    """Root of every error that this package raises on purpose."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"


class UsageError(FaceBlurError):
    """The caller asked for something that cannot be done as asked."""

    exit_code = 2
    http_status = 400
    code = "bad_option"


class ConfigError(UsageError):
    """An option is unknown, out of range, or contradicts another one."""


class PeopleError(UsageError):
    """A reference photo is unreadable, shows no usable face, or shows several."""

    code = "bad_people"


class PlanError(UsageError):
    """A plan is malformed, of an unknown version, or of another file."""

    code = "bad_plan"


class OutputError(UsageError):
    """The output exists already, cannot be written, or cannot hold the streams of the input."""

    code = "bad_output"


class PlaceError(UsageError):
    """A place in S3 is none, is not there, may not be used, or changed while it was read."""

    code = "bad_place"


class MediaError(FaceBlurError):
    """The media file is damaged: some frame of it cannot be decoded."""

    exit_code = 2
    http_status = 422
    code = "broken_media"


class UnsupportedMedia(MediaError):
    """Not a video or image that we read; also playlists and whatever refers to other files."""

    http_status = 415
    code = "unsupported_media"


class MediaTooLarge(MediaError):
    """The media is beyond a configured limit of size, duration, resolution or frame count."""

    http_status = 413
    code = "too_large"


class ModelError(FaceBlurError):
    """The models cannot be used."""

    http_status = 503
    code = "not_ready"


class PackError(ModelError):
    """A model pack is missing, damaged, or its licence has not been accepted."""


class Unreachable(PackError):
    """The publisher of some weights cannot be reached."""


class DeviceError(ModelError):
    """The device that was asked for is not there."""


class DiskFull(FaceBlurError):
    """There is no room for the result."""

    http_status = 507
    code = "disk_full"


class StorageError(FaceBlurError):
    """S3 failed, or was out of reach; another time it may work."""

    http_status = 503
    code = "storage_failed"


class Interrupted(FaceBlurError):
    """The caller stopped the work (Ctrl-C, SIGTERM, a client that went away)."""

    exit_code = 130
    http_status = 503
    code = "interrupted"
