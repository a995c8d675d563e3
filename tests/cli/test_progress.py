import io
from dataclasses import dataclass, field

import pytest

from app.cli.progress import BYTES, ProgressDisplay, make_progress


@dataclass
class Clock:
    """A clock that tests advance."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    writes: list[str] = field(default_factory=list)

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def _work(progress: ProgressDisplay, clock: Clock, frames: int, seconds: float) -> None:
    for done in range(1, frames + 1):
        clock.now += seconds / frames
        progress("analyse", done, frames)


def test_few_lines_are_written_to_a_file() -> None:
    stream, clock = io.StringIO(), Clock()
    with make_progress(quiet=False, stream=stream, clock=clock) as progress:
        progress("analyse", 0, 320)
        _work(progress, clock, 320, 40)  # steps of 1/8 second, which are exact
        progress("render", 1, 320)
    assert stream.getvalue().splitlines() == [
        "face-blur: analyse",
        "face-blur: analyse: 80 of 320 frames, 8.0 fps, 30 s left",
        "face-blur: analyse: 160 of 320 frames, 8.0 fps, 20 s left",
        "face-blur: analyse: 240 of 320 frames, 8.0 fps, 10 s left",
        "face-blur: analyse: 320 of 320 frames, 8.0 fps, finishing",
        "face-blur: analyse: 320 frames in 40 s, 8.0 fps",
        "face-blur: render",
        "face-blur: render: 1 frame in 0 s",
    ]


def test_bytes_are_shown_in_mebibytes() -> None:
    stream, clock = io.StringIO(), Clock()
    with make_progress(quiet=False, unit=BYTES, stream=stream, clock=clock) as progress:
        progress("a.zip", 0, 8 << 20)
        clock.now += 16
        progress("a.zip", 2 << 20, 8 << 20)
        progress("a.zip", 8 << 20, 8 << 20)
    assert stream.getvalue().splitlines() == [
        "face-blur: a.zip",
        "face-blur: a.zip: 2 of 8 MiB, 0.1 MiB/s, 48 s left",
        "face-blur: a.zip: 8 MiB in 16 s, 0.5 MiB/s",
    ]


def test_the_bar_is_drawn_at_most_ten_times_a_second() -> None:
    terminal, clock = Terminal(), Clock()
    with make_progress(quiet=False, stream=terminal, clock=clock) as progress:
        progress("analyse", 0, 1000)
        _work(progress, clock, 1000, 2.0)
    drawn = [text for text in terminal.writes if "[" in text and " of " in text]
    assert 15 <= len(drawn) <= 21
    assert "fps" in drawn[-1]
    assert "left" in drawn[-1]
    assert terminal.writes[-1] == "\n"


def test_no_line_is_wider_than_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal, clock = Terminal(), Clock()
    with make_progress(quiet=False, stream=terminal, clock=clock) as progress:
        _work(progress, clock, 30, 30)
    assert all(len(text.removeprefix("\r\x1b[K")) < 20 for text in terminal.writes)


@pytest.mark.parametrize("expected", [None, 0, 3])
def test_a_wrong_or_unknown_length_is_accepted(expected: int | None) -> None:
    stream, clock = io.StringIO(), Clock()
    with make_progress(quiet=False, stream=stream, clock=clock) as progress:
        for done in range(10):
            clock.now += 5
            progress("analyse", done, expected)
    assert "9 frames" in stream.getvalue()
    assert "4 of 3" not in stream.getvalue()


def test_the_bar_is_cleared_after_a_failure() -> None:
    terminal = Terminal()

    def fail() -> None:
        with make_progress(quiet=False, stream=terminal, clock=Clock()) as progress:
            progress("analyse", 1, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert terminal.writes[-1] == "\r\x1b[K"


def test_quiet_shows_no_progress() -> None:
    terminal = Terminal()
    with make_progress(quiet=True, stream=terminal) as progress:
        progress("analyse", 1, 10)
    assert terminal.writes == []
