"""One video under review: its plan with edits, its frames, and its result."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from app.config import Settings
from app.edits import Edit, Editor, Operation, Target
from app.edits.operations import as_json
from app.errors import Busy, EditConflict, FaceBlurError, UsageError
from app.pipeline.rendering import hiding_of
from app.plan import Plan
from app.plan.records import MAX_COORDINATE
from app.plan.settings import rendering_settings
from app.review.follow import followed
from app.review.pictures import Cache, face_jpeg, frame_jpeg
from app.review.segments import LINES, MIME, SegmentMaker, bounds_of, keys_of
from app.review.state import Json, state_of, target_json
from app.validation import explain
from app.video import Media
from app.video.random_access import FrameReader

_TARGET = TypeAdapter(Target)


@dataclass
class Video:
    """A video, its plan, and everything that is made of both for the page.

    Args:
        media_path: the video.
        plan_path: its plan; the journal lies beside it.
        given: settings that replace those of the plan.
    """

    media_path: Path
    plan_path: Path
    given: Settings
    clear: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.media = Media(self.media_path)
        self.editor = Editor.open(self.plan_path)
        plan = self.editor.review.plan
        self.settings = rendering_settings(plan, self.given, self.plan_path)
        self.media.accept_truncated = self.settings.accept_truncated
        # A handle is for one thread; from here on, frames are read from files of their own.
        self._is_image = self.media.is_image
        self._hiding = hiding_of(self.settings)
        self._pictures = Cache()
        self._reader: FrameReader | None = None
        self._failure: FaceBlurError | None = None
        self.bounds: list[int] = []
        self._aspect = 1.0
        self._plans: dict[int, tuple[Plan, list[str]]] = {}
        self._reading = threading.Thread(target=self._read, daemon=True)

    def start(self) -> None:
        """Begin to find the times of all frames."""
        self._reading.start()

    def _read(self) -> None:
        try:
            source = self.editor.review.plan.source
            if self.media.sha256 != source.sha256:
                raise UsageError(f"{self.media}: the plan was made for another file")
            reader = FrameReader(self.media, source.frames)
            self.bounds = bounds_of(reader.pts, reader.info.time_base)
            [first] = reader.read(0, 0)
            self._aspect = float(first.pixel_aspect)
            self._reader = reader
        except FaceBlurError as error:
            self._failure = error

    @property
    def is_ready(self) -> bool:
        """Whether frames can be read.

        Raises:
            FaceBlurError: they never will be.
        """
        if self._failure is not None:
            raise self._failure
        return self._reader is not None

    @property
    def reader(self) -> FrameReader:
        """The frames.

        Raises:
            Busy: their times are not known yet.
        """
        if not self.is_ready or self._reader is None:
            raise Busy(f"{self.media.name}: its frames are still being counted")
        return self._reader

    def times(self) -> list[float]:
        """Return the seconds from the first frame to each frame.

        Raises:
            Busy: they are not known yet.
        """
        reader = self.reader
        seconds = (reader.pts - reader.pts[0]) * float(reader.info.time_base)
        return [float(time) for time in seconds.round(6)]

    def _current(self) -> tuple[int, Plan, list[str]]:
        """Return the number of edits, the plan with them, and the keys of its segments."""
        with self.lock:
            number = len(self.editor.journal.edits)
            if number not in self._plans:
                plan = self.editor.review.to_plan()
                keys = keys_of(plan, self.bounds) if self.bounds else []
                self._plans = {number: (plan, keys)}
            elif self.bounds and not self._plans[number][1]:
                plan = self._plans[number][0]
                self._plans = {number: (plan, keys_of(plan, self.bounds))}
            return number, *self._plans[number]

    @property
    def plan(self) -> Plan:
        """The plan with its edits."""
        return self._current()[1]

    def state(self) -> Json:
        """Return the state for the page."""
        with self.lock:
            source = self.editor.review.plan.source
            ready = self.is_ready
            state = state_of(self.editor) | {"times_ready": ready, "clear": self.clear}
            facts = {"is_image": self._is_image, "pixel_aspect": self._aspect}
            state["source"] = {name: getattr(source, name) for name in _SOURCE} | facts
            state["segments"] = self._segments() if ready else None
            return state

    def _segments(self) -> Json:
        keys = [] if self._is_image else self._current()[2]
        return {
            "bounds": self.bounds,
            "mime": MIME,
            "lines": LINES,
            "after": keys,
            "before": ["clear"] * len(keys),
        }

    def edit(self, number: int, request: Mapping[str, Any], reviewer: str) -> Edit:
        """Make the edit of a request; ``number`` is that of the edits that its sender has seen.

        Raises:
            EditConflict: there are others.
            UsageError: the request is malformed, or the edit is impossible.
        """
        with self.lock:
            if number != len(self.editor.journal.edits):
                raise EditConflict(f"{self.plan_path}: {self._newest()}")
            try:
                return self._make(request, reviewer)
            except EditConflict:
                self.editor = Editor.open(self.plan_path)
                self._plans = {}
                raise EditConflict(f"{self.plan_path}: {self._newest()}") from None

    def _make(self, request: Mapping[str, Any], reviewer: str) -> Edit:
        operation = request.get("operation")
        if operation == "undo":
            return self.editor.undo(reviewer)
        if operation == "redo":
            return self.editor.redo(reviewer)
        if not isinstance(operation, str):
            raise UsageError("an edit needs an operation")
        known = cast("Operation", operation)  # the editor refuses all others
        return self.editor.edit(known, _target(request), request.get("after"), reviewer)

    def _newest(self) -> str:
        edits = self.editor.journal.edits
        if not edits:
            return "there are no edits"
        last = edits[-1]
        return f"{last.reviewer} has edited {last.target} ({last.operation}) at {last.time}"

    def newest(self) -> Json | None:
        """Return the last edit for a window that has not seen it."""
        edits = self.editor.journal.edits
        if not edits:
            return None
        last = edits[-1]
        values = {"number": last.number, "reviewer": last.reviewer, "time": last.time}
        return values | {"operation": last.operation, "target": target_json(last.target)}

    def frame(self, number: int, *, hidden: bool, height: int) -> bytes:
        """Return a frame as JPEG, as the result will show it or as it is in the source.

        Raises:
            UsageError: there is no such frame.
            Busy, MediaError: it cannot be read.
        """
        edits, plan, _ = self._current()
        key = ("frame", number, height, edits if hidden else None)
        shown = plan if hidden else None
        return self._pictures.get(
            key, lambda: frame_jpeg(self.reader, shown, self._hiding, number, height)
        )

    def face(self, track: int, number: int, side: int) -> bytes:
        """Return the face of a track as JPEG; hidden ones hidden, unless clear pictures are shown.

        Raises:
            UsageError: there is no such track, or it has no such frame.
            Busy, MediaError: it cannot be read.
        """
        with self.lock:
            edits, plan, _ = self._current()
            try:
                found = self.editor.review.track(track)
            except ValueError as error:
                raise UsageError(str(error)) from error
        shown = None if self.clear else plan
        key = ("face", track, number, side, None if self.clear else edits)
        return self._pictures.get(
            key, lambda: face_jpeg(self.reader, shown, self._hiding, (found, number), side)
        )

    def segment(self, number: int, key: str, *, hidden: bool) -> bytes | None:
        """Return a segment for the player, None if the key is not that of the present picture.

        Raises:
            Busy, MediaError: it cannot be made.
        """
        _, plan, keys = self._current()
        reader = self.reader
        if not 0 <= number < len(keys) or key != (keys[number] if hidden else "clear"):
            return None
        stretch = self.bounds[number], self.bounds[number + 1] - 1
        maker = SegmentMaker(reader, self._hiding)
        name = ("segment", number, key, hidden)
        return self._pictures.get(name, lambda: maker.make(plan if hidden else None, stretch))

    def follow(self, request: Mapping[str, Any]) -> Json:
        """Return a region that follows the box of a request through its shot.

        Raises:
            UsageError: the request is malformed.
            Busy, MediaError: the frames cannot be read.
        """
        frame, box = request.get("frame"), request.get("box")
        if type(frame) is not int or not isinstance(box, list) or not _are_numbers(box):
            raise UsageError('follow needs {"frame": N, "box": [x1, y1, x2, y2]}')
        shots = self.editor.review.plan.shots
        shot = next((one for one in shots if one[0] <= frame < one[1]), None)
        if shot is None:
            raise UsageError(f"there is no frame {frame}")
        return as_json(followed(self.reader, shot, frame, box))


def _are_numbers(values: list[Any]) -> bool:
    return all(type(value) in {int, float} and abs(value) < MAX_COORDINATE for value in values)


_SOURCE = ("name", "sha256", "frames", "width", "height", "duration")


def _target(request: Mapping[str, Any]) -> Target:
    target = request.get("target")
    if not isinstance(target, dict) or len(target) != 1:
        raise UsageError('an edit needs a target such as {"track": 3}')
    [(kind, name)] = target.items()
    try:
        return _TARGET.validate_python({"kind": kind, "name": name})
    except ValidationError as error:
        raise UsageError(f"target: {explain(error)}") from error
