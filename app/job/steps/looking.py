"""Look at a video before any work: is it one, and is it short enough?"""

from fractions import Fraction

from app.config import ServiceSettings
from app.errors import MediaTooLarge
from app.job.places import Place
from app.types import MediaInfo
from app.video import Media, open_source


def look(place: Place) -> MediaInfo:
    """Return the facts of the video.

    Raises:
        MediaError: it is no video or image, or is damaged.
        MediaTooLarge: it is longer than ``FACE_BLUR_MAX_SECONDS``, or its frames are larger than
            ``FACE_BLUR_MAX_PIXELS``.
    """
    limits = ServiceSettings.load()
    media = Media(place.source, max_seconds=limits.max_seconds, max_pixels=limits.max_pixels)
    info = open_source(media).info
    check_length(info.duration)
    return info


def check_length(duration: Fraction) -> None:
    """Check a duration in seconds.

    Raises:
        MediaTooLarge: it is longer than ``FACE_BLUR_MAX_SECONDS``.
    """
    most = ServiceSettings.load().max_seconds
    if duration > Fraction(most):
        raise MediaTooLarge(
            f"the video has {float(duration):.0f} s, and {most:g} s are allowed; "
            "cut it, or raise the limit of the pipeline"
        )
