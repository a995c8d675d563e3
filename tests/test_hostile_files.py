"""Files of users and strangers: nested without end, with numbers too large, or with paths."""

import io
import json
import tarfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.batch.records import _read_lines
from app.config import Settings
from app.errors import ConfigError, FaceBlurError, PackError, PlanError, TicketError, UsageError
from app.job.folders import _read_host
from app.packs.catalogue import load_pack, models_folder
from app.packs.convert import Calibration
from app.packs.download import extract
from app.pieces import read_manifest
from app.plan import Plan
from app.validation import check_file_name, parse_json, parse_toml
from app.web.tickets import _parse_json

DEPTH = 100_000
"""Far beyond the recursion limit of Python."""
JSON = "[" * DEPTH + "]" * DEPTH
OBJECTS = '{"a":' * DEPTH + "1" + "}" * DEPTH
TOML = f"a = {JSON}"
Reader = Callable[[Path], object]


def _pack(path: Path) -> object:
    (path.parent / "own").mkdir()
    (path.parent / "own" / "pack.toml").write_bytes(path.read_bytes())
    return load_pack("own", path.parent)


READERS: dict[str, tuple[Reader, str, type[Exception]]] = {
    "plan": (Plan.read, JSON, PlanError),
    "plan of objects": (Plan.read, OBJECTS, PlanError),
    "manifest": (read_manifest, JSON, UsageError),
    "settings": (Settings.load, TOML, ConfigError),
    "pack": (_pack, TOML, PackError),
    "ticket": (lambda path: _parse_json(path.read_bytes()), "[" * 20_000, TicketError),
    "hosts": (_read_host, JSON, ConfigError),
    "calibration": (lambda path: Calibration.from_json(path.read_text()), JSON, ValueError),
}


@pytest.mark.parametrize("name", READERS)
def test_nesting_without_end_is_an_error_of_the_file(name: str, tmp_path: Path) -> None:
    read, content, error = READERS[name]
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(error):
        read(path)


def test_a_nested_line_of_a_report_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_text(f'{JSON}\n{{"file": "a"}}\n')
    assert list(_read_lines(path)) == [{"file": "a"}]


def test_the_parsers_raise_value_errors() -> None:
    for parse, text in ((parse_json, JSON), (parse_json, OBJECTS), (parse_toml, TOML)):
        with pytest.raises(ValueError, match="nested too deeply"):
            parse(text.encode())
    with pytest.raises(RecursionError):
        tomllib.loads(TOML)


SOURCE = {
    "sha256": "0" * 64,
    "name": "a",
    "frames": 10,
    "width": 64,
    "height": 48,
    "duration": 1.0,
}
TRACK = {
    "id": 0,
    "shot": 0,
    "first": 0,
    "last": 1,
    "person": None,
    "similarity": None,
    "decision": "blur",
    "uncertain": False,
    "unclear": None,
    "reason": "everyone",
    "boxes": [[0, 1, 1, 5, 5], [1, 1, 1, 5, 5]],
}
HUGE = 2_000_000_000
ABSURD: dict[str, dict[str, object]] = {
    "frames": {"source": {**SOURCE, "frames": HUGE}, "shots": [[0, HUGE]]},
    "frames of the source only": {"source": {**SOURCE, "frames": HUGE}},
    "a shot": {"shots": [[0, 10], [10, HUGE]]},
    "the last frame of a track": {"tracks": [{**TRACK, "last": HUGE}]},
    "both ends of a track": {"tracks": [{**TRACK, "first": HUGE, "last": HUGE + 1}]},
    "a frame of a box": {"tracks": [{**TRACK, "boxes": [[HUGE, 1, 1, 5, 5], [1, 1, 1, 5, 5]]}]},
    "a coordinate": {"tracks": [{**TRACK, "boxes": [[0, 1, 1, HUGE, 5], [1, 1, 1, 5, 5]]}]},
    "a side": {"source": {**SOURCE, "width": HUGE}},
    "a number of photos": {"people": [{"name": "a", "photos": HUGE * 4}]},
    "the largest length with one box": {
        "source": {**SOURCE, "frames": 10**7},
        "shots": [[0, 10**7]],
        "tracks": [{**TRACK, "last": 10**7 - 1}],
    },
}


@pytest.mark.parametrize("name", [None, *ABSURD])
def test_absurd_plans_are_refused_at_once(name: str | None, tmp_path: Path) -> None:
    plan: dict[str, object] = {
        "version": 1,
        "source": SOURCE,
        "settings": {},
        "models": {
            "pack": "open",
            "detector": {"file": "a.onnx", "sha256": "0" * 64},
            "recogniser": None,
        },
        "people": [],
        "shots": [[0, 10]],
        "tracks": [TRACK],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan | (ABSURD[name] if name else {})))
    before = time.process_time()
    if name is None:
        assert Plan.read(path).source.frames == 10
        return
    with pytest.raises(PlanError):
        Plan.read(path)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"centerface.onnx" =', '"../../centerface.onnx" ='),
        ('"centerface.onnx" =', '"/etc/centerface.onnx" ='),
        ('"centerface.onnx" =', '".." ='),
        ('"centerface.onnx" = "', '"centerface.onnx" = "../../'),
        ('calibration = "', 'calibration = "../'),
    ],
)
def test_files_of_a_pack_stay_in_its_folder(old: str, new: str, tmp_path: Path) -> None:
    text = (models_folder() / "open" / "pack.toml").read_text("utf-8")
    assert old in text
    path = tmp_path / "file"
    path.write_text(text)
    _pack(path)
    (tmp_path / "own" / "pack.toml").write_text(text.replace(old, new))
    with pytest.raises(PackError):
        load_pack("own", tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/a", "a\\b", "a\0b"])
def test_names_with_folders(name: str) -> None:
    with pytest.raises(ValueError, match="without a folder"):
        check_file_name(name)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["a/weights.bin", "weights.bin", "../../x", "/etc/passwd"])
def test_links_of_archives_are_not_followed(kind: bytes, target: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        item = tarfile.TarInfo("a/weights.bin")
        item.type, item.linkname = kind, target
        archive.addfile(item)
    with pytest.raises(PackError):
        extract(path, "a/weights.bin", "0" * 64)


def test_a_damaged_archive_is_an_error_of_the_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        item = tarfile.TarInfo("a/weights.bin")
        item.size = 100_000
        archive.addfile(item, io.BytesIO(bytes(range(250)) * 400))
    data = bytearray(buffer.getvalue())
    for position in range(40, len(data), max(1, len(data) // 20)):
        path = tmp_path / "a.tar.xz"
        broken = bytearray(data)
        broken[position] ^= 0xFF
        path.write_bytes(broken)
        with pytest.raises(FaceBlurError):
            extract(path, "a/weights.bin", "0" * 64)
