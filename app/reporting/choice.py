"""Choose the faces and frames that a report shows: clear views that are quick to decode."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.contact_sheet import ranked_tracks
from app.plan import Plan, PlanTrack

PER_PERSON = 6
"""Faces of one person: a row of the page."""
MOST_FACES = 200
"""Faces of a report: a megabyte."""
MOST_FRAMES = 6
"""Frames before and after: three printed pages."""
_EDGE = 0.1
"""Part of a track at each of its ends that is not shown: there the face turns away, or the track
was padded."""
_APART = 12
"""Frames of a track for each of its views: half a second, so that views differ."""
_LARGE = 0.8
"""A view of a track is good from this part of its largest side."""
_CLEAR = 0.6
"""A view of a person is good from this part of the largest side in all its tracks."""


@dataclass(frozen=True, slots=True)
class Look:
    """One view of a face: a track in one frame. ``side`` is in pixels.

    ``wait`` is the number of frames that are decoded before this one.
    """

    track: PlanTrack
    frame: int
    side: float
    wait: int


def choose_faces(people: Sequence[Sequence[PlanTrack]], entries: Sequence[int]) -> list[list[Look]]:
    """Return for the tracks of each person the views to show, in the order of the video.

    ``entries`` are the frames at which decoding can begin. If there are too many views, everybody
    has a first one before anybody has a second.
    """
    best = [_of_person(tracks, entries) for tracks in people]
    order = sorted((rank, number) for number, one in enumerate(best) for rank in range(len(one)))
    shown: list[list[Look]] = [[] for _ in people]
    for rank, number in order[:MOST_FACES]:
        shown[number].append(best[number][rank])
    return [sorted(one, key=lambda look: look.frame) for one in shown]


def choose_frames(plan: Plan, entries: Sequence[int]) -> list[int]:
    """Return the frames to show before and after, in order: views of the tracks to look at first.

    A track that a chosen frame shows already needs no other one. Without any track the frames are
    spread evenly over the video.
    """
    frames: set[int] = set()
    for track in ranked_tracks(plan):
        if not any(track.first <= frame <= track.last for frame in frames):
            frames.add(next(_looks(track, 1, entries)).frame)
        if len(frames) == MOST_FRAMES:
            break
    if not frames:
        spread = np.linspace(0, plan.source.frames - 1, MOST_FRAMES)
        frames = set(np.rint(spread).astype(int).tolist())
    return sorted(frames)


def _of_person(tracks: Sequence[PlanTrack], entries: Sequence[int]) -> list[Look]:
    """Return the best views of one person, best first: large ones, then those that come quickly."""
    parts = -(-PER_PERSON // max(1, len(tracks)))
    found = [look for track in tracks for look in _looks(track, parts, entries)]
    clear = _CLEAR * max((look.side for look in found), default=0.0)
    found.sort(key=lambda look: (look.side < clear, look.wait if look.side >= clear else 0))
    return found[:PER_PERSON]


def _looks(track: PlanTrack, parts: int, entries: Sequence[int]) -> Iterator[Look]:
    """Yield a view of each part of a track: of the large ones, the one that is decoded first."""
    count = len(track.boxes)
    edge = int(count * _EDGE)
    sides = _sides(track)
    views = min(parts, max(1, count // _APART))
    for inside in np.array_split(np.arange(edge, count - edge), views):
        large = inside[sides[inside] >= _LARGE * sides[inside].max()]
        waits = [_wait(track.first + int(at), entries) for at in large]
        at = int(large[int(np.argmin(waits))])
        yield Look(track, track.first + at, float(sides[at]), min(waits))


def _sides(track: PlanTrack) -> NDArray[np.float32]:
    """Return the mean side of each box of a track, (n,) in pixels."""
    spans = track.boxes[:, 3:] - track.boxes[:, 1:3]
    return np.asarray(np.sqrt(spans.prod(axis=1)), np.float32)


def _wait(frame: int, entries: Sequence[int]) -> int:
    """Return how many frames are decoded before one.

    >>> _wait(17, [0, 12, 24]), _wait(24, [0, 12, 24])
    (5, 0)
    """
    return frame - entries[bisect_right(entries, frame) - 1]
