"""What a join refuses: whatever is not proven to be the rendered piece that belongs there."""

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
from app.video.piece_tag import PieceTag
from testmedia.films import ROTATED, copy_film, numbers
from tests.pieces.rounds import FILM, inside, rendered


@dataclass(frozen=True)
class Job:
    """A film that was split, and its rendered pieces; tests spoil copies of it."""

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
def made(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    source = FILM.write(folder / "film.mp4")
    manifest = split(inside(source, 4), folder / "pieces")
    results = rendered(manifest, folder / "pieces", folder / "results")
    return Job(source, folder / "pieces", results, manifest)


@pytest.fixture
def job(made: Job, tmp_path: Path) -> Job:
    """A copy of its own."""
    for folder in (made.pieces, made.results):
        shutil.copytree(folder, tmp_path / folder.name)
    source = shutil.copy(made.source, tmp_path)
    return Job(Path(source), tmp_path / "pieces", tmp_path / "results", made.manifest)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "joined.mp4"


def test_results_of_jobs_are_found_by_their_names(job: Job, out: Path) -> None:
    for number in (0, 2):
        path = job.result(number)
        path.rename(path.with_name(path.name + ".out"))
    assert job.join(out) == []
    assert numbers(out) == list(range(20))
    assert list(out.parent.iterdir()) == [out]


def _missing(job: Job) -> None:
    job.result(2).unlink()


def _twice(job: Job) -> None:
    shutil.copy(job.result(1), job.result(1).with_name(job.result(1).name + ".out"))


def _swapped(job: Job) -> None:
    first, second = job.result(1).read_bytes(), job.result(2).read_bytes()
    job.result(1).write_bytes(second)
    job.result(2).write_bytes(first)


def _not_rendered(job: Job) -> None:
    shutil.copy(job.piece(1), job.result(1))


def _remuxed(job: Job, comment: str | None = None, drop: int | None = None, delay: int = 0) -> None:
    """The piece again, not rendered but otherwise another file; or the result, made worse."""
    rendered = comment is None
    source = job.result(1).rename(job.results / "old") if rendered else job.piece(1)
    with av.open(str(source)) as old, av.open(str(job.result(1)), "w", format="mp4") as new:
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


def _still_unprocessed(job: Job) -> None:
    with av.open(str(job.piece(1))) as container:
        _remuxed(job, container.metadata["comment"])


def _without_mark(job: Job) -> None:
    _remuxed(job, "holidays")


def _of_another_split(job: Job) -> None:
    rate = job.manifest.source.rate
    _remuxed(job, str(PieceTag(2, 4, "0" * 16, rate, processed=True)))


def _frame_missing(job: Job) -> None:
    _remuxed(job, drop=3)


def _moved(job: Job) -> None:
    _remuxed(job, delay=1)


def _cut_off(job: Job) -> None:
    data = job.result(1).read_bytes()
    job.result(1).write_bytes(data[: len(data) - 100])


def _smaller(job: Job) -> None:
    film = replace(FILM, size=(32, 32), count=5, sounds=(), metadata=_mark_of(job, 1))
    film.write(job.result(1))


def _turned(job: Job) -> None:
    film = replace(FILM, matrix=ROTATED[180], count=5, sounds=(), metadata=_mark_of(job, 1))
    film.write(job.result(1))


def _coded_otherwise(job: Job) -> None:
    options = {**FILM.options, "profile": "baseline", "bf": "0"}
    film = replace(FILM, count=5, sounds=(), options=options, metadata=_mark_of(job, 1))
    film.write(job.result(1))


def _mark_of(job: Job, number: int) -> dict[str, str]:
    tag = PieceTag(number + 1, 4, job.manifest.id, job.manifest.source.rate, processed=True)
    return {"comment": str(tag)}


def _other_source(job: Job) -> None:
    replace(FILM, noise=9).write(job.source)


def _changed_source(job: Job) -> None:
    data = bytearray(job.source.read_bytes())
    data[-1] ^= 1
    job.source.write_bytes(data)


SPOILS: list[tuple[Callable[[Job], None], type[FaceBlurError], str]] = [
    (_missing, UsageError, "1 of 4 pieces are missing, the first is film-0003of0004.mp4"),
    (_twice, UsageError, "exists twice"),
    (_swapped, UsageError, "is another piece, 3 of 4"),
    (_not_rendered, MediaError, "is the piece itself"),
    (_still_unprocessed, MediaError, "was not processed"),
    (_without_mark, MediaError, "has no piece tag"),
    (_of_another_split, UsageError, "or of another split"),
    (_frame_missing, MediaError, "has 4 frames, not 5"),
    (_moved, MediaError, "at other times"),
    (_cut_off, MediaError, "cut off"),
    (_smaller, MediaError, "differs from the first piece in its size"),
    (_turned, MediaError, "differs from the first piece in its rotation"),
    (_coded_otherwise, MediaError, "differs from the first piece in its coding parameters"),
    (_other_source, UsageError, "is not the video that was split"),
    (_changed_source, UsageError, "is not the video that was split"),
]


@pytest.mark.parametrize(("spoil", "kind", "text"), SPOILS, ids=[s[0].__name__ for s in SPOILS])
def test_what_is_not_proven_is_refused(
    spoil: Callable[[Job], None], kind: type[FaceBlurError], text: str, job: Job, out: Path
) -> None:
    spoil(job)
    with pytest.raises(FaceBlurError, match=text) as caught:
        job.join(out)
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
    data["pieces"][0]["file"] = "../film.mp4"


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
def test_a_manifest_that_is_wrong_is_refused(
    change: Callable[[dict[str, Any]], None], text: str, job: Job, out: Path
) -> None:
    path = job.pieces / MANIFEST
    data = json.loads(path.read_text("utf-8"))
    change(data)
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(UsageError, match=text):
        job.join(out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 1}', "[" * 100000])
def test_a_file_that_is_no_manifest_is_refused(text: str, job: Job, out: Path) -> None:
    (job.pieces / MANIFEST).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=MANIFEST):
        job.join(out)


def test_an_output_is_not_replaced_unasked(job: Job, out: Path) -> None:
    out.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        job.join(out)
    assert out.read_bytes() == b"mine"
    job.join(out, Writing(overwrite=True))
    assert numbers(out) == list(range(20))


def test_an_output_that_cannot_hold_the_pieces_is_refused(job: Job, out: Path) -> None:
    with pytest.raises(OutputError, match="the pieces are h264"):
        job.join(out.with_suffix(".webm"))
    job.join(out.with_suffix(".mkv"))
    assert numbers(out.with_suffix(".mkv")) == list(range(20))


def test_an_interruption_leaves_nothing(
    job: Job, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.video.sink.check_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        job.join(out)
    assert list(out.parent.iterdir()) == []


def test_a_result_of_another_container_is_refused_where_times_are_lost(job: Job, out: Path) -> None:
    other = job.result(1).with_suffix(".mkv")
    job.result(1).unlink()
    copy_film(job.piece(1), other).rename(job.result(1))
    with pytest.raises(MediaError, match="at other times"):
        job.join(out)
