"""Where the result of a ticket goes: looked at before the work, put there after it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.errors import TicketError
from app.storage import WRITE_SECONDS, S3Uri, Stored, find, make_client, upload
from app.video import CONTENT_TYPES
from app.web.tickets import Ticket

_MARK = "face-blur"
"""Metadata of a result: of which source, settings, models and people it was made."""
_REPORT = "face-blur-report"
"""Metadata of a result: what was answered when it was made."""


class Delivery:
    """The output of a ticket, and the plan if it asks for one.

    Args:
        ticket: says where they go.
        mark: tells the result of this ticket from all others.
        check: called while parts are sent; raises what stops the work.
    """

    def __init__(self, ticket: Ticket, mark: str, check: Callable[[], None]) -> None:
        self._client = make_client(WRITE_SECONDS)
        self._ticket, self._mark, self._check = ticket, mark, check
        self._output = self._find(ticket.output, "the output")
        self._plan = None if ticket.plan is None else self._find(ticket.plan, "the plan")

    def _find(self, place: S3Uri, label: str) -> Stored | None:
        return find(self._client, place, label)

    def done_before(self) -> dict[str, Any] | None:
        """The report on a result that a ticket like this one has made; None: there is none.

        Raises:
            TicketError: something else is there, and may not be replaced.
        """
        plan_there = self._ticket.plan is None or self._is_own(self._plan)
        if self._output is not None and self._is_own(self._output) and plan_there:
            report: dict[str, Any] = json.loads(self._output.metadata[_REPORT])
            return report
        for label, stored in (("the output", self._output), ("the plan", self._plan)):
            if stored is not None and not self._may_replace(stored):
                raise TicketError(f"{label}: exists already; choose another name or overwrite it")
        return None

    def put(self, result: Path, plan: Path, report: Mapping[str, Any]) -> None:
        """Put the plan in its place, if it is wanted, and then the output.

        Raises:
            PlaceError: S3 refuses, or the name was taken meanwhile.
            StorageError: S3 fails.
        """
        if self._ticket.plan is not None:
            self._send(plan, self._ticket.plan, "the plan", {}, self._plan)
        told = {_REPORT: json.dumps(report)}
        self._send(result, self._ticket.output, "the output", told, self._output)

    def _send(
        self, path: Path, place: S3Uri, label: str, told: Mapping[str, str], there: Stored | None
    ) -> None:
        upload(
            self._client, path, place, label,
            content_type=CONTENT_TYPES[path.suffix],
            metadata={_MARK: self._mark, **told},
            overwrite=self._may_replace(there),
            check=self._check,
        )  # fmt: skip

    def _may_replace(self, stored: Stored | None) -> bool:
        return self._ticket.overwrite or self._is_own(stored)

    def _is_own(self, stored: Stored | None) -> bool:
        return stored is not None and stored.metadata.get(_MARK) == self._mark
