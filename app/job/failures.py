"""The reason of a failure: in the log, and in the file that SageMaker shows."""

from collections.abc import Mapping
from pathlib import Path

from app.errors import FaceBlurError
from app.logs import LOGGER, describe_exception, redact

_MAX_MESSAGE_BYTES = 1024
"""The length of a failure message that SageMaker shows."""


def log_failure(error: FaceBlurError, labels: Mapping[Path, str]) -> tuple[int, str]:
    """Log an error without paths; return its exit code and its message."""
    message = redact(str(error), labels)
    fields = {"code": error.code, "message": message}
    LOGGER.critical("job failed", extra={"fields": fields})
    return error.exit_code, message


def write_failure_message(path: Path, message: str) -> None:
    """Write the reason of the failure for SageMaker, if its folder exists."""
    if path.parent.is_dir():
        try:
            path.write_bytes(message.encode("utf-8", "replace")[:_MAX_MESSAGE_BYTES])
        except OSError as error:
            fields = describe_exception(error)
            LOGGER.warning("failure message not written", extra={"fields": fields})
