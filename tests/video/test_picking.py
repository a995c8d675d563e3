"""Single frames are those of a whole pass, whatever the groups of pictures are like."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import MediaError
from app.video import Media
from app.video.picking import entry_points, picked
from app.video.source import VideoSource
from testmedia.videos import ROTATED, VideoSpec, number_of

COUNT = 60
CASES: dict[str, Any] = {
    "no reordering": {"options": {"g": "12", "bf": "0"}},
    "reordering": {"options": {"g": "12", "bf": "3", "b-pyramid": "normal"}},
    "one group": {"options": {"g": "250", "bf": "3"}},
    "single frames": {"options": {"g": "1"}},
    "varying times": {"pts": [n * n * 20 + 512 for n in range(COUNT)], "options": {"g": "10"}},
    "turned": {"matrix": ROTATED[90], "options": {"g": "12"}},
    "not H.264": {"codec": "mpeg4", "options": {"g": "12"}},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("wanted", [{0}, {59}, {5, 6, 17, 58}, {11, 12, 13}, set(range(0, 60, 7))])
def test_the_frames_are_those_that_were_wanted(case: str, wanted: set[int], tmp_path: Path) -> None:
    video = VideoSpec(size=(128, 96), count=COUNT, **CASES[case]).write(tmp_path / "in.mp4")
    found = list(picked(Media(video), wanted))
    assert [frame.index for frame in found] == sorted(wanted)
    assert [number_of(frame.rgb()) for frame in found] == sorted(wanted)


def test_few_others_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = VideoSpec(size=(128, 96), count=COUNT, options={"g": "12"}).write(tmp_path / "in.mp4")
    media = Media(video)
    decoded: list[int] = []
    whole = VideoSource.only

    def counting(self: VideoSource, stretches: Any) -> Any:
        for frame in whole(self, stretches):
            decoded.append(frame.index)
            yield frame

    monkeypatch.setattr(VideoSource, "only", counting)
    assert entry_points(media) == (0, 12, 24, 36, 48)
    list(picked(media, {24, 48}))
    assert decoded == [24, 48]
    list(picked(media, {39}))
    assert decoded[2:6] == [36, 37, 38, 39]
    assert len(decoded) < 12


def test_a_frame_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    for name, codec in (("a.mp4", "libx264"), ("b.mp4", "mpeg4")):
        video = VideoSpec(count=5, codec=codec).write(tmp_path / name)
        with pytest.raises(MediaError, match="has no frame 7"):
            list(picked(Media(video), {2, 7}))
