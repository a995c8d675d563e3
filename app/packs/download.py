"""Downloads by HTTP that resume after an interruption, and are checked.

The hash decides, so the way may be any: proxies of the environment, mirrors, redirects.
"""

import fcntl
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from app.errors import PackError, Unreachable
from app.packs.archives import cache_folder, file_hash

Progress = Callable[[str, int, int | None], None]
"""Takes the name of what is downloaded, the bytes that are there, and how many there will be."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may send nothing, and what happens when it fails.

    ``tries`` connections may fail in a row without having brought anything; ``pause`` seconds are
    waited before the second, and twice as long before each other one.
    """

    seconds: float = 30.0
    tries: int = 5
    pause: float = 1.0


PATIENCE = Patience()
SHORT = Patience(seconds=4.0, tries=1)
"""Where another pack can be taken instead: a setup without the publisher must not hang."""
_BLOCK = 1 << 18
_GONE = frozenset({400, 401, 403, 404, 405, 410, 451})
"""Statuses that another try does not change."""
_BROKEN = (
    urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError
)  # fmt: skip


class _Refused(Exception):
    """The server answers that it does not give the file."""


def download_url(
    url: str,
    sha256: str,
    progress: Progress,
    cache: Path | None = None,
    patience: Patience = PATIENCE,
) -> Path:
    """The file at an address (http, https), kept in ``cache`` as ``archives/<sha256>``.

    An earlier attempt is resumed. Two processes do not disturb each other: the
    second one waits, and finds the file.

    Raises:
        Unreachable: no server gives it.
        PackError: it is another file than the pinned one.
    """
    if not url.startswith(("https://", "http://")):
        raise PackError(f"{url}: only http and https are known")
    target = (cache or cache_folder()) / "archives" / sha256
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _own(target.with_name(f"{sha256}.lock")):
            if not (target.is_file() and file_hash(target) == sha256):
                part = target.with_name(f"{sha256}.part")
                _Download(url, part, progress, patience).run(sha256)
                part.replace(target)
    except OSError as error:
        raise PackError(f"{url}: cannot be kept in {target.parent}: {error}") from error
    return target


@contextmanager
def _own(lock: Path) -> Iterator[None]:
    """Wait until nobody else has the lock."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class _Download:
    """One file on its way into ``part``."""

    def __init__(self, url: str, part: Path, progress: Progress, patience: Patience) -> None:
        self._url, self._part = url, part
        self._name = url.rsplit("/", maxsplit=1)[-1]
        self._progress, self._patience = progress, patience

    def run(self, sha256: str) -> None:
        """Fetch the missing part; a resumed file that is wrong is fetched once more from the start.

        Raises:
            Unreachable: no server gives it.
        PackError: it is not the pinned file.
            OSError: it cannot be written.
        """
        resumed = self._complete()
        if file_hash(self._part) == sha256:
            return
        self._part.unlink()
        if not resumed:
            raise PackError(f"{self._url}: is not the pinned file (sha256 {sha256})")
        self.run(sha256)

    @property
    def _there(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _complete(self) -> bool:
        """Connect until the file is complete; return whether it came in several parts."""
        failures, before = 0, self._there
        resumed = before > 0
        while (error := self._connection(before)) is not None:
            failures = 0 if self._there > before else failures + 1
            if failures == self._patience.tries:
                reason = getattr(error, "reason", None) or error
                raise Unreachable(f"{self._url}: cannot be downloaded: {reason}") from error
            time.sleep(self._patience.pause * 2.0 ** max(0, failures - 1))
            before = self._there
            resumed = True
        return resumed

    def _connection(self, start: int) -> Exception | None:
        """What broke one connection, if something did."""
        try:
            self._connect(start)
        except _Refused as error:
            raise Unreachable(f"{self._url}: {error}") from error
        except ValueError as error:
            raise PackError(f"{self._url}: {error}") from error
        except _BROKEN as error:
            return error
        return None

    def _connect(self, start: int) -> None:
        """Ask for the file from byte ``start`` on, and write what comes."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - checked before
        try:
            answer = urllib.request.urlopen(request, timeout=self._patience.seconds)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _GONE:
                raise _Refused(f"the server answers {error.code} {error.reason}") from error
            if error.code != 416 or not start:  # 416: there is nothing behind what is there
                raise
            return
        with answer, self._part.open("ab" if answer.status == 206 else "wb") as sink:
            self._take(answer, sink)

    def _take(self, answer: HTTPResponse, sink: IO[bytes]) -> None:
        length = answer.headers.get("Content-Length")
        done = sink.tell()
        total = done + int(length) if length else None
        self._progress(self._name, done, total)
        while block := answer.read(_BLOCK):
            sink.write(block)
            done += len(block)
            self._progress(self._name, done, total)
        if total is not None and done < total:
            raise ConnectionError(f"the connection ended after {done} of {total} bytes")
