"""The command line, on small real clips."""

import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.cli import commands, main
from app.config import ENV_PREFIX, Settings
from app.files import keeping_finished
from app.pipeline import FaceBlur
from app.plan import NO_FACE_FOUND, read_plan, write_plan
from app.video import open_source
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.videos import VideoSpec

ROOT = Path(__file__).parents[2]
Clips = Callable[[str], Clip]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for the output of a command."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def plan(clip: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the calm clip, in which everyone is hidden with solid."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    assert main(["analyse", str(clip("calm").path), "-o", str(path), "--effect", "solid"]) == 0
    return path


def _start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _run(*arguments: object, **environment: str) -> tuple[int, str, str]:
    process = _start(*arguments, **environment)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def _centre(path: Path, box: np.ndarray) -> np.ndarray:
    """Return the colour at the centre of a box in the first frame."""
    x, y = (box[:2] + box[2:]) // 2
    return np.asarray(next(iter(open_source(path))).rgb()[int(y), int(x)])


def test_blur_writes_video_and_plan_and_reports_progress(
    clip: Clips, people: Path, out: Path
) -> None:
    source, result, plan = clip("calm").path, out / "hidden.mp4", out / "plan.json"
    code, output, errors = _run("blur", source, "-o", result, "--people", people, "--plan", plan)
    assert (code, output) == (0, "")
    assert errors.splitlines()[0] == "face-blur: analyse"
    assert f"face-blur: {result}: 1 of 2 face tracks hidden" in errors.splitlines()
    assert errors.splitlines()[-2].startswith("face-blur:   hidden: obama, 1 track, 0:00.0 to ")
    assert "render: 60 frames" in errors
    assert sorted(out.iterdir()) == [result, plan]
    assert [person.name for person in read_plan(plan).people] == ["obama"]
    assert len(list(open_source(result))) == 60


def test_the_summary_as_json_and_the_sheet(tmp_path: Path, out: Path) -> None:
    people = _photos(tmp_path / "people", obama="obama2", zoë="biden")
    result, sheet = out / "hidden.jpg", out / "sheet.png"
    options = ("--people", people, "--json", "--sheet", sheet, "--require-found", "--quiet")
    code, output, errors = _run("blur", fetch("obama.jpg"), "-o", result, *options)
    assert (code, errors) == (3, "")
    summary = json.loads(output)
    assert (summary["output"], summary["not_found"]) == (str(result), ["zoë"])
    (hidden,) = summary["appearances"]
    assert (hidden["person"], hidden["hidden"], hidden["tracks"]) == ("obama", True, 1)
    assert sorted(out.iterdir()) == [result, sheet]
    with Image.open(sheet) as image:
        assert min(image.size) > 200


def test_quiet_prints_nothing(clip: Clips, out: Path) -> None:
    result = out / "hidden.mp4"
    assert _run("blur", clip("calm").path, "-o", result, "--quiet") == (0, "", "")
    assert list(out.iterdir()) == [result]


def test_render_uses_the_plan_and_options_override_it(clip: Clips, plan: Path, out: Path) -> None:
    source = clip("calm").path
    black, pixels = out / "black.mp4", out / "pixels.mp4"
    assert main(["render", str(source), str(plan), "-o", str(black)]) == 0
    again = ["render", str(source), str(plan), "-o", str(pixels), "--effect", "pixelate"]
    assert main([*again, "--set", "cells=1"]) == 0
    box = read_plan(plan).regions_at(0)[0]
    assert _centre(black, box).max() < 16
    assert _centre(pixels, box).max() > 40


def test_an_edited_decision_is_used(clip: Clips, plan: Path, out: Path) -> None:
    data = json.loads(plan.read_text())
    for track in data["tracks"]:
        track["decision"] = "keep"
    edited, result = out / "edited.json", out / "shown.mp4"
    edited.write_text(json.dumps(data))
    source = clip("calm").path
    assert main(["render", str(source), str(edited), "-o", str(result)]) == 0
    box = read_plan(plan).regions_at(0)[0]
    before, after = _centre(source, box).astype(int), _centre(result, box).astype(int)
    assert np.abs(before - after).max() < 16


