"""Each reader reads the seeds of its fuzzer, damaged variants of them, and all earlier findings."""

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from random import Random

import pytest

from app.errors import FaceBlurError
from tests.fuzz.corpus import seeds
from tests.fuzz.findings import FINDINGS
from tests.fuzz.readers import READERS, Reader, attempt

VARIANTS = 60
"""Damaged variants of the seeds of each reader: a hint of what a fuzzer would try."""
SECONDS = 2.0
_TAKE_NOTHING = {"settings", "options", "units", "metadata", "vorbis", "flac", "subtitle"}
"""Readers for which empty data is valid."""
MEGABYTES = 64
"""Python's memory: an input of some kilobytes must not need more."""


def variants(name: str) -> Iterator[bytes]:
    """Yield seeds with a few bytes changed, removed or repeated."""
    random = Random(name)
    known = seeds(name)
    for number in range(VARIANTS):
        data = bytearray(known[number % len(known)] or b"x")
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(data))
            end = at + random.choice((1, 1, 4, 30))
            data[at:end] = random.choice(
                (b"", random.randbytes(1), b"\xff\xff\xff\xff", data[at:end] * 2, b'"{[', b"\0")
            )
            data = data or bytearray(b"x")
        yield bytes(data)


def check(reader: Reader, data: bytes) -> FaceBlurError | None:
    tracemalloc.start()
    began = time.monotonic()
    try:
        error = attempt(reader, data)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < SECONDS
    return error


@pytest.mark.parametrize("name", READERS)
def test_a_reader_accepts_a_seed_and_refuses_nothing(name: str) -> None:
    answers = [check(READERS[name], data) for data in seeds(name)]
    assert None in answers, "no seed is valid, so that a fuzzer would stay at the surface"
    assert check(READERS[name], b"") is not None or name in _TAKE_NOTHING


@pytest.mark.parametrize("name", READERS)
def test_a_reader_refuses_or_reads_damaged_seeds(name: str) -> None:
    for data in variants(name):
        check(READERS[name], data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param(name, data, id=f"{name}: {title}")
        for name, found in FINDINGS.items()
        for title, data in found.items()
    ],
)
def test_a_finding_is_refused(name: str, data: bytes) -> None:
    assert check(READERS[name], data) is not None


def test_an_exception_that_is_not_ours_is_a_finding() -> None:
    def broken(_data: bytes, _folder: object) -> None:
        raise KeyError("mixing")

    def talkative(_data: bytes, _folder: object) -> None:
        raise FaceBlurError("two\nlines")

    with pytest.raises(KeyError):
        attempt(Reader(broken), b"")
    with pytest.raises(AssertionError, match="several lines"):
        attempt(Reader(talkative), b"")


def test_the_program_has_help_and_knows_its_readers() -> None:
    command = [sys.executable, "-m", "tests.fuzz.run"]
    done = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True)
    assert "--seconds" in done.stdout
    wrong = subprocess.run([*command, "nothing"], check=False, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert ", ".join(READERS) in " ".join(wrong.stderr.split())
