"""Videos with two faces of known content, and the measure of how each of them is shown.

Each frame shows its number as eight bars: the first four are one face, the others a second one. So
a face that is shown also proves which frame of the source it comes from.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from app.plan import Decision, ModelRecord, ModelsRecord, Plan, PlanTrack, SourceRecord
from app.types import Image
from app.video import open_source

SIZE = (96, 64)
FACES = ((2.0, 2.0, 40.0, 28.0), (56.0, 2.0, 94.0, 28.0))
"""Boxes that cover the middles of four bars each, with the smallest margin."""
_BRIGHT, _BLACK = 125, 15
"""Levels of 255: a bar of 1 is above the first; what is hidden by ``solid`` is below the second,
and a bar of 0 (30) is above it."""


@dataclass(frozen=True)
class Part:
    """A face in the frames ``[first, end)``, and the decision about it."""

    face: int
    first: int
    end: int
    decision: Decision = "blur"


def plan_of(source: Path, count: int, parts: Sequence[Part]) -> Plan:
    """Return the plan with a track for each part."""
    model = ModelRecord("detector.onnx", "0" * 64)
    return Plan(
        source=SourceRecord(
            hashlib.sha256(source.read_bytes()).hexdigest(), source.name, count, *SIZE, 6.0
        ),
        settings={},
        models=ModelsRecord("open", model, None),
        people=(),
        shots=((0, count),),
        tracks=tuple(_track(number, part) for number, part in enumerate(parts)),
    )


def _track(number: int, part: Part) -> PlanTrack:
    return PlanTrack(
        id=number,
        shot=0,
        first=part.first,
        last=part.end - 1,
        person=None,
        similarity=None,
        decision=part.decision,
        uncertain=False,
        reason="everyone",
        boxes=np.array([(frame, *FACES[part.face]) for frame in range(part.first, part.end)]),
    )


def truth(count: int, parts: Sequence[Part]) -> list[tuple[bool, bool]]:
    """Return whether each face is hidden in each frame."""
    hidden = [[False, False] for _ in range(count)]
    for part in parts:
        for frame in range(part.first, part.end):
            hidden[frame][part.face] |= part.decision == "blur"
    return [(left, right) for left, right in hidden]


def seen(path: Path) -> list[tuple[bool, bool]]:
    """Return whether each face is hidden in each frame; fail if it is neither hidden nor right."""
    return [
        (_is_hidden(frame.rgb(), 0, frame.index), _is_hidden(frame.rgb(), 1, frame.index))
        for frame in open_source(path)
    ]


def _is_hidden(pixels: Image, face: int, number: int) -> bool:
    height, width, _ = pixels.shape
    columns = [width * (2 * bit + 1) // 16 for bit in range(4 * face, 4 * face + 4)]
    levels = [float(pixels[height // 4, x].mean()) for x in columns]
    if max(levels) < _BLACK:
        return True
    assert min(levels) > _BLACK, f"frame {number}: a part of face {face} is hidden"
    bits = [level > _BRIGHT for level in levels]
    assert bits == [bool(number >> bit & 1) for bit in range(4 * face, 4 * face + 4)], number
    return False


@dataclass(frozen=True)
class Group:
    """A group of pictures: the frames ``[first, end)``, and the bytes of its packets."""

    first: int
    end: int
    packets: tuple[bytes, ...]


def groups(path: Path) -> list[Group]:
    """Return the groups of pictures of a file."""
    with av.open(str(path)) as container:
        packets = [(packet.is_keyframe, bytes(packet)) for packet in container.demux(video=0)]
    packets = [(is_key, data) for is_key, data in packets if data]
    starts = [number for number, (is_key, _) in enumerate(packets) if is_key]
    return [
        Group(first, end, tuple(data for _, data in packets[first:end]))
        for first, end in zip(starts, [*starts[1:], len(packets)], strict=True)
    ]
