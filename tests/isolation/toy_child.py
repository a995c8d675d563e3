"""A child whose requests misbehave in every way that a media library may."""

import ctypes
import os
import re
import signal
import sys
import time
from pathlib import Path

from app.errors import PeopleError, UnsupportedMedia
from app.isolation import Work, run_child
from app.isolation.limits import limit_file_size
from app.isolation.messages import Message


def load(start: Message) -> tuple["Toy", Message]:
    """Load nothing, or fail as the start message says."""
    if start.get("fail") or (start.get("fail_later") and start.get("loaded")):
        raise PeopleError("no photos")
    if start.get("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return Toy(start), {"given": start.get("loaded"), "pid": os.getpid()}


class Toy:
    """Runs the method that a request names."""

    def __init__(self, start: Message) -> None:
        self._start = start

    def __call__(self, request: Message, work: Work) -> Message:
        """Run it, and return its result as the answer."""
        return {"value": getattr(self, request["do"])(work, *request.get("with", ()))}

    def echo(self, work: Work, value: str) -> str:
        work.tell(length=len(value))
        return value

    def loaded(self, work: Work) -> object:
        return self._start.get("loaded")

    def refuse(self, work: Work) -> None:
        raise UnsupportedMedia("not a video")

    def fail(self, work: Work) -> None:
        raise ZeroDivisionError

    def crash(self, work: Work) -> None:
        ctypes.string_at(0)

    def kill(self, work: Work) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def exit(self, work: Work) -> None:
        os._exit(0)

    def hang(self, work: Work) -> None:
        """Hold the interpreter's lock for ever, as a hanging extension module does."""
        re.match(r"(a+)+b", "a" * 64)

    def spin(self, work: Work) -> None:
        """Work for ever, with progress."""
        for number in range(10**9):
            time.sleep(0.01)
            work.progress("spin", number, None)

    def fill(self, work: Work, size: int) -> int:
        """Use memory."""
        return len(bytearray(b"x" * size))

    def map(self, work: Work, size: int) -> None:
        """Use memory without the limit of the kernel, step by step."""
        import mmap

        held = []
        for _ in range(size >> 24):
            block = mmap.mmap(-1, 1 << 24, flags=mmap.MAP_SHARED)
            held.append(block)
            block.write(b"x" * (1 << 24))
            time.sleep(0.01)

    def write(self, work: Work, path: str, limit: int, size: int) -> None:
        limit_file_size(limit)
        with Path(path).open("wb") as file:
            file.write(b"x" * size)

    def limits(self, work: Work) -> dict[str, object]:
        import resource

        return {
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "oom": Path("/proc/self/oom_score_adj").read_text().strip(),
            "path": sys.path[0],
        }


def main(channel: int, lifeline: int) -> None:
    """Run the child."""
    run_child(load, channel, lifeline)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
