"""Progress and messages on stderr: a bar on a terminal, otherwise a line every few seconds."""

import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from app.logs import printable

_BAR_SECONDS = 0.1
"""Time between updates of the bar."""
_LINE_SECONDS = 10.0
"""Time between lines if stderr is not a terminal."""
_BAR_WIDTH = 20
_CLEAR_LINE = "\r\x1b[K"

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work: its size, its singular and plural, and the name of its rate."""

    size: int
    singular: str
    plural: str
    rate: str

    def amount(self, count: int) -> str:
        """Format a count with its unit.

        >>> FRAMES.amount(1), FRAMES.amount(2), BYTES.amount(3 << 20)
        ('1 frame', '2 frames', '3 MiB')
        """
        return f"{self.number(count)} {self.singular if self.number(count) == '1' else self.plural}"

    def number(self, count: float) -> str:
        """Format a count without its unit."""
        return f"{count / self.size:.0f}"


FRAMES = Unit(1, "frame", "frames", "fps")
BYTES = Unit(1 << 20, "MiB", "MiB", "MiB/s")


class ProgressDisplay:
    """Takes the progress of each stage, and shows nothing. Implements ``app.types.Progress``."""

    def __call__(self, stage: str, done: int, expected: int | None) -> None:
        """Report ``done`` of ``expected`` units (None: unknown); cheap enough for every frame."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing."""


class ProgressPrinter(ProgressDisplay):
    """Prints the beginning and the end of each stage, and its progress at regular intervals.

    Args:
        stream: output stream.
        clock: returns the time in seconds.
        unit: unit of the counts.
        terminal: whether ``stream`` is a terminal, on which a bar is drawn.
    """

    def __init__(self, stream: TextIO, clock: Clock, unit: Unit, *, terminal: bool) -> None:
        self._unit = unit
        self._stream = stream
        self._clock = clock
        self._terminal = terminal
        self._stage: str | None = None
        self._done = 0
        self._expected: int | None = None
        self._began = self._shown = 0.0

    def __call__(self, stage: str, done: int, expected: int | None) -> None:
        """Report ``done`` of ``expected`` units (None: unknown); cheap enough for every frame."""
        now = self._clock()
        if stage != self._stage:
            self._end(now)
            self._stage, self._began, self._shown = stage, now, now
            self._done, self._expected = done, expected
            self._write(stage if not self._terminal else self._line(now))
            return
        self._done, self._expected = done, expected
        if now - self._shown >= (_BAR_SECONDS if self._terminal else _LINE_SECONDS):
            self._shown = now
            self._write(self._line(now))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the last stage. After a failure clear the bar, so that only the error is visible."""
        if kind is None:
            self._end(self._clock())
        elif self._terminal and self._stage is not None:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()

    def _end(self, now: float) -> None:
        if self._stage is None:
            return
        seconds = now - self._began
        text = f"{self._stage}: {self._unit.amount(self._done)} in {_duration(seconds)}"
        self._write(f"{text}{self._speed(now)}" if seconds > 0 else text)
        if self._terminal:
            self._stream.write("\n")
            self._stream.flush()
        self._stage = None

    def _rate(self, now: float) -> float:
        return self._done / (now - self._began) if now > self._began else 0.0

    def _speed(self, now: float) -> str:
        return f", {self._rate(now) / self._unit.size:.1f} {self._unit.rate}"

    def _line(self, now: float) -> str:
        rate, expected = self._rate(now), self._expected
        speed = self._speed(now) if rate else ""
        if expected is None or self._done > expected or not expected:
            return f"{self._stage}: {self._unit.amount(self._done)}{speed}"
        left = f", {_left((expected - self._done) / rate)}" if rate else ""
        bar = _bar(self._done / expected) + " " if self._terminal else ""
        done = self._unit.number(self._done)
        return f"{self._stage}: {bar}{done} of {self._unit.amount(expected)}{speed}{left}"

    def _write(self, text: str) -> None:
        text = printable(text)
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(_CLEAR_LINE + text[:width])
        else:
            self._stream.write(f"face-blur: {text}\n")
        self._stream.flush()


def _bar(fraction: float) -> str:
    """Draw a bar for a fraction from 0 to 1.

    >>> _bar(0.5)
    '[##########..........]'
    """
    done = int(fraction * _BAR_WIDTH)
    return f"[{'#' * done}{'.' * (_BAR_WIDTH - done)}]"


def _left(seconds: float) -> str:
    """Format the time that is left; after the last frame the file is still completed.

    >>> _left(0.2), _left(0)
    ('1 s left', 'finishing')
    """
    return f"{_duration(max(1.0, seconds))} left" if seconds else "finishing"


def _duration(seconds: float) -> str:
    """Format a duration.

    >>> _duration(4.2), _duration(75), _duration(3700)
    ('4 s', '1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


class StatusLine:
    """One line on a terminal that is replaced again and again; shows nothing elsewhere."""

    def __init__(self, stream: TextIO | None = None, clock: Clock = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock, self._shown = clock, 0.0
        self._is_terminal = self._stream.isatty()

    def show(self, text: str) -> None:
        """Show a text, unless the last one is quite new."""
        if self._is_terminal and self._clock() - self._shown >= _BAR_SECONDS:
            self._shown = self._clock()
            self._write(printable(text)[: shutil.get_terminal_size().columns - 1])

    def clear(self) -> None:
        """Remove the text."""
        if self._is_terminal:
            self._shown = 0.0
            self._write("")

    def _write(self, text: str) -> None:
        self._stream.write(_CLEAR_LINE + text)
        self._stream.flush()


def make_progress(
    *,
    quiet: bool,
    unit: Unit = FRAMES,
    stream: TextIO | None = None,
    clock: Clock = time.monotonic,
) -> ProgressDisplay:
    """Make the display of progress for ``stream`` (default: stderr)."""
    if quiet:
        return ProgressDisplay()
    stream = stream or sys.stderr
    return ProgressPrinter(stream, clock, unit, terminal=stream.isatty())


def warn(message: str, *, quiet: bool) -> None:
    """Print a warning on stderr, unless ``quiet``."""
    print_message(f"warning: {message}", quiet=quiet)


def print_message(message: str, *, quiet: bool) -> None:
    """Print a message on stderr, unless ``quiet``."""
    if not quiet:
        print(f"face-blur: {printable(message)}", file=sys.stderr)
