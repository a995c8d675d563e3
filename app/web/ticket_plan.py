"""The plan that a ticket brings with its edits, and plans that a ticket must not replace."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from app.errors import TicketError
from app.files import sha256_of
from app.plan import edits_path
from app.storage import S3Uri, fetch_object, find_object
from app.web.tickets import Ticket
from app.web.uploads import MAX_PLAN_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class GivenPlan:
    """A plan and its edits, as files that were fetched from S3."""

    plan: Path
    edits: Path

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of both."""
        return {"plan": sha256_of(self.plan), "edits": sha256_of(self.edits)}


def fetch_plan(
    client: "S3Client", ticket: Ticket, folder: Path, check: Callable[[], None]
) -> GivenPlan | None:
    """Fetch plan and edits of a ticket into ``folder``; return None if it has no edits.

    Raises:
        PlaceError: one does not exist, is too large, or access is denied.
        StorageError: S3 fails.
        DiskFull: there is no space for them.
    """
    if ticket.edits is None or ticket.plan is None:
        return None
    plan = folder / "given.json"
    given = GivenPlan(plan, edits_path(plan))
    for uri, label, path in (
        (ticket.plan, "the plan", given.plan),
        (ticket.edits, "the edits", given.edits),
    ):
        fetch_object(client, uri, label, path, most=MAX_PLAN_BYTES, check=check)
    return given


def check_not_edited(client: "S3Client", plan: S3Uri) -> None:
    """Check that there are no edits beside the place of a plan that is to be written.

    Raises:
        TicketError: there are some.
        StorageError: S3 fails.
    """
    key = PurePosixPath(plan.key)
    edits = str(key.with_name(edits_path(Path(key.name)).name))
    if find_object(client, S3Uri(plan.bucket, edits), "the edits") is not None:
        raise TicketError(
            "the plan: has edits, which would be lost; name them as edits, or choose another name"
        )
