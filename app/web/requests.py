"""Requests to the child process of the service, as JSON-ready messages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.config import Settings
from app.isolation.messages import Message
from app.web.options import ResponseKind


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """Work on a file in ``folder``.

    ``people`` is a folder of photos in numbered folders; ``names`` are the people of these folders.
    ``plan`` is a plan to render, instead of an analysis, and ``edits`` are those of the plan.
    """

    folder: Path
    media: Path
    settings: Settings
    response: ResponseKind = "media"
    people: Path | None = None
    names: dict[str, str] = field(default_factory=dict)
    plan: Path | None = None
    edits: Path | None = None

    def message(self) -> Message:
        """Return the message of this request."""
        return {
            "folder": str(self.folder),
            "media": str(self.media),
            "settings": _dump(self.settings),
            "response": self.response,
            "people": None if self.people is None else str(self.people),
            "names": self.names,
            "plan": None if self.plan is None else str(self.plan),
            "edits": None if self.edits is None else str(self.edits),
        }


@dataclass(frozen=True, slots=True)
class TicketRequest:
    """Work on a ticket (JSON) with ``folder`` for temporary files."""

    folder: Path
    ticket: str
    settings: Settings

    def message(self) -> Message:
        """Return the message of this request."""
        settings = _dump(self.settings)
        return {"folder": str(self.folder), "ticket": self.ticket, "settings": settings}


def parse_request(message: Message) -> MediaRequest | TicketRequest:
    """Return the request of a message."""
    folder, settings = Path(message["folder"]), Settings(**message["settings"])
    if "ticket" in message:
        return TicketRequest(folder, message["ticket"], settings)
    people, plan, edits = (
        None if message[key] is None else Path(message[key]) for key in ("people", "plan", "edits")
    )
    return MediaRequest(
        folder,
        Path(message["media"]),
        settings,
        message["response"],
        people,
        message["names"],
        plan,
        edits,
    )


def _dump(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_unset=True)
