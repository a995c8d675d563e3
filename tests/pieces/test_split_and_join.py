"""The commands on real videos: split, face-blur on each piece, and join."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.cli import main as face_blur
from app.config import ENV_PREFIX, Settings
from app.errors import PlanError
from app.pieces import MANIFEST, join_plans, read_manifest
from app.plan import read_plan, write_plan
from app.types import Image
from app.video import open_source
from scripts import join, split
from testmedia.clip import Clip
from testmedia.truth import Seen, leaked
from testmedia.videos import payloads, times
from tests.pieces.split_videos import VIDEO, render_pieces

Clips = Callable[[str], Clip]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


def _blurred(folder: Path, results: Path, *options: str) -> None:
    """Run the command on each piece, with its plan."""
    results.mkdir()
    for piece in sorted(folder.glob("*.mp4")):
        plan = results / f"{piece.stem}.json"
        command = ["blur", str(piece), "-o", str(results / piece.name), "--plan", str(plan)]
        assert face_blur([*command, "--quiet", *options]) == 0


@pytest.fixture(scope="module")
def whole(clip: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a video with cuts was split, rendered (all faces black) and joined."""
    folder = tmp_path_factory.mktemp("whole")
    source = shutil.copy(clip("cuts").path, folder / "cuts.mp4")
    pieces, results = folder / "pieces", folder / "results"
    assert split.main([str(source), "-o", str(pieces), "--pieces", "3"]) == 0
    _blurred(pieces, results, "--effect", "solid", "--shape", "rectangle")
    command = [str(pieces / MANIFEST), str(results), "--source", str(source)]
    command += ["-o", str(folder / "joined.mp4")]
    plans = ["--plans", str(results), "--plan", str(folder / "joined.json")]
    assert join.main([*command, *plans]) == 0
    return folder


def test_every_face_is_hidden_in_the_joined_video(whole: Path, clip: Clips) -> None:
    truth = clip("cuts").truth
    manifest = read_manifest(whole / "pieces" / MANIFEST)
    assert len(manifest.pieces) > 1
    pictures = {frame.index: frame.rgb() for frame in open_source(whole / "joined.mp4")}
    faces = list(truth.recognisable())
    assert len(faces) > 60
    assert [face for face in faces if _dark(pictures[face.frame], face) < 0.6] == []


