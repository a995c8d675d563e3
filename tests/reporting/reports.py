"""Reviews of made videos whose faces are known, and what their reports show."""

import base64
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.config import Settings
from app.edits import Editor
from app.plan import Decision, Person, Plan, PlanTrack, SourceRecord
from app.types import Image
from app.video import Media, open_source
from testmedia.clip import Clip
from testmedia.truth import Seen
from tests.test_plan import make_plan, make_track

HIDDEN = "barack <script>alert(1)</script> & co"
"""The name of the hidden person: it must stay text."""
SHOWN = "Person 1"


def track_of(faces: list[Seen], number: int, **changes: Any) -> PlanTrack:
    """Return the track of a face that is seen in successive frames, with its true boxes."""
    rows = np.array([[face.frame, *face.box] for face in faces])
    first, last = faces[0].frame, faces[-1].frame
    values = {"person": None, "similarity": None, "boxes": rows} | changes
    return make_track(number, first, last, **values)


def faces_of(clip: Clip, person: str) -> list[Seen]:
    return [face for face in clip.truth.faces if face.person == person]


def plan_of(clip: Clip, *tracks: PlanTrack, **changes: Any) -> Plan:
    media, truth = Media(clip.path), clip.truth
    seconds = float(truth.frames / truth.rate)
    values: dict[str, Any] = {
        "source": SourceRecord(media.sha256, clip.path.name, truth.frames, *truth.size, seconds),
        "settings": Settings().effective(),
        "people": (Person(HIDDEN, 2),),
        "shots": ((0, truth.frames),),
    }
    return make_plan(*tracks, **values | changes)


def two_people(clip: Clip, decisions: tuple[Decision, Decision] = ("blur", "keep")) -> Plan:
    """Return a plan of the scene ``calm``: one listed person is hidden, the other is visible."""
    obama, biden = (faces_of(clip, person) for person in sorted(clip.truth.people, reverse=True))
    return plan_of(
        clip,
        track_of(obama, 0, card=HIDDEN, person=HIDDEN, similarity=0.9, decision=decisions[0]),
        track_of(biden, 1, card=SHOWN, decision=decisions[1], reason="matches no listed person"),
    )


def opened(plan: Plan, folder: Path) -> Editor:
    plan.write(folder / "plan.json")
    return Editor.open(folder / "plan.json")


@dataclass(frozen=True)
class Shown:
    """One image of a page, with the text that stands for it."""

    pixels: Image
    alternative: str

    @property
    def frame(self) -> int:
        found = re.search(r"[Ff]rame (\d+)", self.alternative)
        assert found is not None
        return int(found[1])


def images(page: str) -> list[Shown]:
    """Return all images of a page, decoded."""
    found = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"[^>]* alt="([^"]+)">', page)
    assert len(found) == page.count("<img") == page.count("data:image")
    return [Shown(_decoded(data), unescape(words)) for data, words in found]


def _decoded(data: str) -> Image:
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels[..., ::-1], np.uint8)


def originals(path: Path) -> list[Image]:
    return [frame.rgb() for frame in open_source(path)]


def words(page: str) -> str:
    """Return the text of a page without its markup."""
    body = page[page.index("<body>") :]
    return unescape(re.sub(r"<[^>]*>", " ", body.replace("<br>", "\n")))


def cut(pixels: Image, face: Seen, around: float) -> tuple[Image, tuple[float, ...]]:
    """Return a square around a face, ``around`` times as wide as it, and the face in it."""
    x1, y1, x2, y2 = face.box
    half = max(x2 - x1, y2 - y1) * around / 2
    left, top = max(0, int((x1 + x2) / 2 - half)), max(0, int((y1 + y2) / 2 - half))
    right = int(np.ceil((x1 + x2) / 2 + half))
    bottom = int(np.ceil((y1 + y2) / 2 + half))
    return pixels[top:bottom, left:right], (x1 - left, y1 - top, x2 - left, y2 - top)
