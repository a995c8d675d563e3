"""``face-blur verify``, and ``--verify`` of ``blur`` and ``render``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.config import ENV_PREFIX, Settings
from app.plan import Plan, read_plan, write_plan
from app.verification.repair import REASON
from testmedia.clip import Clip
from testmedia.leaks import with_gap

Clips = Callable[[str], Clip]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


@pytest.fixture(scope="module")
def made(clip: Clips, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The result of the calm clip, and its plan."""
    folder = tmp_path_factory.mktemp("made")
    output, plan = folder / "out.mp4", folder / "plan.json"
    command = ["blur", clip("calm").path, "-o", output, "--plan", plan, "--quiet"]
    assert main(list(map(str, command))) == 0
    return output, plan


def run(*command: object) -> int:
    return main(list(map(str, command)))


def leaking(plan: Path, target: Path) -> Plan:
    """Write a plan in which a face is visible in the frames 27 to 31."""
    bad = with_gap(read_plan(plan), read_plan(plan).tracks[0].id, 27, 5)
    write_plan(bad, target)
    return bad


def test_a_good_result(
    made: tuple[Path, Path], clip: Clips, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", *made, "--media", clip("calm").path, "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out == "no hidden face can be seen in 60 frames\n"
    assert captured.err == ""


def test_without_the_source_it_says_so(
    made: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", *made, "--quiet") == 0
    assert "was not compared: give --media" in capsys.readouterr().out


def test_a_leak_has_its_frames_and_exit_code_3(
    made: tuple[Path, Path], clip: Clips, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, source = tmp_path / "out.mp4", clip("calm").path
    bad = tmp_path / "bad.json"
    leaking(made[1], bad)
    assert run("render", source, bad, "-o", output, "--quiet") == 0
    capsys.readouterr()
    assert run("verify", output, made[1], "--media", source, "--quiet") == 3
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("frames 27 to 31 (0:00.901): the hidden face of track ")
    assert run("verify", output, bad, "--media", source, "--json", "--quiet") == 3
    printed = json.loads(capsys.readouterr().out)
    (finding,) = printed["findings"]
    assert (finding["kind"], finding["first"], finding["last"]) == ("unknown", 27, 31)
    assert (printed["frames"], printed["compared"]) == (60, True)


def test_a_listed_person_is_named(
    made: tuple[Path, Path], clip: Clips, people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", clip("calm").path, made[1], "--people", people, "--quiet") == 3
    assert "(obama)" in capsys.readouterr().out


def test_another_source_is_refused(
    made: tuple[Path, Path], clip: Clips, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", *made, "--media", clip("cuts").path) == 2
    assert "made for another file" in capsys.readouterr().err
    assert run("verify", made[0], made[0]) == 2


def test_render_repairs_a_leak(
    made: tuple[Path, Path], clip: Clips, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, source, bad = tmp_path / "out.mp4", clip("calm").path, tmp_path / "bad.json"
    leaking(made[1], bad)
    before = bad.read_bytes()
    assert run("render", source, bad, "-o", output, "--verify", "--json") == 0
    captured = capsys.readouterr()
    assert "warning: " in captured.err
    assert "hidden after a second look: frames 27 to 31" in captured.err
    verification = json.loads(captured.out)["verification"]
    assert verification["repaired"] == [{"kind": "unknown", "first": 27, "last": 31}]
    assert bad.read_bytes() == before
    assert run("verify", output, made[1], "--media", source, "--quiet") == 0


def test_blur_writes_the_plan_of_the_repaired_result(
    clip: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.pipeline import FaceBlur

    analyse = FaceBlur.analyse

    def careless(self: FaceBlur, *arguments: object) -> Plan:
        plan = analyse(self, *arguments)  # type: ignore[arg-type]
        return with_gap(plan, plan.tracks[0].id, 27, 5)

    monkeypatch.setattr(FaceBlur, "analyse", careless)
    output, plan = tmp_path / "out.mp4", tmp_path / "plan.json"
    monkeypatch.setenv("FACE_BLUR_VERIFY", "1")
    assert run("blur", clip("calm").path, "-o", output, "--plan", plan, "--quiet") == 0
    assert read_plan(plan).tracks[-1].reason == REASON
    assert run("verify", output, plan, "--media", clip("calm").path, "--quiet") == 0


def test_a_folder_of_files(clip: Clips, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run("blur", clip("calm").path, "-o", f"{output}/", "--verify", "--quiet") == 0
    (line,) = (output / "reports" / "local.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["verification"]["frames"] == 60
    assert json.loads(line)["verification"]["repaired"] == []
    assert sorted(path.name for path in output.iterdir()) == ["calm.mp4", "plans", "reports"]
