"""The options of a request."""

import pytest
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.config import PLAN_SETTINGS, Settings
from app.errors import ConfigError, UsageError
from app.web.options import (
    OPTIONS,
    ResponseKind,
    apply_options,
    check_with_plan,
    parse_attributes,
    response_kind,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (" , ", {}),
        ("effect=solid", {"effect": "solid"}),
        ("effect=solid&shape=rectangle", {"effect": "solid", "shape": "rectangle"}),
        ("effect=solid;shape=rectangle;", {"effect": "solid", "shape": "rectangle"}),
        ("select=1,2,3;4,5,6 margin=0.5,", {"select": "1,2,3;4,5,6", "margin": "0.5"}),
    ],
)
def test_attributes_are_parsed(text: str, expected: dict[str, str]) -> None:
    assert parse_attributes(text) == expected


@pytest.mark.parametrize(
    "text",
    ["solid", "=solid", "effect=solid, effect=blur", "people=/x", "models=x", "EFFECT=solid"],
)
def test_invalid_attributes_are_refused_with_a_list_of_valid_ones(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_attributes(text)
    assert str(caught.value).endswith("valid are: " + ", ".join(OPTIONS))


def test_unprintable_keys_are_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_attributes("<script>alice@example.com</script>=1")
    assert "alice" not in str(caught.value)


def test_every_setting_is_either_an_option_or_not() -> None:
    kept = {"people", "models", "models_root", "detector", "recogniser", "precision", "device"}
    kept |= {"encoder", "threads", "sure", "doubtful", "verify"}
    assert set(OPTIONS) | kept == Settings.model_fields.keys(), (
        "decide whether requests may change the new setting"
    )
    assert not set(OPTIONS) & kept


def test_options_override_the_settings_of_the_service() -> None:
    settings = apply_options(Settings(effect="solid", pad=9), {"effect": "pixelate", "cells": "2"})
    assert (settings.effect, settings.cells, settings.pad) == ("pixelate", 2, 9)
    with pytest.raises(ConfigError, match=r"cells: .*valid are: blur"):
        apply_options(settings, {"cells": "9"})


def test_a_plan_comes_with_options_of_the_rendering_only() -> None:
    check_with_plan(set(PLAN_SETTINGS), "media")
    analysis = {"people", *OPTIONS} - set(PLAN_SETTINGS)
    assert {"blur", "select", "rotate", "pad"} < analysis
    for name in analysis:
        with pytest.raises(UsageError, match=rf"^{name}: not possible together with a plan"):
            check_with_plan({"effect", name}, "zip")
    kinds: tuple[ResponseKind, ...] = ("plan", "faces")
    for kind in kinds:
        with pytest.raises(UsageError, match="brings a plan already"):
            check_with_plan((), kind)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "media"),
        ("*/*", "media"),
        ("video/mp4", "media"),
        ("application/json", "plan"),
        ("video/mp4, application/json;q=0.5", "media"),
        ("application/json, */*;q=0.1", "plan"),
        ("application/json; embeddings=1", "faces"),
        ("application/json;embeddings=0", "plan"),
        ("APPLICATION/JSON", "plan"),
        ("multipart/mixed", "multipart"),
        ("Multipart/Mixed; boundary=mine", "multipart"),
        ("application/zip, video/mp4;q=0.9", "zip"),
        ("multipart/form-data", "media"),
    ],
)
def test_the_accept_header_chooses_the_response(accept: str, expected: str) -> None:
    assert response_kind(parse_accept_header(accept, MIMEAccept)) == expected
