"""A join refuses every file that is not proven to be the right rendered piece."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import pytest

from app.errors import FaceBlurError, MediaError, OutputError, UsageError
from app.pieces import MANIFEST, Manifest, join, split
from app.video import Writing
from app.video.metadata import PieceTag
from testmedia.videos import ROTATED, copy_video, numbers
from tests.pieces.split_videos import VIDEO, propose_inside_shots, render_pieces


@dataclass(frozen=True)
class Case:
    """A video that was split, and its rendered pieces; tests damage copies of it."""

    source: Path
    pieces: Path
    results: Path
    manifest: Manifest

    def result(self, number: int) -> Path:
        return self.results / self.manifest.pieces[number].file

    def piece(self, number: int) -> Path:
        return self.pieces / self.manifest.pieces[number].file

    def join(self, output: Path, writing: Writing | None = None) -> list[str]:
        return join(self.pieces / MANIFEST, self.results, self.source, output, writing)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("case")
    source = VIDEO.write(folder / "video.mp4")
    manifest = split(propose_inside_shots(source, 4), folder / "pieces")
    results = render_pieces(manifest, folder / "pieces", folder / "results")
    return Case(source, folder / "pieces", results, manifest)


@pytest.fixture
def case(made: Case, tmp_path: Path) -> Case:
    """A copy for one test."""
    for folder in (made.pieces, made.results):
        shutil.copytree(folder, tmp_path / folder.name)
    source = shutil.copy(made.source, tmp_path)
    return Case(Path(source), tmp_path / "pieces", tmp_path / "results", made.manifest)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "joined.mp4"


def test_results_with_the_ending_of_jobs_are_found(case: Case, out: Path) -> None:
    for number in (0, 2):
        path = case.result(number)
        path.rename(path.with_name(path.name + ".out"))
    assert case.join(out) == []
    assert numbers(out) == list(range(20))
    assert list(out.parent.iterdir()) == [out]


def _missing(case: Case) -> None:
    case.result(2).unlink()


def _twice(case: Case) -> None:
    shutil.copy(case.result(1), case.result(1).with_name(case.result(1).name + ".out"))


def _swapped(case: Case) -> None:
    first, second = case.result(1).read_bytes(), case.result(2).read_bytes()
    case.result(1).write_bytes(second)
    case.result(2).write_bytes(first)


def _not_rendered(case: Case) -> None:
    shutil.copy(case.piece(1), case.result(1))


def _remuxed(
    case: Case, comment: str | None = None, drop: int | None = None, delay: int = 0
) -> None:
    """Write the piece as another file, not rendered; or without ``comment`` a damaged result."""
    rendered = comment is None
    source = case.result(1).rename(case.results / "old") if rendered else case.piece(1)
    with av.open(str(source)) as old, av.open(str(case.result(1)), "w", format="mp4") as new:
        video = old.streams.video[0]
        stream = new.add_stream_from_template(video, opaque=True)
        stream.time_base = video.time_base
        new.metadata["title"] = "another file"
        new.metadata["comment"] = comment or old.metadata["comment"]
        for number, packet in enumerate(old.demux(video)):
            if packet.size and number != drop:
                if packet.pts is not None and packet.dts is not None and number:
                    packet.pts, packet.dts = packet.pts + delay, packet.dts + delay
                packet.stream = stream
                new.mux_one(packet)


def _still_unprocessed(case: Case) -> None:
    with av.open(str(case.piece(1))) as container:
        _remuxed(case, container.metadata["comment"])


def _without_tag(case: Case) -> None:
    _remuxed(case, "holidays")


def _of_another_split(case: Case) -> None:
    rate = case.manifest.source.rate
    _remuxed(case, str(PieceTag(2, 4, "0" * 16, rate, processed=True)))


def _frame_missing(case: Case) -> None:
    _remuxed(case, drop=3)


def _moved(case: Case) -> None:
    _remuxed(case, delay=1)


def _cut_off(case: Case) -> None:
    data = case.result(1).read_bytes()
    case.result(1).write_bytes(data[: len(data) - 100])


def _smaller(case: Case) -> None:
    video = replace(VIDEO, size=(32, 32), count=5, sounds=(), metadata=_mark_of(case, 1))
    video.write(case.result(1))


def _turned(case: Case) -> None:
    video = replace(VIDEO, matrix=ROTATED[180], count=5, sounds=(), metadata=_mark_of(case, 1))
    video.write(case.result(1))


def _coded_otherwise(case: Case) -> None:
    options = {**VIDEO.options, "profile": "baseline", "bf": "0"}
    video = replace(VIDEO, count=5, sounds=(), options=options, metadata=_mark_of(case, 1))
    video.write(case.result(1))


def _mark_of(case: Case, number: int) -> dict[str, str]:
    tag = PieceTag(number + 1, 4, case.manifest.id, case.manifest.source.rate, processed=True)
    return {"comment": str(tag)}


def _other_source(case: Case) -> None:
    replace(VIDEO, noise=9).write(case.source)


def _missing_source(case: Case) -> None:
    case.source.unlink()


def _changed_source(case: Case) -> None:
    data = bytearray(case.source.read_bytes())
    data[-1] ^= 1
    case.source.write_bytes(data)


DAMAGES: list[tuple[Callable[[Case], None], type[FaceBlurError], str]] = [
    (_missing, UsageError, "1 of 4 pieces are missing, the first is video-0003of0004.mp4"),
    (_twice, UsageError, "exists twice"),
    (_swapped, UsageError, "is another piece, 3 of 4"),
    (_not_rendered, MediaError, "is the piece itself"),
    (_still_unprocessed, MediaError, "was not processed"),
    (_without_tag, MediaError, "has no piece tag"),
    (_of_another_split, UsageError, "or of another split"),
    (_frame_missing, MediaError, "has 4 frames, not 5"),
    (_moved, MediaError, "at other times"),
    (_cut_off, MediaError, "cut off"),
    (_smaller, MediaError, "differs from the first piece in its size"),
    (_turned, MediaError, "differs from the first piece in its rotation"),
    (_coded_otherwise, MediaError, "differs from the first piece in its coding parameters"),
    (_other_source, UsageError, "is not the video that was split"),
    (_missing_source, MediaError, "no such file"),
    (_changed_source, UsageError, "is not the video that was split"),
]


@pytest.mark.parametrize(("damage", "kind", "text"), DAMAGES, ids=[s[0].__name__ for s in DAMAGES])
def test_results_that_are_not_proven_right_are_refused(
    damage: Callable[[Case], None], kind: type[FaceBlurError], text: str, case: Case, out: Path
) -> None:
    damage(case)
    with pytest.raises(FaceBlurError, match=text) as caught:
        case.join(out)
    assert isinstance(caught.value, kind)
    assert "\n" not in str(caught.value)
    assert list(out.parent.iterdir()) == []


def _without_last(data: dict[str, Any]) -> None:
    del data["pieces"][-1]


def _gap(data: dict[str, Any]) -> None:
    data["pieces"][1]["first"] += 1


def _overlap(data: dict[str, Any]) -> None:
    data["pieces"][1]["frames"] += 1


def _order(data: dict[str, Any]) -> None:
    data["pieces"].reverse()


def _times(data: dict[str, Any]) -> None:
    data["pieces"][1]["first_pts"] += 1


def _later(data: dict[str, Any]) -> None:
    data["version"] = 2


def _elsewhere(data: dict[str, Any]) -> None:
    data["pieces"][0]["file"] = "../video.mp4"


def _moved_border(data: dict[str, Any]) -> None:
    data["pieces"][0]["frames"] += 1
    data["pieces"][1]["first"] += 1
    data["pieces"][1]["frames"] -= 1


def _unknown(data: dict[str, Any]) -> None:
    data["source"]["colour"] = "red"


def _kind(data: dict[str, Any]) -> None:
    data["pieces"][0]["frames"] = "5"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_without_last, "are not all of 20 frames"),
        (_gap, "does not follow"),
        (_overlap, "does not follow"),
        (_order, "does not follow"),
        (_times, "has wrong times"),
        (_later, "its version is not supported"),
        (_elsewhere, "a name without a folder"),
        (_moved_border, "id: is not that"),
        (_unknown, "source.colour: unknown key"),
        (_kind, r"pieces\[0\]\.frames: is not a whole number"),
    ],
)
def test_a_wrong_manifest_is_refused(
    change: Callable[[dict[str, Any]], None], text: str, case: Case, out: Path
) -> None:
    path = case.pieces / MANIFEST
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UsageError, match=text):
        case.join(out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 1}', "[" * 100000])
def test_a_file_that_is_not_a_manifest_is_refused(text: str, case: Case, out: Path) -> None:
    (case.pieces / MANIFEST).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=MANIFEST):
        case.join(out)


def test_an_output_is_replaced_only_on_request(case: Case, out: Path) -> None:
    out.write_bytes(b"existing")
    with pytest.raises(OutputError, match="exists"):
        case.join(out)
    assert out.read_bytes() == b"existing"
    case.join(out, Writing(overwrite=True))
    assert numbers(out) == list(range(20))


def test_an_output_that_cannot_hold_the_pieces_is_refused(case: Case, out: Path) -> None:
    with pytest.raises(OutputError, match="the pieces are h264"):
        case.join(out.with_suffix(".webm"))
    case.join(out.with_suffix(".mkv"))
    assert numbers(out.with_suffix(".mkv")) == list(range(20))


def test_an_interruption_leaves_nothing(
    case: Case, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.video.sink.check_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        case.join(out)
    assert list(out.parent.iterdir()) == []


def test_a_result_in_another_container_is_refused_if_times_are_lost(case: Case, out: Path) -> None:
    other = case.result(1).with_suffix(".mkv")
    case.result(1).unlink()
    copy_video(case.piece(1), other).rename(case.result(1))
    with pytest.raises(MediaError, match="at other times"):
        case.join(out)
