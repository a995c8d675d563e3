"""What can go wrong on the way to AWS and back; each error is one line and has an exit code."""

from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from app.errors import FaceBlurError, UsageError


class CloudError(FaceBlurError):
    """AWS refused, failed, or could not be reached.

    Args:
        message: one line for the user.
        reason: the code of AWS, such as ``NoSuchBucket``; empty where it has told none.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class JobFailed(FaceBlurError):
    """A job ended without having done everything."""


class LimitError(UsageError):
    """A request would be beyond a limit of the API, or is not of the form that it wants."""


class NotOurs(UsageError):
    """Something would have to be changed or deleted that does not carry our tag."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of boto3 as ours: what was tried, and the code and message of AWS.

    Raises:
        CloudError: in place of those.
    """
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        text = f"{what}: {told.get('Code', 'unknown')}: {told.get('Message', '')}"
        raise CloudError(" ".join(text.split()), told.get("Code", "")) from error
    # Neither an answer that is not understood nor a transfer that fails is a BotoCoreError.
    except (BotoCoreError, Boto3Error, ResponseParserError) as error:
        raise CloudError(f"{what}: {shorten(str(error), 300, placeholder=' ...')}") from error
