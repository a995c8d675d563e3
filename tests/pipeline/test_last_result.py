"""The record of a result: what it holds, how it is written and read, and what it compares."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import app
from app.config import RENDER_SETTINGS, Settings
from app.pipeline import FaceBlur, LastResult
from app.pipeline.last_result import changed_frames, decisive
from app.plan import Plan
from app.video import Uncopyable
from testmedia.videos import VideoSpec
from tests.pipeline.two_faces import SIZE, Part, plan_of

COUNT = 30
PARTS = (Part(0, 0, 20), Part(1, 5, 25))
RIGHT = np.array([0, 0, 0, 0, 0.02], np.float32)
"""Two steps of a plan's precision further."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return VideoSpec(size=SIZE, count=COUNT).write(tmp_path / "in.mp4")


@pytest.fixture
def record(source: Path, tmp_path: Path) -> LastResult:
    done = FaceBlur(Settings()).render(
        source, plan_of(source, COUNT, PARTS), tmp_path / "results" / "out.mp4"
    )
    assert done is not None
    made = done.last_result()
    assert made is not None
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()


def test_the_record_is_that_of_the_file(record: LastResult, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "results" / "out.mp4"
    assert record.path == file
    assert record.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert record.plan.source.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert record.settings.keys() == RENDER_SETTINGS - {"verify"} | {"accept_truncated", "program"}
    assert app.LastResult is LastResult


def test_a_record_that_was_written_is_read_again(record: LastResult, tmp_path: Path) -> None:
    record.write(tmp_path / "last.json")
    again = LastResult.read(tmp_path / "last.json")
    assert (again.path, again.sha256, again.settings) == (
        record.path,
        record.sha256,
        record.settings,
    )
    assert not changed_frames(again.plan, record.plan).any()
    again.unchanged_media(record.plan, Settings())
    again.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "last.json").read_bytes()


def test_boxes_are_equal_after_writing_and_reading(record: LastResult, tmp_path: Path) -> None:
    """Otherwise each session would begin with encoding everything."""
    track = record.plan.tracks[0]
    boxes = np.random.default_rng(0).uniform(1, 10, (20, 5)).cumsum(axis=1).astype(np.float32)
    boxes[:, 0] = range(20)
    plan = replace(record.plan, tracks=(replace(track, boxes=boxes),))
    LastResult(record.path, record.sha256, plan, record.settings).write(tmp_path / "last.json")
    again = LastResult.read(tmp_path / "last.json").plan
    assert not changed_frames(again, plan).any()
    moved = replace(plan, tracks=(replace(track, boxes=boxes + RIGHT),))
    assert np.flatnonzero(changed_frames(again, moved)).tolist() == list(range(20))


def test_record_and_result_can_be_moved_together(record: LastResult, tmp_path: Path) -> None:
    record.write(tmp_path / "last.json")
    new = tmp_path / "moved"
    (new / "results").mkdir(parents=True)
    record.path.rename(new / "results" / "out.mp4")
    (tmp_path / "last.json").rename(new / "last.json")
    again = LastResult.read(new / "last.json")
    assert again.path == new / "results" / "out.mp4"
    again.unchanged_media(record.plan, Settings())


def without(key: str) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.pop(key)


def with_value(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update({key: value})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (without("plan"), "plan"),
        (without("path"), "path"),
        (without("version"), "version"),
        (with_value("version", 2), "version 2"),
        (with_value("sha256", "abc"), "sha256"),
        (with_value("sha256", 5), "sha256"),
        (with_value("path", 5), "path"),
        (with_value("settings", []), "settings"),
        (with_value("plan", {"version": 1}), "source"),
        (with_value("plan", []), "not an object"),
        (with_value("more", 1), "more"),
    ],
)
def test_a_wrong_record_is_refused(
    change: Callable[[dict[str, Any]], object], place: str, record: LastResult, tmp_path: Path
) -> None:
    file = tmp_path / "last.json"
    record.write(file)
    data = json.loads(file.read_text("utf-8"))
    change(data)
    file.write_text(json.dumps(data), "utf-8")
    with pytest.raises(app.PlanError, match=place):
        LastResult.read(file)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": NaN}', "[" * 100_000])
def test_other_files_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "last.json"
    file.write_text(text, "utf-8")
    with pytest.raises(app.PlanError, match="render the video again"):
        LastResult.read(file)
    with pytest.raises(app.PlanError, match="cannot be read"):
        LastResult.read(tmp_path / "missing.json")


def test_each_rendering_setting_decides(record: LastResult) -> None:
    others: dict[str, Any] = {
        "effect": "solid",
        "shape": "rectangle",
        "margin": 0.3,
        "feather": 0.2,
        "cells": 3,
        "quality": 80,
        "preset": "faster",
        "encoder": "auto",
        "copy_untouched": "never",
        "keep_location": True,
        "drop_stream": "audio",
        "accept_truncated": True,
    }
    assert others.keys() | {"program"} == decisive(Settings()).keys()
    for name, value in others.items():
        with pytest.raises(Uncopyable, match="other settings"):
            record.unchanged_media(record.plan, Settings(**{name: value}))
    record.unchanged_media(record.plan, Settings(threads=1, look_every=1))


def hiding(source: Path, *parts: Part) -> Plan:
    return plan_of(source, COUNT, parts)


def test_frames_are_changed_if_other_boxes_are_hidden(source: Path) -> None:
    first, second = Part(0, 0, 20), Part(1, 10, 30)
    both = hiding(source, first, second)
    changes = {
        "same": hiding(source, first, second, Part(0, 3, 9, "keep")),
        "one less": hiding(source, first, replace(second, decision="keep")),
        "longer": hiding(source, replace(first, end=22), second),
        "other order": hiding(source, second, first),
        "nobody": hiding(source),
    }
    found = {
        name: np.flatnonzero(changed_frames(both, plan)).tolist() for name, plan in changes.items()
    }
    assert found == {
        "same": [],
        "one less": list(range(10, 30)),
        "longer": [20, 21],
        "other order": list(range(10, 20)),
        "nobody": list(range(30)),
    }


def test_an_image_is_always_encoded(tmp_path: Path, record: LastResult) -> None:
    image = tmp_path / "in.png"
    assert cv2.imwrite(str(image), np.full((64, 96, 3), 90, np.uint8))
    plan = replace(
        record.plan,
        source=replace(
            record.plan.source, sha256=hashlib.sha256(image.read_bytes()).hexdigest(), frames=1
        ),
        shots=((0, 1),),
        tracks=(),
    )
    output = tmp_path / "out.png"
    done = FaceBlur(Settings()).render(image, plan, output, last=record)
    assert done is not None
    assert (done.copied_from, done.last_result()) == ("nothing", None)
    assert "image" in (done.why_not_last or "")
