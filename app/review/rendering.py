"""Write the result of a review in the background, and remember what it shows."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from app.edits import Editor, open_doubts
from app.errors import Busy, FaceBlurError, PlanError
from app.pipeline import FaceBlur, LastResult
from app.plan import Plan
from app.reporting import make_report
from app.review.segments import keys_of
from app.review.state import Json
from app.review.video import Video
from app.verification import render_checked
from app.video import Media

Stage: TypeAlias = Literal["idle", "running", "done", "failed"]
_SUFFIX = ".rendered.json"
_FEW_FRAMES = 50
"""Fewer frames take as long as these: opening, checking and moving the file."""


def record_path(plan: Path) -> Path:
    """Return the path of the record of the last result of a plan."""
    return plan.with_name(plan.name.removesuffix(".json") + _SUFFIX)


def last_result(plan: Path, output: Path) -> LastResult | None:
    """Return the record of the last result, None if ``output`` is not that of this plan."""
    try:
        last = LastResult.read(record_path(plan))
    except PlanError:
        return None
    is_ours = last.path == output.absolute() and output.exists()
    return last if is_ours else None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rendering is; ``seconds`` is the time that it took."""

    stage: Stage = "idle"
    done: int = 0
    expected: int = 0
    seconds: float | None = None
    error: str | None = None


class Renderer:
    """Renders the result of one video, one rendering at a time.

    Args:
        video: the video and its edits.
        output: the path of the result; an older one is replaced when the new one is complete.
    """

    def __init__(self, video: Video, output: Path) -> None:
        self._video, self.output = video, output
        self._record = record_path(video.plan_path)
        self.progress = Progress()
        self._lock = threading.Lock()
        self._last = last_result(video.plan_path, output)
        self._thread: threading.Thread | None = None
        self._number: int | None = None
        self._pace: float | None = None

    def start(self) -> None:
        """Begin to write the result with all edits that were made until now.

        Raises:
            Busy: a rendering is running.
        """
        with self._lock:
            if self.progress.stage == "running":
                raise Busy("the result is being written already")
            with self._video.lock:
                plan, self._number = self._video.plan, len(self._video.editor.journal.edits)
            self.progress = Progress("running", 0, plan.source.frames)
            self._thread = threading.Thread(target=self._run, args=(plan,), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait for a rendering to end."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, plan: Plan) -> None:
        begin = time.monotonic()
        try:
            encoded = self._render(plan)
        except FaceBlurError as error:
            self.progress = replace(self.progress, stage="failed", error=str(error))
        except BaseException as error:
            self.progress = replace(self.progress, stage="failed", error="internal error")
            raise error from None
        else:
            seconds = time.monotonic() - begin
            self._pace = seconds / max(encoded, _FEW_FRAMES)
            self.progress = replace(self.progress, stage="done", seconds=round(seconds, 1))

    def _render(self, plan: Plan) -> int:
        """Write the result and its record, and return the number of frames that were encoded."""
        settings = self._video.settings
        media, session = Media(self._video.media_path), FaceBlur(settings)
        if settings.verify:  # looks at every frame, so nothing is gained by copying some
            checked = render_checked(
                session, media, plan, self.output, self._report, overwrite=True
            )
            self._keep(LastResult.of(self.output, checked.plan, settings))
            return plan.source.frames
        rendered = session.render(
            media,
            plan,
            self.output,
            self._report,
            overwrite=True,
            last=self._last,
            correctable=True,
        )
        last = None if rendered is None else rendered.last_result()
        # That of an image is never copied from, but it tells which edits the result has.
        self._keep(last or LastResult.of(self.output, plan, settings))
        return plan.source.frames if rendered is None else rendered.encoded

    def _keep(self, last: LastResult) -> None:
        self._last = last
        last.write(self._record)

    def _report(self, _stage: str, done: int, _expected: int | None) -> None:
        self.progress = replace(self.progress, done=done)

    def summary(self) -> Json | None:
        """Return how the last result differs from the present plan, None if there is none."""
        if self._last is None:
            return None
        changed = self._changed(self._last)
        return {
            "name": self.output.name,
            "stale": changed > 0,
            "changed_segments": changed,
            "changes": self._edits_since() if changed else 0,
            "seconds": self._estimate(changed),
        }

    def _estimate(self, changed: int) -> float | None:
        """Return the seconds that a rendering will probably take, None before the first one."""
        if self._pace is None:
            return None
        frames = self._video.plan.source.frames
        share = changed / max(1, len(self._video.bounds) - 1)
        return round(self._pace * max(frames * share, _FEW_FRAMES), 1)

    def _changed(self, last: LastResult) -> int:
        """Return the number of segments that the last result shows otherwise."""
        bounds = self._video.bounds
        if not bounds:
            return 0
        pairs = zip(keys_of(last.plan, bounds), keys_of(self._video.plan, bounds), strict=True)
        return sum(one != other for one, other in pairs)

    def _edits_since(self) -> int:
        """Return the number of edits since the last result, at least one."""
        edits = self._video.editor.journal.edits
        if self._number is not None:
            return max(1, len(edits) - self._number)
        written = datetime.fromtimestamp(self._record.stat().st_mtime, UTC)
        moment = written.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return max(1, sum(edit.time > moment for edit in edits))

    def report(self) -> str:
        """Return the report of the review as HTML, with the result if there is one.

        Plan and edits are read again: edits that are made meanwhile are for the next report.

        Raises:
            FaceBlurError: as ``make_report``.
        """
        last, video = self._last, self._video
        media = Media(video.media_path)
        media.accept_truncated = video.settings.accept_truncated
        result = self.output if last is not None else None
        editor = Editor.open(video.plan_path)
        return make_report(editor, media, video.settings, result=result, last=last).html

    def state(self) -> Json:
        """Return the progress for the page."""
        progress = self.progress
        return {
            "state": progress.stage,
            "done": progress.done,
            "expected": progress.expected,
            "seconds": progress.seconds,
            "error": progress.error,
            "output": self.output.name,
            "path": str(self.output.absolute()),
            "review_required": bool(open_doubts(self._video.editor.review)),
        }
