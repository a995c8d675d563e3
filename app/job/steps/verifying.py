"""The step ``verify``: look at a joined video again, and publish it if nothing is found."""

from argparse import Namespace
from pathlib import Path
from time import monotonic
from typing import Any

from app.config import Settings
from app.errors import VerificationError
from app.files import sha256_of
from app.job.places import Place, only_file
from app.job.steps.joining import JOINED, PLAN, SPLIT
from app.job.steps.splitting import MODEL, thaw_people
from app.pipeline import FaceBlur
from app.plan import Plan, read_plan
from app.process import StopSignal
from app.verification import Verification, verify
from app.verification.records import frames_text
from app.video import Media


def verify_joined(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001
    """Publish the joined video with its plan and a report.

    Raises:
        VerificationError: a face that should be hidden can still be seen; nothing is published.
        MediaError, PlanError: video, plan and source do not belong together, or are damaged.
    """
    began = monotonic()
    joined = place.folder(JOINED)
    result = only_file(joined, f"{JOINED}{Path(place.name).suffix}")
    path = only_file(joined, PLAN)
    people = thaw_people(only_file(place.folder(SPLIT), MODEL), place.scratch)
    plan = read_plan(path)
    session = FaceBlur(Settings.load(**({} if people is None else {"people": people})))
    found = verify(session, plan, Media(result), Media(place.source))
    if not found.clean:
        raise VerificationError(
            f"{len(found.findings)} findings in the joined video: {frames_text(found.findings)}"
        )
    report = _report(place, plan, found) | {
        "result_sha256": sha256_of(result),
        "plan_sha256": sha256_of(path),
        "bytes": result.stat().st_size,
        "seconds": round(monotonic() - began, 3),
    }
    place.publish(result, place.name, path, report)
    return f"no hidden face can be seen in {found.frames} frames"


def _report(place: Place, plan: Plan, found: Verification) -> dict[str, Any]:
    """Return a report with the fields of one of a Processing job."""
    return {
        "file": place.name,
        "status": "done",
        "code": "ok",
        "message": "",
        "output": place.name,
        "plan": f"plans/{place.name}.plan.json",
        "source_sha256": plan.source.sha256,
        **plan.counts,
        "verification": {"frames": found.frames, "compared": found.compared},
    }