def test_settings_come_from_all_sources(
    clip: Clips, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = out / "settings.toml"
    config.write_text('effect = "solid"\nmargin = 0.3\npad = 7\n')
    monkeypatch.setenv("FACE_BLUR_MARGIN", "0.4")
    monkeypatch.setenv("FACE_BLUR_PAD", "8")
    options = ["--config", str(config), "--set", "pad=9", "--set", "sampling=every"]
    path = out / "plan.json"
    assert main(["analyse", str(clip("calm").path), "-o", str(path), *options]) == 0
    settings = read_plan(path).settings
    assert [settings[key] for key in ("effect", "margin", "pad", "sampling")] == [
        *("solid", 0.4, 9, "every")
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "bogus=1"], "unknown setting bogus; valid are: people, blur"),
        (["--set", "margin"], "--set takes KEY=VALUE"),
        (["--set", "margin=9"], "margin: "),
        (["--set", "effect=solid", "--effect", "solid"], "effect is given by --set and"),
        (["--blur", "listed"], "needs people or select"),
        (["--select", "1,2"], "FRAME,X,Y"),
        (["--drop-stream", "video"], "a stream is its number in the file"),
        (["--drop-stream", "audio", "--drop-stream", "9"], "has no stream 9 to drop"),
        (["--people", "{out}/nobody"], "nobody"),
        (["--config", "{out}/none.toml"], "none.toml: cannot be read"),
        (["--models", "none"], "no model pack"),
        (["--plan", "{out}/none/plan.json"], "create it first"),
        (["--plan", "{out}/hidden.mp4"], "is another file of this command"),
        (["--plan", "{source}", "--overwrite"], "is another file of this command"),
        (["-o", "{source}"], ""),
        (["-o", "{source}", "--overwrite"], ""),
        (["-o", "{out}/none/hidden.mp4"], ""),
        (["-o", "{plan}"], ""),
        (["--plan", "{plan}"], "exists"),
        (["--from", "2", "--to", "1"], "--to must be later than --from"),
        (["--from", "1:05:99"], "--from: must be a time, such as"),
        (["--from", "0:59"], "has no frame in this stretch"),
        (["--to", "1", "--plan", "{out}/plan.json"], "--plan has no use for a preview"),
        (["--from", "1", "--select", "0,10,10"], "leave out --from"),
    ],
)
def test_wrong_options_print_one_line_and_write_no_file(
    clip: Clips,
    plan: Path,
    out: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    places = {"out": out, "source": clip("calm").path, "plan": plan}
    before = {path: path.read_bytes() for path in (places["source"], plan)}
    filled = [option.format(**places) for option in options]
    command = ["blur", str(places["source"]), "-o", str(out / "hidden.mp4"), *filled]
    code = main(command)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    assert captured.err.startswith("face-blur: error: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert list(out.iterdir()) == []
    assert all(path.read_bytes() == content for path, content in before.items())


def _bad_inputs(folder: Path, video: Path) -> list[Path]:
    contents = {
        "text.mp4": b"hello world\n" * 100,
        "empty.mp4": b"",
        "truncated.mp4": video.read_bytes()[:-20_000],
        "playlist.m3u8": f"#EXTM3U\n#EXTINF:2,\n{video}\n#EXT-X-ENDLIST\n".encode(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [*(folder / name for name in contents), folder / "missing.mp4", folder]


def test_bad_inputs_print_one_line_and_write_no_file(
    clip: Clips, plan: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = _bad_inputs(tmp_path, clip("calm").path)
    for path in inputs:
        commands = (
            ["blur", str(path), "-o", str(out / "hidden.mp4")],
            ["analyse", str(path), "-o", str(out / "plan.json")],
            ["render", str(path), str(plan), "-o", str(out / "hidden.mp4")],
        )
        for command in commands:
            capsys.readouterr()
            assert main([*command, "--quiet"]) == 2, command
            captured = capsys.readouterr()
            assert captured.out == ""
            assert captured.err.startswith("face-blur: error: "), command
            assert captured.err.count("\n") == 1
            assert str(path) in captured.err
            assert list(out.iterdir()) == []


def test_a_plan_of_another_file_is_refused(
    clip: Clips, plan: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = clip("cuts").path
    assert main(["render", str(other), str(plan), "-o", str(out / "hidden.mp4")]) == 2
    assert "the plan was made for another file" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_a_plan_is_not_overwritten_by_its_own_video(
    clip: Clips, plan: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = out / "plan.json"
    write_plan(read_plan(plan), copy)
    before = copy.read_bytes()
    command = ["render", str(clip("calm").path), str(copy), "-o", str(copy), "--overwrite"]
    assert main(command) == 2
    assert "is the plan" in capsys.readouterr().err
    assert copy.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["analyse", "render"])
def test_an_interrupted_command_ends_at_once_and_leaves_no_file(
    clip: Clips, out: Path, number: signal.Signals, stage: str
) -> None:
    files = ["-o", out / "hidden.mp4", "--plan", out / "plan.json"]
    process = _start("blur", clip("edges").path, *files)
    assert process.stderr is not None
    for line in process.stderr:
        if line == f"face-blur: {stage}\n":
            break
    began = time.monotonic()
    process.send_signal(number)
    process.send_signal(number)  # a second signal must not interrupt the cleanup
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 5, "about a second on an idle machine"
    assert output == ""
    if stage == "analyse":
        assert errors == "face-blur: error: interrupted, no output was written\n"
        assert list(out.iterdir()) == []
    else:
        assert errors.startswith("face-blur: error: interrupted, no video was written; go on with")
        assert errors.count("\n") == 1
        assert [path.name for path in out.iterdir()] == ["plan.json"]


def _photos(folder: Path, **media: str) -> Path:
    """Make a folder of people; names have ``__`` instead of a slash."""
    for name, medium in media.items():
        path = folder / f"{name.replace('__', '/')}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(fetch(f"{medium}.jpg"), path)
    return folder


@pytest.mark.parametrize(
    ("media", "doubt"),
    [
        (
            {"obama__1": "obama", "obama__2": "biden"},
            "obama/1.jpg and {0}/obama/2.jpg: not alike, but both are given for obama",
        ),
        (
            {"a__1": "obama", "a__2": "obama2", "a__3": "obama3", "a__4": "biden"},
            "a/4.jpg: not like the other photos of a; is this somebody else?",
        ),
        (
            {"a__1": "obama", "b__1": "obama2", "c__1": "biden"},
            "a/1.jpg and {0}/b/1.jpg: a and b look alike; are they one person?",
        ),
        (
            {"1": "obama", "2": "obama2", "3": "obama3"},
            "1.jpg, {0}/2.jpg, {0}/3.jpg: all of them look like one person",
        ),
    ],
    ids=["two people", "odd one", "two names", "too deep"],
)
def test_contradicting_photos_cause_a_warning(
    tmp_path: Path, media: dict[str, str], doubt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _photos(tmp_path / "people", **media)
    assert main(["people", str(folder)]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"face-blur: warning: {folder}/{doubt.format(folder)}")


def test_a_photo_of_low_quality_causes_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _photos(tmp_path / "people", a__1="obama2", a__2="obama3")
    with Image.open(folder / "a/2.jpg") as image:
        small = image.resize((image.width // 32, image.height // 32))
    soft = small.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)
    soft.save(folder / "a/2.jpg")
    assert main(["people", str(folder)]) == 0
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"face-blur: warning: {folder}/a/2.jpg: the face is out of focus")


def test_a_too_deep_folder_is_an_error_that_names_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _photos(tmp_path / "people", staff__obama__1="obama")
    assert main(["people", str(folder)]) == 2
    assert f"give {folder}/staff as the folder of people" in capsys.readouterr().err


def test_doubtful_photos_and_missing_people_cause_warnings(
    clip: Clips, out: Path, tmp_path: Path
) -> None:
    """Only Obama appears in the clip."""
    folder = _photos(tmp_path / "people", a__1="obama2", b__1="obama3", biden="biden")
    source, result = clip("edges").path, out / "hidden.mp4"
    code, output, errors = _run("blur", source, "-o", result, "--people", folder)
    assert (code, output) == (0, "")
    lines = errors.splitlines()
    assert sum("a and b look alike" in line for line in lines) == 1
    assert lines[-1] == "face-blur: warning: biden was not found in this video"
    again = ("blur", source, "-o", out / "again.mp4", "--people", folder, "--quiet")
    assert _run(*again) == (0, "", "")


def test_a_video_without_faces_causes_a_warning(out: Path, tmp_path: Path) -> None:
    source = VideoSpec(size=(64, 48)).write(tmp_path / "a.mp4")
    code, output, errors = _run("blur", source, "-o", out / "b.mp4", "--rotate", "none")
    assert (code, output) == (0, "")
    last = errors.splitlines()[-1]
    assert last == f"face-blur: warning: {out / 'b.mp4'}: {NO_FACE_FOUND}"


def test_unclear_tracks_are_counted(
    clip: Clips, plan: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(plan.read_text("utf-8"))
    data["tracks"][0] |= {"unclear": "in profile", "uncertain": True}
    plan.write_text(json.dumps(data), encoding="utf-8")
    result = out / "hidden.mp4"
    assert main(["render", str(clip("calm").path), str(plan), "-o", str(result)]) == 0
    assert "cannot tell: 1 track in which nobody can be recognised" in capsys.readouterr().err


def test_models_are_listed_and_verified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    assert "dlib: ready; " in capsys.readouterr().out
    assert main(["models", "verify", "dlib"]) == 0
    assert capsys.readouterr().out == "dlib: ready\n"
    assert main(["models", "verify", "none"]) == 2
    assert "no model pack 'none'" in capsys.readouterr().err


def test_a_bug_is_reported_as_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(commands, "run", broken)
    assert main(["models", "list"]) == 1
    assert capsys.readouterr().err == (
        "face-blur: error: RuntimeError: two lines; "
        "this is a bug, run with --debug for the traceback\n"
    )
    assert main(["models", "list", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    main(["models", "list"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


@pytest.fixture
def alarm() -> Iterator[None]:
    """Raise an error after ten seconds in a test that would block forever."""

    def wake(*_: object) -> None:
        raise TimeoutError("the command blocks")

    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize("name", ["pipe", "n" * 300])
def test_pipes_and_too_long_names_are_refused(
    clip: Clips,
    plan: Path,
    out: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    os.mkfifo(tmp_path / "pipe")
    source, odd, hidden = clip("calm").path, tmp_path / name, out / "hidden.mp4"
    for command in (
        ("blur", odd, "-o", hidden),
        ("render", odd, plan, "-o", hidden),
        ("render", source, odd, "-o", hidden),
        ("blur", source, "-o", hidden, "--config", odd),
        ("blur", source, "-o", out / ("n" * 300 + ".mp4")),
        ("analyse", source, "-o", out / ("n" * 300)),
    ):
        assert main([str(word) for word in command]) == 2, command
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        assert captured.err.startswith("face-blur: error: ")
        assert list(out.iterdir()) == []


def test_wrong_settings_of_a_plan_name_the_plan(
    clip: Clips, plan: Path, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(plan.read_text())
    data["settings"]["margin"] = "wide"
    edited = tmp_path / "edited.json"
    edited.write_text(json.dumps(data))
    assert main(["render", str(clip("calm").path), str(edited), "-o", str(out / "h.mp4")]) == 2
    assert f"{edited}: settings: margin" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_the_plan_is_written_when_the_analysis_ends(
    clip: Clips, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an interruption of the second pass, the command in the message goes on."""
    source, plan, video = str(clip("calm").path), str(out / "a plan.json"), str(out / "h.mp4")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FaceBlur, "render", interrupted)
        assert main(["blur", source, "-o", video, "--quiet"]) == 130
        assert "--plan keeps the analysis" in capsys.readouterr().err
        assert list(out.iterdir()) == []
        assert main(["blur", source, "-o", video, "--plan", plan, "--quiet"]) == 130
    error = capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["a plan.json"]
    command = shlex.split(error.split("go on with: ")[1])
    assert main(command[1:]) == 0
    assert len(list(open_source(Path(video)))) == 60


def test_an_interruption_after_the_video_has_its_name_is_ignored(out: Path) -> None:
    video = out / "hidden.mp4"
    with keeping_finished(video):
        video.write_text("finished")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), keeping_finished(video):
        raise KeyboardInterrupt
    assert list(out.iterdir()) == [video]


def test_blur_and_render_make_the_same_frames(clip: Clips, out: Path) -> None:
    source, plan = clip("calm").path, out / "plan.json"
    at_once, later = out / "at_once.mp4", out / "later.mp4"
    assert main(["blur", str(source), "-o", str(at_once), "--plan", str(plan)]) == 0
    assert main(["render", str(source), str(plan), "-o", str(later)]) == 0
    for one, other in zip(open_source(at_once), open_source(later), strict=True):
        difference = np.abs(one.rgb().astype(int) - other.rgb())
        assert difference.mean() < 1, "except for differences of the encoder"


@pytest.mark.parametrize("at", ["last", "middle"])
def test_damaged_media_leaves_no_file(clip: Clips, out: Path, tmp_path: Path, at: str) -> None:
    data = bytearray(clip("calm").path.read_bytes())
    with av.open(str(clip("calm").path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        chosen = max(packets, key=lambda packet: packet.pts or 0)
        if at == "middle":
            chosen = packets[len(packets) // 2]
        start, size = chosen.pos, chosen.size
    assert start is not None
    data[start : start + size] = bytes(size)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    files = ["-o", str(out / "hidden.mp4"), "--plan", str(out / "plan.json")]
    assert main(["blur", str(path), *files, "--quiet"]) == 2
    assert list(out.iterdir()) == []


def test_every_bad_photo_is_reported(
    people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "people"
    shutil.copytree(people, folder)
    (folder / "obama" / "broken.jpg").write_text("not a photo")
    (folder / "notes.txt").write_text("not a photo")
    (folder / "nobody").mkdir()
    Image.fromarray(np.full((300, 300, 3), 90, np.uint8)).save(folder / "grey.png")
    assert main(["people", str(folder)]) == 2
    captured = capsys.readouterr()
    listed = [line.split()[1] for line in captured.out.splitlines()[1:-1]]
    assert listed == ["obama/obama2.jpg", "obama/obama3.jpg"]
    bad = ("broken.jpg", "notes.txt", "nobody", "grey.png")
    assert all(captured.err.count(f"{name}: ") == 1 for name in bad)
    assert captured.err.splitlines()[-1].startswith(f"face-blur: error: {folder}: 4 of its files")
    assert all(line.startswith("face-blur: error: ") for line in captured.err.splitlines())


def test_a_signal_during_imports_is_an_interruption(out: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from app.cli import main\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'app.cli.parser':\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.exit(main(['blur', 'a.mp4', '-o', 'b.mp4']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stderr == "face-blur: error: interrupted, no output was written\n"


def test_a_terminal_shows_a_bar(clip: Clips, out: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "blur", clip("calm").path, "-o", out / "hidden.mp4"],
        cwd=ROOT,
        stderr=theirs,
        env=os.environ | {"COLUMNS": "100"},
    )
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # raised when the other end of the terminal is closed
        while part := os.read(ours, 4096):
            seen += part
    os.close(ours)
    assert process.wait() == 0
    text = seen.decode()
    assert re.search(r"\r\x1b\[Kanalyse: \[[#.]{20}\] \d+ of 60 frames", text)
    assert "\r\x1b[Krender: 60 frames in " in text
    assert "fps" in text
