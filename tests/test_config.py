import json
from pathlib import Path
from typing import Any

import pytest

from app.config import ENV_PREFIX, ServiceSettings, Settings
from app.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields | ServiceSettings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


def _toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_precedence_of_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _toml(tmp_path, 'margin = 0.3\neffect = "solid"\npad = 7\n')
    monkeypatch.setenv("FACE_BLUR_MARGIN", "0.4")
    monkeypatch.setenv("FACE_BLUR_PAD", "8")
    settings = Settings.load(path, pad=9)
    assert (settings.effect, settings.margin, settings.pad) == ("solid", 0.4, 9)
    assert settings.quality == Settings().quality


def test_the_constructor_ignores_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_BLUR_MARGIN", "0.4")
    assert Settings().margin == 0.2


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_BLUR_THREADS", "")
    assert Settings.load().threads is None


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_BLUR_MARGINS", "0.4")
    with pytest.raises(ConfigError, match=r"FACE_BLUR_MARGINS; valid are: .*FACE_BLUR_MARGIN,"):
        Settings.load()


def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings\.toml: unknown setting margins; .*margin,"):
        Settings.load(_toml(tmp_path, "margins = 0.3\n"))


@pytest.mark.parametrize("content", [b"margin = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        Settings.load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings.load(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "values",
    [
        {"margin": 0.05},
        {"margin": 1.1},
        {"margin": "nan"},
        {"feather": -0.1},
        {"feather": 0.6},
        {"cells": 5},
        {"cells": 0},
        {"cells": 2.5},
        {"effect": "none"},
        {"quality": 0},
        {"threads": 0},
        {"look_every": 0},
        {"pad": -1},
        {"blur": "listed"},
        {"blur": "others"},
        {"blur": "nobody"},
        {"sure": 0.4, "doubtful": 0.5},
        {"drop_stream": "1,video"},
        {"drop_stream": "-1"},
        {"select": "1,2"},
        {"select": "1,x,2"},
        {"select": [(-1, 0, 0)]},
        {"select": [(0, float("nan"), 0)]},
        {"bogus": 1},
    ],
)
def test_bad_values_are_one_line_of_error(values: dict[str, Any]) -> None:
    for make in (Settings, Settings.load, Settings().changed):
        with pytest.raises(ConfigError) as caught:
            make(**values)
        assert "\n" not in str(caught.value)
        assert any(name in str(caught.value) for name in values)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().margin = 0.3


@pytest.mark.parametrize(
    ("values", "choice"),
    [
        ({}, "everyone"),
        ({"people": "p"}, "listed"),
        ({"select": "0,1,2"}, "listed"),
        ({"people": "p", "blur": "others"}, "others"),
        ({"people": "p", "blur": "everyone"}, "everyone"),
    ],
)
def test_the_default_choice_depends_on_people_and_select(
    values: dict[str, Any], choice: str
) -> None:
    assert Settings(**values).choice == choice


def test_points_are_parsed_from_text() -> None:
    assert Settings(select="3,10,20.5; 4,1,2").select == ((3, 10.0, 20.5), (4, 1.0, 2.0))


def test_changed_keeps_settings_and_validates_again(tmp_path: Path) -> None:
    settings = Settings(people=tmp_path, select="3,10,20", pad=5).changed(blur="others", margin="1")
    assert (settings.choice, settings.pad, settings.margin) == ("others", 5, 1.0)
    with pytest.raises(ConfigError, match="people"):
        settings.changed(people=None, select=())


def test_the_record_is_json_without_paths(tmp_path: Path) -> None:
    folder = tmp_path / "alice"
    record = Settings(people=folder, models_root=folder, select="0,1,2").effective()
    text = json.dumps(record)
    assert "alice" not in text
    assert (record["blur"], record["select"], record["cells"]) == ("listed", [[0, 1.0, 2.0]], 4)


def test_one_environment_serves_both_kinds_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACE_BLUR_QUEUE", "7")
    monkeypatch.setenv("FACE_BLUR_MARGIN", "0.4")
    monkeypatch.setenv("FACE_BLUR_SPOOL", "")
    assert (Settings.load().margin, Settings().margin) == (0.4, 0.2)
    service = ServiceSettings.load(queue_seconds=5)
    assert (service.queue, service.queue_seconds, service.spool) == (7, 5, None)
    monkeypatch.setenv("FACE_BLUR_QUEUES", "7")
    for load in (Settings.load, ServiceSettings.load):
        with pytest.raises(ConfigError, match=r"FACE_BLUR_QUEUES; .*MARGIN,.*FACE_BLUR_QUEUE,"):
            load()


@pytest.mark.parametrize(
    "values",
    [{"queue": -1}, {"max_bytes": 0}, {"stop_seconds": 25}, {"metrics": "x"}, {"margin": 1}],
)
def test_bad_values_of_the_service_are_one_line(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        ServiceSettings(**values)


def test_every_setting_is_described_and_belongs_to_one_kind() -> None:
    fields = Settings.model_fields | ServiceSettings.model_fields
    assert all(field.description for field in fields.values())
    assert len(fields) == len(Settings.model_fields) + len(ServiceSettings.model_fields)
