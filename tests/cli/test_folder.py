"""``face-blur blur`` with a folder: all files, resuming, edited plans, and refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.files import sha256_of
from app.plan import read_plan
from testmedia.fetch import fetch
from tests.processes import wait_until

ROOT = Path(__file__).parents[2]


def start(*arguments: object) -> "subprocess.Popen[str]":
    kept = {key: text for key, text in os.environ.items() if not key.startswith("FACE_BLUR_")}
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", "blur", *map(str, arguments)],
        cwd=ROOT,
        env=kept | {"FACE_BLUR_WORKERS": "1"},  # files are done in order
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(*arguments: object) -> tuple[int, str, str]:
    process = start(*arguments)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "day 1").mkdir(parents=True)
    shutil.copyfile(fetch("obama.jpg"), folder / "day 1" / "a.jpg")
    shutil.copyfile(fetch("biden.jpg"), folder / "b.jpg")
    return folder


def photos(folder: Path, *names: str) -> Path:
    """A folder of people with one photo each."""
    folder.mkdir()
    for name in names:
        shutil.copyfile(fetch(f"{name}.jpg"), folder / f"{name.rstrip('0123456789')}.jpg")
    return folder


def lines(output: Path) -> dict[str, dict[str, object]]:
    text = (output / "reports" / "local.jsonl").read_text("ascii")
    return {line["file"]: line for line in map(json.loads, text.splitlines())}


def results(output: Path) -> dict[str, str]:
    """Return the hash of each result and plan."""
    return {
        path.relative_to(output).as_posix(): sha256_of(path)
        for path in sorted(output.rglob("*"))
        if path.is_file() and path.parent.name != "reports"
    }


def test_a_folder_and_a_file(inputs: Path, tmp_path: Path) -> None:
    clip = Path(shutil.copyfile(fetch("carphone.mp4"), tmp_path / "c.mp4"))
    (inputs / "bad.mp4").write_bytes(b"not a video")
    output = tmp_path / "out"
    code, text, errors = run(inputs, clip, "-o", output)
    assert (code, text) == (1, "")
    assert "[1/4] b.jpg: 1 of 1 face tracks hidden, " in errors
    assert "[2/4] bad.mp4: failed: not a supported video" in errors
    assert "1 of 4 files failed: unsupported_media 1" in errors.splitlines()[-1]
    assert results(output).keys() == {
        *("b.jpg", "c.mp4", "day 1/a.jpg"),
        *(f"plans/{name}.plan.json" for name in ("b.jpg", "c.mp4", "day 1/a.jpg")),
    }
    first = results(output)
    (inputs / "bad.mp4").unlink()
    code, _, errors = run(inputs, clip, "-o", output)
    assert code == 0
    assert errors.count("done by an earlier run") == 3
    assert "3 of 3 files done" in errors
    assert results(output) == first


def test_one_file_into_a_folder(inputs: Path, tmp_path: Path) -> None:
    new, existing = tmp_path / "new", tmp_path / "existing"
    existing.mkdir()
    for output in (f"{new}/", str(existing)):
        assert run(inputs / "b.jpg", "-o", output, "--quiet") == (0, "", "")
        assert results(Path(output)).keys() == {"b.jpg", "plans/b.jpg.plan.json"}


def test_workers_make_the_same_results(inputs: Path, tmp_path: Path) -> None:
    for number in range(4):
        shutil.copyfile(inputs / "b.jpg", inputs / f"{number}.jpg")
    for workers in (1, 3):
        output = tmp_path / str(workers)
        assert run(inputs, "-o", output, "--workers", workers, "--quiet")[0] == 0
    assert results(tmp_path / "1") == results(tmp_path / "3")
    assert len(results(tmp_path / "1")) == 12


def test_people_are_named(inputs: Path, tmp_path: Path) -> None:
    people = photos(tmp_path / "people", "obama2", "obama3")
    shutil.copyfile(fetch("biden.jpg"), people / "zoë.jpg")
    (inputs / "b.jpg").unlink()
    output = tmp_path / "out"
    options = ("--people", people, "--require-found", "--json")
    code, text, errors = run(inputs, "-o", output, *options)
    assert code == 3
    assert "hidden: obama, 1 track" in errors
    assert "zoë was not found" in errors
    for earlier in (False, True):
        (line,) = map(json.loads, text.splitlines())
        assert (line["file"], line["earlier"]) == ("day 1/a.jpg", earlier)
        assert Path(line["output"]) == output / "day 1" / "a.jpg"
        assert line["appearances"][0]["person"] == "obama"
        assert line["not_found"] == ["zoë"]
        code, text, _ = run(inputs, "-o", output, *options)
        assert code == 3


def test_an_unusable_photo_is_named(inputs: Path, tmp_path: Path) -> None:
    people = tmp_path / "people"
    people.mkdir()
    Image.new("RGB", (200, 200)).save(people / "zoë.jpg")
    output = tmp_path / "out"
    code, _, errors = run(inputs, "-o", output, "--people", people)
    assert code == 2
    assert errors.splitlines()[-1].startswith(f"face-blur: error: {people}/zoë.jpg: no face")


def test_an_edited_plan_is_used_and_kept(inputs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run(inputs, "-o", output, "--effect", "solid")[0] == 0
    plan = output / "plans" / "b.jpg.plan.json"
    text = plan.read_text("utf-8").replace('"decision": "blur"', '"decision": "keep"')
    plan.write_text(text, "utf-8")
    code, _, errors = run(inputs, "-o", output, "--effect", "solid")
    assert code == 0
    assert "b.jpg: 0 of 1 face tracks hidden, by its edited plan" in errors
    assert plan.read_text("utf-8") == text
    before, after = (np.asarray(Image.open(one / "b.jpg"), int) for one in (inputs, output))
    assert np.abs(before - after).max() < 100
    code, _, errors = run(inputs, "-o", output, "--effect", "pixelate")
    assert code == 1
    assert "b.jpg: failed: its plan was edited" in errors
    assert plan.read_text("utf-8") == text
    assert not (output / "b.jpg").exists()
    assert read_plan(output / "plans" / "day 1" / "a.jpg.plan.json").counts["hidden"] == 1


def test_an_interrupted_run_goes_on(inputs: Path, tmp_path: Path) -> None:
    shutil.copyfile(fetch("carphone.mp4"), inputs / "c.mp4")
    output = tmp_path / "out"
    process = start(inputs, "-o", output)
    wait_until(lambda: any(output.rglob(".c.mp4.*.part")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "face-blur: error: interrupted; the same command continues"
    assert results(output).keys() == {"b.jpg", "plans/b.jpg.plan.json", "plans/c.mp4.plan.json"}
    code, _, errors = run(inputs, "-o", output)
    assert code == 0
    assert not list(output.rglob(".*.part"))
    earlier = {name: line["earlier"] for name, line in lines(output).items()}
    assert earlier == {"b.jpg": True, "c.mp4": False, "day 1/a.jpg": False}
    assert not lines(output)["c.mp4"]["edited"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{inputs}", "-o", "{inputs}/out"), "overlaps with"),
        (("{inputs}", "-o", "{inputs}/.."), "overlaps with"),
        (("{inputs}", "{inputs}/b.jpg", "-o", "{inputs}/b.jpg"), "names a file"),
        (("{inputs}", "-o", "{out}.mp4"), "names a file"),
        (("{inputs}", "-o", "{out}", "--people", "{inputs}/day 1"), "the photos are inside"),
        (("{inputs}", "-o", "{out}", "--plan", "p.json"), "--plan is for one file"),
        (("{inputs}", "-o", "{out}", "--sheet", "s.png"), "--sheet is for one file"),
        (("{inputs}", "-o", "{out}", "--overwrite"), "--overwrite is for one file"),
        (("{inputs}", "-o", "{out}", "--select", "0,10,10"), "--select is for one file"),
        (("{inputs}", "-o", "{out}", "--workers", "0"), "must be a number from 1"),
        (("{inputs}", "{inputs}/nothing", "-o", "{out}"), "nothing: cannot be read"),
        (("{inputs}", "{other}/b.jpg", "-o", "{out}"), "results of the same name"),
    ],
)
def test_refusals(inputs: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copyfile(inputs / "b.jpg", other / "b.jpg")
    values = {"inputs": inputs, "other": other, "out": tmp_path / "out"}
    code, _, errors = run(*(one.format(**values) for one in arguments))
    assert code == 2
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_named_twice_is_done_once(inputs: Path, tmp_path: Path) -> None:
    code, _, errors = run(inputs, inputs / "b.jpg", "-o", tmp_path / "out")
    assert code == 0
    assert "2 of 2 files done" in errors


def test_inputs_in_the_output_are_not_replaced(inputs: Path) -> None:
    """``-o .`` would replace the inputs by their results."""
    before = (inputs / "b.jpg").read_bytes()
    code, _, errors = run(inputs / "b.jpg", "-o", inputs)
    assert code == 1
    assert "is the input itself" in errors
    assert (inputs / "b.jpg").read_bytes() == before
