"""Proposals of borders, the pieces of a split, and failures."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.errors import DiskFull, FaceBlurError, MediaError, OutputError, UsageError
from app.files import sha256_of
from app.pieces import MANIFEST, Proposal, propose, read_manifest, split, splitting
from app.pieces import proposal as proposal_module
from app.pieces.proposal import Border, decode_excerpt
from app.video import open_source
from app.video.frame import DecodedFrame
from app.video.media import Media
from app.video.metadata import piece_tag_of
from testmedia.clip import Clip
from testmedia.videos import VideoSpec, numbers, times
from tests.pieces.split_videos import VIDEO, VIDEOS, X265, propose_inside_shots


@pytest.mark.parametrize("name", VIDEOS)
def test_pieces_have_the_frames_of_the_source(name: str, tmp_path: Path) -> None:
    source = VIDEOS[name].write(tmp_path / name)
    manifest = split(propose_inside_shots(source, 4), tmp_path / "pieces")
    expected, base = times(source), open_source(source).info.time_base
    assert numbers(source) == [
        number for piece in manifest.pieces for number in numbers(tmp_path / "pieces" / piece.file)
    ]
    for piece in manifest.pieces:
        result = times(tmp_path / "pieces" / piece.file)
        assert len(result) == piece.frames
        assert [time + piece.first_pts * base for time in result] == (
            expected[piece.first : piece.first + piece.frames]
        )
        assert result[0] == 0


def test_pieces_have_the_packets_of_the_source(tmp_path: Path) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    manifest = split(propose_inside_shots(source, 3), tmp_path / "pieces")

    def payload(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(p) for p in container.demux(video=0) if p.size]

    pieces = [payload(tmp_path / "pieces" / piece.file) for piece in manifest.pieces]
    assert [packet for piece in pieces for packet in piece] == payload(source)


def test_the_manifest_describes_the_files(tmp_path: Path) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    manifest = split(propose_inside_shots(source, 3), tmp_path / "new" / "pieces")
    folder = tmp_path / "new" / "pieces"
    assert read_manifest(folder / MANIFEST) == manifest
    assert json.loads((folder / MANIFEST).read_text("utf-8"))["id"] == manifest.id
    assert (manifest.source.sha256, manifest.source.size) == (
        sha256_of(source),
        source.stat().st_size,
    )
    for number, piece in enumerate(manifest.pieces):
        assert piece.file == f"a-{number + 1:04}of{len(manifest.pieces):04}.mp4"
        assert sha256_of(folder / piece.file) == piece.sha256
        with av.open(str(folder / piece.file)) as container:
            tag = piece_tag_of(container.metadata)
        assert tag is not None
        assert (tag.number, tag.count, tag.split) == (
            number + 1,
            len(manifest.pieces),
            manifest.id,
        )
        assert not tag.processed
    names = {path.name for path in folder.iterdir()}
    assert names == {MANIFEST, *(piece.file for piece in manifest.pieces)}


def _open_gop(codec: str) -> VideoSpec:
    options = {
        "libx264": {**VIDEO.options, "x264-params": "scenecut=0:open-gop=1"},
        "libx265": {"x265-params": f"{X265}:open-gop=1"},
    }[codec]
    return replace(VIDEO, codec=codec, count=40, options=options)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_there_is_no_border_if_later_frames_refer_to_earlier_ones(
    codec: str, tmp_path: Path
) -> None:
    source = _open_gop(codec).write(tmp_path / "a.mp4")
    with av.open(str(source)) as container:
        shown = [(p.pts or 0, p.is_keyframe) for p in container.demux(video=0) if p.size]
    keys = [number for number, (_, key) in enumerate(shown) if key]
    proposal = propose_inside_shots(source, 8)
    assert len(keys) > len(proposal.firsts)
    manifest = split(proposal, tmp_path / "pieces")
    assert numbers(source) == [
        number for piece in manifest.pieces for number in numbers(tmp_path / "pieces" / piece.file)
    ]


def test_an_h264_recovery_point_is_not_a_border(tmp_path: Path) -> None:
    """The container flags it as a key frame, and no later packet is shown before it."""
    options = {"g": "10", "bf": "0", "x264-params": "scenecut=0:intra-refresh=1"}
    source = replace(VIDEO, options=options, count=40, noise=20).write(tmp_path / "a.mkv")
    with av.open(str(source)) as container:
        keys = sum(p.is_keyframe for p in container.demux(video=0) if p.size)
    assert keys > 1
    assert propose_inside_shots(source, 4).firsts == [0]


def test_borders_are_cuts(clip: Callable[[str], Clip]) -> None:
    made = clip("cuts")
    proposal = propose(made.path, pieces=2)
    assert [(b.frame in made.truth.cuts, b.is_cut) for b in proposal.borders] == [(True, True)]


def test_a_video_without_cuts_is_split_only_on_request(tmp_path: Path) -> None:
    """A person recognised in only one part of a shot would stay visible in the other part."""
    source = VIDEO.write(tmp_path / "a.mp4")
    assert propose(source, pieces=4).firsts == [0]
    assert propose(source, pieces=4, inside_shots=True).firsts == [0, 5, 10, 15]


def test_only_cuts_are_reported_as_cuts(tmp_path: Path, clip: Callable[[str], Clip]) -> None:
    with av.open(str(clip("calm").path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=30, options={"g": "10", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], 360, "yuv420p"
        for number, pixels in enumerate(pictures):
            turned = np.asarray(pixels if number < 30 else 255 - pixels[::-1], np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(turned))))
        output.mux(stream.encode(None))
    assert propose(source, pieces=6).borders == (Border(30, is_cut=True),)
    asked = propose_inside_shots(source, 6).borders
    assert [border.frame for border in asked if border.is_cut] == [30]
    assert len(asked) > 2


def test_frames_are_decoded_only_where_a_border_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = replace(VIDEO, count=200, sounds=()).write(tmp_path / "a.mp4")
    looked: list[int] = []

    def counted(media: Media, start: int, first: int, last: int) -> Iterator[DecodedFrame]:
        for frame in decode_excerpt(media, start, first, last):
            looked.append(frame.pts)
            yield frame

    monkeypatch.setattr(proposal_module, "decode_excerpt", counted)
    assert len(propose(source, pieces=2).firsts) == 1
    # 21 key frames from the first quarter to the last, and the 7 frames around each.
    assert 0 < len(looked) <= 21 * 7
    assert min(looked) >= 47 * 512


@pytest.mark.parametrize(
    ("seconds", "pieces", "expected"),
    [(None, 1, 1), (Fraction(1, 5), None, 4), (Fraction(100), None, 1), (None, 99, 4)],
)
def test_the_number_of_pieces(
    seconds: Fraction | None, pieces: int | None, expected: int, tmp_path: Path
) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    proposal = propose(source, seconds=seconds, pieces=pieces, inside_shots=True)
    assert len(proposal.firsts) == expected
    assert sum(proposal.counts) == 20
    assert min(proposal.counts) >= 2


@pytest.mark.parametrize(
    ("seconds", "pieces"), [(None, None), (Fraction(1), 2), (Fraction(0), None), (None, 0)]
)
def test_wrong_lengths_and_numbers_are_refused(
    seconds: Fraction | None, pieces: int | None, tmp_path: Path
) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    with pytest.raises(UsageError):
        propose(source, seconds=seconds, pieces=pieces)


@pytest.mark.parametrize(
    ("name", "video", "text"),
    [
        ("a.avi", VideoSpec(codec="mpeg4", base=Fraction(1, 25)), "put it into MP4 or Matroska"),
        ("a.mkv", VideoSpec(codec="mpeg4", base=Fraction(1, 1000)), "mpeg4 cannot be split"),
    ],
)
def test_a_video_that_cannot_be_split_is_refused(
    name: str, video: VideoSpec, text: str, tmp_path: Path
) -> None:
    source = video.write(tmp_path / name)
    with pytest.raises(MediaError, match=text):
        propose(source, pieces=2)


def test_a_truncated_video_is_refused(tmp_path: Path) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(FaceBlurError, match="cut off"):
        propose(source, pieces=2)


def _proposal(tmp_path: Path) -> Proposal:
    return propose_inside_shots(VIDEO.write(tmp_path / "a.mp4"), 4)


def test_nothing_is_left_if_a_later_piece_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal, written = _proposal(tmp_path), list[Path]()
    real = sha256_of

    def fails(path: Path) -> str:
        written.append(path)
        if len(written) == 3:
            raise DiskFull("no space")
        return real(path)

    monkeypatch.setattr(splitting, "sha256_of", fails)
    with pytest.raises(DiskFull):
        split(proposal, tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()


def test_existing_files_are_neither_replaced_nor_removed(tmp_path: Path) -> None:
    proposal, folder = _proposal(tmp_path), tmp_path / "pieces"
    folder.mkdir()
    (folder / proposal.name(2)).write_bytes(b"existing")
    with pytest.raises(OutputError, match="already exists"):
        split(proposal, folder)
    assert [path.read_bytes() for path in folder.iterdir()] == [b"existing"]


def test_a_video_that_changed_after_the_proposal_is_refused(tmp_path: Path) -> None:
    proposal = _proposal(tmp_path)
    replace(VIDEO, pts=[*range(0, 10000, 500)]).write(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match="changed while it was read"):
        split(proposal, tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()
