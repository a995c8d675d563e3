"""The client of S3, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.errors import DiskFull, PlaceError, StorageError
from app.files import is_disk_full

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""Shorter than what is left after SIGTERM: whoever waits for a dead connection cannot stop."""
WRITE_SECONDS = 60.0
"""S3 may take its time to put an object together of its parts."""
_CONNECTIONS = 10
_REFUSED = {
    403: "access is denied; give the role the permission",
    404: "is not there; check the name",
    412: "was changed meanwhile; send it again when it is complete",
    416: "was changed meanwhile; send it again when it is complete",
}


def make_client(read_seconds: float = READ_SECONDS) -> "S3Client":
    """Make a client of S3, with what the environment says of credentials, region and endpoint.

    Args:
        read_seconds: how long a connection may give nothing.

    Raises:
        PlaceError: what the environment says cannot be used.
    """
    # Slow to import, and needed by few.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard"},
    )
    with translated("S3"):
        # Of a session of its own: the one that all share may not be made by two threads at once.
        return boto3.Session().client("s3", config=config)


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Errors of boto3 as ours, in one line without the names that theirs hold.

    Raises:
        PlaceError: S3 refuses.
        StorageError: S3 fails, or is out of reach.
        DiskFull: there is no room for what it gives.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(error, label) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise PlaceError(
            f"{label}: no AWS credentials; the container needs a role, and a network "
            "(EnableNetworkIsolation false)"
        ) from error
    except (exceptions.ParamValidationError, exceptions.InvalidRegionError) as error:
        raise PlaceError(f"{label}: cannot be asked for: {type(error).__name__}") from error
    except (exceptions.BotoCoreError, Boto3Error, OSError) as error:
        if isinstance(error, OSError) and is_disk_full(error):
            raise DiskFull(f"{label}: no room left on the disk; free some") from error
        raise StorageError(f"{label}: S3 fails: {type(error).__name__}; try again") from error


def status_of(error: BaseException) -> int:
    """The status with which S3 refused what became an error of ours; 0 where it did not."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return 0
    return int(cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def _refusal(error: Any, label: str) -> PlaceError | StorageError:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    code = str(error.response.get("Error", {}).get("Code") or status)
    if not 400 <= status < 500:
        return StorageError(f"{label}: S3 fails: {code}; try again")
    return PlaceError(f"{label}: {_REFUSED.get(status, f'S3 refuses: {code}')}")
