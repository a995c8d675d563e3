"""All videos under review, and the reviewer."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np

from app.config import Settings
from app.edits import open_doubts
from app.errors import FaceBlurError, UsageError
from app.pipeline import FaceBlur, find_photos
from app.plan import write_plan
from app.review.pictures import jpeg
from app.review.rendering import Renderer, last_result
from app.review.state import Json
from app.review.video import Video
from app.video import Media, read_photo

_PHOTO_SIDE = 320
"""Longer side of a reference photo on the page, in pixels."""

Phase: TypeAlias = Literal["new", "analysing", "ready", "failed"]


@dataclass
class Case:
    """One video from its analysis to its result."""

    media: Path
    plan: Path
    output: Path
    phase: Phase = "new"
    stage: str = ""
    done: int = 0
    expected: int | None = None
    error: str | None = None
    video: Video | None = None
    renderer: Renderer | None = None

    @property
    def has_result(self) -> bool:
        """Whether the output is a result of this plan that was written before."""
        return last_result(self.plan, self.output) is not None

    def open(self, settings: Settings) -> None:
        """Open the plan and its edits.

        Raises:
            PlanError: they cannot be read, or are wrong.
        """
        self.video = Video(self.media, self.plan, settings)
        self.video.start()
        self.renderer = Renderer(self.video, self.output)
        self.phase = "ready"

    def brief(self, number: int) -> Json:
        """Return the row of the list of videos."""
        doubts = None if self.video is None else len(open_doubts(self.video.editor.review))
        progress = {"stage": self.stage, "done": self.done, "expected": self.expected}
        return {
            "id": str(number),
            "name": self.media.name,
            "state": self.phase,
            "progress": progress if self.phase == "analysing" else None,
            "open_doubts": doubts,
            "error": self.error,
        }


@dataclass
class Desk:
    """The videos of one program run.

    Args:
        reviewer: the name that edits are recorded under.
        settings: those of the call.
        folder: the folder for new files, if the page may add some.
        make: makes the session that analyses; it is called in the thread of an analysis.
    """

    reviewer: str
    settings: Settings
    folder: Path | None = None
    make: Callable[[Settings], FaceBlur] = FaceBlur
    cases: list[Case] = field(default_factory=list)
    _analysing: threading.Lock = field(default_factory=threading.Lock)

    def add(self, case: Case, settings: Settings | None = None) -> int:
        """Add a video, and open its plan or begin to analyse it; return its number.

        Raises:
            PlanError: its plan is wrong.
        """
        chosen = settings or self.settings
        if case.plan.exists():
            case.open(self.settings)
        else:
            case.phase = "analysing"
            threading.Thread(target=self._analyse, args=(case, chosen), daemon=True).start()
        self.cases.append(case)
        return len(self.cases) - 1

    def _analyse(self, case: Case, settings: Settings) -> None:
        """Analyse one video after the other: each uses all cores."""

        def report(stage: str, done: int, expected: int | None) -> None:
            case.stage, case.done, case.expected = stage, done, expected

        try:
            with self._analysing:
                session = self.make(settings)
                plan = session.load().analyse(Media(case.media), report)
                write_plan(plan, case.plan)
                session.unload()
            case.open(self.settings)
        except FaceBlurError as error:
            case.phase, case.error = "failed", str(error)
        except BaseException:
            case.phase, case.error = "failed", "internal error"
            raise

    def case(self, name: str) -> Case:
        """Return a video by the number in an address.

        Raises:
            UsageError: no video has this number.
        """
        if name.isascii() and name.isdigit() and len(name) < 6 and int(name) < len(self.cases):
            return self.cases[int(name)]
        raise UsageError("there is no such video")

    def open_doubts(self) -> list[tuple[str, int]]:
        """Return the name of each video and the number of its doubts that are not settled."""
        videos = [case.video for case in self.cases if case.video is not None]
        return [(one.media.name, len(open_doubts(one.editor.review))) for one in videos]

    def photos(self) -> Mapping[str, list[Path]]:
        """Return the reference photos of the listed people, none if their folder is unknown."""
        if self.settings.people is None:
            return {}
        return {name: list(paths) for name, paths in find_photos(self.settings.people).items()}

    def photo(self, name: str, number: int) -> bytes:
        """Return a reference photo as JPEG.

        Raises:
            UsageError: there is no such photo.
            MediaError: it cannot be read.
        """
        paths = self.photos().get(name, [])
        if not 0 <= number < len(paths):
            raise UsageError(f"there is no photo {number} of {name!r}")
        pixels = read_photo(paths[number])
        scale = _PHOTO_SIDE / max(pixels.shape[:2])
        size = tuple(max(1, round(side * scale)) for side in pixels.shape[1::-1])
        return jpeg(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
