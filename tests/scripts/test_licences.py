"""docs/licences.md is true: its tables are current, and its statements about FFmpeg hold."""

from importlib import metadata

import av
import pytest
from av._core import library_meta

from scripts import licences
from scripts.licences import LicenceError, licence_of, read_lock, system_table


def test_the_page_is_current() -> None:
    """If this fails, run ``python -m scripts.licences`` and read what changed."""
    page = licences.PAGE.read_text("utf-8")
    assert licences.filled(page) == page


def test_the_bundled_ffmpeg_is_as_the_page_says() -> None:
    assert {"libx264", "libx265"} <= av.codec.codecs_available
    ffmpeg = library_meta["libavcodec"]
    assert ffmpeg["license"] == "LGPL version 3 or later"
    assert {"--enable-libx264", "--enable-libx265"} <= set(ffmpeg["configuration"].split())
    assert '"LGPL version 3 or later"' in licences.PAGE.read_text("utf-8")


def test_every_entry_that_was_read_belongs_to_a_lock() -> None:
    locked = {
        name
        for variant in ("", "-gpu", "-insightface")
        for name in read_lock(licences.ROOT / f"requirements{variant}.txt")
    }
    assert set(licences.READ) <= locked


def test_a_licence_comes_from_the_metadata() -> None:
    version = metadata.version("flask")
    assert licence_of("flask", version) == ("BSD-3-Clause", "expression")
    assert licence_of("boto3", metadata.version("boto3")) == ("Apache-2.0", "licence field")
    assert licence_of("blinker", metadata.version("blinker")) == ("MIT", "classifier")


def test_another_version_than_the_locked_one_is_an_error() -> None:
    with pytest.raises(LicenceError, match=r"flask: .* is installed, 0\.1 is locked"):
        licence_of("flask", "0.1")


def test_a_package_that_is_missing_is_an_error() -> None:
    with pytest.raises(LicenceError, match="not-a-package 1 is not installed; run make setup"):
        licence_of("not-a-package", "1")


def test_an_ambiguous_licence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "READ", {})
    with pytest.raises(LicenceError, match="read its licence file and add it to READ"):
        licence_of("jinja2", metadata.version("jinja2"))


def test_system_packages_of_other_stages_are_not_in_the_image() -> None:
    dockerfile = """\
ARG BASE_IMAGE=some:base
FROM ${BASE_IMAGE} AS base
RUN apt-get update \\
    && apt-get install -y --no-install-recommends one two \\
    && true
FROM base AS tools
RUN apt-get install -y three
FROM base AS variant-cpu
FROM variant-${VARIANT} AS final
"""
    assert system_table(dockerfile).splitlines()[2:] == [
        "| `some:base` | base of all stages | yes |",
        "| `one` | stage `base` | yes |",
        "| `two` | stage `base` | yes |",
        "| `three` | stage `tools` | no |",
    ]
