"""The second pass: what is copied, what is not, and what happens where copying was not safe."""

import hashlib
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import numpy as np
import pytest

from app.config import Settings
from app.pipeline import FaceBlur
from app.plan import ModelRecord, ModelsRecord, Plan, PlanTrack, SourceRecord
from app.video import Uncopyable
from app.video import sink as video_sink
from app.video.smart import sink as smart_sink
from testmedia.videos import VideoSpec
from tests.video.smart_videos import decoded

COUNT = 60
SIZE = (64, 48)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return VideoSpec(size=SIZE, count=COUNT, options={"g": "12"}).write(tmp_path / "in.mp4")


def plan_of(source: Path, *, decision: str = "blur") -> Plan:
    """One face at (10, 4, 30, 20) in the frames 26 to 28."""
    rows = np.array([[frame, 10, 4, 30, 20] for frame in (26, 27, 28)], np.float32)
    track = PlanTrack(
        id=0,
        shot=0,
        first=26,
        last=28,
        person=None,
        similarity=None,
        decision=decision,  # type: ignore[arg-type]
        uncertain=False,
        reason="everyone",
        boxes=rows,
    )
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    record = ModelRecord("detector.onnx", "0" * 64)
    return Plan(
        source=SourceRecord(sha256, source.name, COUNT, *SIZE, 2.4),
        settings={},
        models=ModelsRecord("open", record, None),
        people=(),
        shots=((0, COUNT),),
        tracks=(track,),
    )


def same(source: Path, output: Path) -> list[bool]:
    """Return which frames are equal bit by bit."""
    before, after = decoded(source), decoded(output)
    assert before.keys() == after.keys()
    return [before[pts] == after[pts] for pts in sorted(before)]


def test_frames_with_a_box_to_hide_are_touched(source: Path) -> None:
    assert np.flatnonzero(plan_of(source).hidden_frames).tolist() == [26, 27, 28]
    assert not plan_of(source, decision="keep").hidden_frames.any()


def test_groups_with_nobody_to_hide_are_copied(source: Path, tmp_path: Path) -> None:
    told: list[int] = []
    FaceBlur(Settings(effect="solid")).render(
        source, plan_of(source), tmp_path / "out.mp4", lambda _stage, done, _of: told.append(done)
    )
    assert same(source, tmp_path / "out.mp4") == [not 24 <= n < 32 for n in range(COUNT)]
    assert told == [*range(25, 33), COUNT], "only these were decoded, but all are done"


def test_every_frame_is_encoded_where_that_is_asked_for(source: Path, tmp_path: Path) -> None:
    settings = Settings(effect="solid", copy_untouched="never")
    FaceBlur(settings).render(source, plan_of(source), tmp_path / "out.mp4")
    assert not any(same(source, tmp_path / "out.mp4"))


def test_a_video_without_hidden_faces_is_copied_whole(source: Path, tmp_path: Path) -> None:
    told: list[int] = []
    FaceBlur(Settings()).render(
        source,
        plan_of(source, decision="keep"),
        tmp_path / "out.mp4",
        lambda _stage, done, _of: told.append(done),
    )
    assert all(same(source, tmp_path / "out.mp4"))
    assert told == [COUNT]


@pytest.mark.parametrize(
    ("module", "where"), [(smart_sink, "check_mixed"), (video_sink, "check_file")]
)
def test_every_frame_is_encoded_where_the_result_of_copying_is_not_right(
    module: ModuleType, where: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = getattr(module, where)
    calls: list[object] = []

    def refuse(*args: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            refused()
        original(*args)

    monkeypatch.setattr(module, where, refuse)
    FaceBlur(Settings(effect="solid")).render(source, plan_of(source), tmp_path / "out.mp4")
    assert not any(same(source, tmp_path / "out.mp4"))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def refused() -> NoReturn:
    raise Uncopyable("not as it should be")