def _dark(picture: Image, face: Seen) -> float:
    """Return the share of a face that is black."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in face.box)
    return float((picture[y1:y2, x1:x2].max(axis=2) < 40).mean())


def test_no_face_is_hidden_in_the_source(clip: Clips) -> None:
    made = clip("cuts")
    pictures = {frame.index: frame.rgb() for frame in open_source(made.path)}
    assert all(_dark(pictures[f.frame], f) < 0.6 for f in made.truth.recognisable())


def test_times_and_audio_are_those_of_the_source(whole: Path) -> None:
    source, joined = whole / "cuts.mp4", whole / "joined.mp4"
    assert times(joined) == times(source)
    assert payloads(joined, "audio") == payloads(source, "audio")


def test_the_joined_plan_fits_the_source(whole: Path, clip: Clips) -> None:
    truth, plan = clip("cuts").truth, read_plan(whole / "joined.json")
    assert leaked(truth, plan, truth.people) == []
    assert plan.source.frames == truth.frames
    assert set(truth.cuts) <= {first for first, _ in plan.shots}
    assert [track.id for track in plan.tracks] == list(range(len(plan.tracks)))
    whole_again = ["render", str(whole / "cuts.mp4"), str(whole / "joined.json")]
    assert face_blur([*whole_again, "-o", str(whole / "again.mp4"), "--quiet"]) == 0


def test_the_joined_plan_hides_the_same_regions_as_the_plans_of_the_pieces(whole: Path) -> None:
    manifest = read_manifest(whole / "pieces" / MANIFEST)
    joined = read_plan(whole / "joined.json")
    for piece in manifest.pieces:
        plan = read_plan(whole / "results" / f"{Path(piece.file).stem}.json")
        for frame in range(piece.frames):
            result = joined.regions_at(piece.first + frame)
            assert np.array_equal(result, plan.regions_at(frame))


@pytest.fixture
def plans(whole: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "plans"
    folder.mkdir()
    for path in (whole / "results").glob("*.json"):
        shutil.copy(path, folder)
    return folder


def _lost(folder: Path) -> None:
    next(iter(folder.iterdir())).unlink()


def _doubled(folder: Path) -> None:
    path = next(iter(folder.iterdir()))
    shutil.copy(path, path.with_name(path.name + ".out"))


def _made_otherwise(folder: Path) -> None:
    path = next(iter(folder.iterdir()))
    plan = read_plan(path)
    write_plan(replace(plan, settings={**plan.settings, "effect": "blur"}), path)


@pytest.mark.parametrize(
    ("damage", "text"),
    [(_lost, "no plan of"), (_doubled, "second plan"), (_made_otherwise, "other settings")],
)
def test_incomplete_or_inconsistent_plans_are_refused(
    damage: Callable[[Path], None], text: str, whole: Path, plans: Path
) -> None:
    manifest = read_manifest(whole / "pieces" / MANIFEST)
    assert join_plans(manifest, plans).source.sha256 == manifest.source.sha256
    damage(plans)
    with pytest.raises(PlanError, match=text):
        join_plans(manifest, plans)


def test_a_dry_run_prints_the_pieces_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    options = ["-o", str(tmp_path / "pieces"), "--seconds", "0.4", "--inside-shots", "--dry-run"]
    assert split.main([str(source), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a-0001of0002.mp4  frame 0  10 frames  0.4 s"
    assert lines[1] == "a-0002of0002.mp4  frame 10  10 frames  0.4 s  inside a shot"
    assert not (tmp_path / "pieces").exists()


def test_a_video_without_cuts_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = VIDEO.write(tmp_path / "a.mp4")
    assert split.main([str(source), "-o", str(tmp_path / "p"), "--seconds", "0.1"]) == 0
    assert "no key frame is at a cut; it stays in one piece" in capsys.readouterr().out


def _mistakes(folder: Path) -> Iterator[tuple[Callable[[list[str]], int], list[str], str]]:
    video, out = str(folder / "a.mp4"), str(folder / "out")
    yield split.main, [video, "-o", out, "--seconds", "soon"], "--seconds takes a number"
    yield split.main, [str(folder / "none.mp4"), "-o", out], "no such file"
    join_ = [str(folder / "none.json"), out, "--source", video, "-o", str(folder / "b.mp4")]
    yield join.main, join_, "cannot be read"
    yield join.main, [*join_, "--plan", str(folder / "p.json")], "belong together"


def test_usage_errors_are_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    VIDEO.write(tmp_path / "a.mp4")
    for command, arguments, text in _mistakes(tmp_path):
        assert command(arguments) == 2
        printed = capsys.readouterr()
        assert text in printed.err
        assert len(printed.err.splitlines()) == 1
        assert printed.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_real_video_keeps_its_times_and_audio(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "hamilton" / "clip.mp4"
    pieces, out = tmp_path / "pieces", tmp_path / "joined.mp4"
    assert split.main([str(source), "-o", str(pieces), "--seconds", "3"]) == 0
    manifest = read_manifest(pieces / MANIFEST)
    assert [piece.first for piece in manifest.pieces] == [0, 211]
    results = render_pieces(manifest, pieces, tmp_path / "results")
    command = [str(pieces / MANIFEST), str(results), "--source", str(source), "-o", str(out)]
    assert join.main(command) == 0
    assert times(out) == times(source)
    assert times(out)[0] > 0
    assert payloads(out, "audio") == payloads(source, "audio")
