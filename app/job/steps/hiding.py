"""The step ``hide``: all the work on a video that stays whole."""

import json
from argparse import Namespace
from typing import Any

from app.batch.inputs import Inputs
from app.errors import FaceBlurError
from app.job.folders import Folders
from app.job.places import Place
from app.job.run import run
from app.job.steps.looking import look
from app.process import StopSignal

_HOST = "local"


class NotHidden(FaceBlurError):
    """The batch reported that the file failed; the message is that of the report."""


def hide(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001 - a step
    """Hide the faces of a video or image, and publish result, plan and report.

    Raises:
        NotHidden: the work failed; nothing is published.
        FaceBlurError: settings, people or models are wrong, or the video is too long.
    """
    look(place)
    people = place.folder("people")
    work = place.scratch / "hidden"
    has_people = people.is_dir() and any(people.iterdir())
    folders = Folders(
        place.source.parent, work, str(people) if has_people else None, place.scratch, _HOST
    )
    totals = run(folders, stop, Inputs({place.name: place.source}))
    line: dict[str, Any] = json.loads(
        (work / totals.report).read_text(encoding="utf-8").splitlines()[-1]
    )
    if totals.failed or line["status"] != "done":
        raise NotHidden(str(line["message"]))
    place.publish(work / line["output"], line["output"], work / line["plan"], line)
    return totals.text
