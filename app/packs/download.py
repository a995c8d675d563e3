"""Downloads by HTTP. Interrupted downloads resume, and the result is checked against a hash.

Because the hash decides, proxies of the environment, mirrors and redirects are all acceptable.
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
from typing import IO, Final, TypeAlias

from app.errors import PackError, Unreachable
from app.files import file_hash
from app.packs.archives import cache_folder

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the name of the file, the bytes received and the bytes expected, if known."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How long to wait for a server, and how often to try again.

    ``timeout`` is the longest silence of the server in seconds. ``attempts`` is how many
    connections in a row may fail without any progress. The pause before the second attempt is
    ``pause`` seconds, and doubles before each further one.
    """

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0


DEFAULT_RETRIES: Final = Retries()
SINGLE_ATTEMPT: Final = Retries(timeout=4.0, attempts=1)
"""For packs with a substitute: an installation must not hang if the publisher is unreachable."""
_BLOCK: Final = 1 << 18
_FINAL_STATUSES: Final = frozenset({400, 401, 403, 404, 405, 410, 451})
"""HTTP statuses that do not change if the request is repeated."""
_RANGE_NOT_SATISFIABLE: Final = 416
_CONNECTION_ERRORS: Final = (
    urllib.error.URLError,
    HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


class _Refused(Exception):
    """The server refuses to send the file."""


def download_url(
    url: str,
    sha256: str,
    progress: Progress,
    cache: Path | None = None,
    retries: Retries = DEFAULT_RETRIES,
) -> Path:
    """Download a file by HTTP or HTTPS and keep it as ``archives/<sha256>`` in ``cache``.

    An interrupted download resumes. If two processes download the same file, the second one waits
    for the first.

    Raises:
        Unreachable: the server does not answer, or refuses the file.
        PackError: the file does not have the pinned hash, or cannot be stored.
    """
    if not url.startswith(("https://", "http://")):
        raise PackError(f"{url}: only http and https are supported")
    target = (cache or cache_folder()) / "archives" / sha256
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f"{sha256}.lock")):
            if not (target.is_file() and file_hash(target) == sha256):
                part = target.with_name(f"{sha256}.part")
                _Download(url, part, progress, retries).run(sha256)
                part.replace(target)
    except OSError as error:
        raise PackError(f"{url}: cannot be stored in {target.parent}: {error}") from error
    return target


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold a lock file, waiting until other processes release it."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class _Download:
    """The download of one file into ``part``."""

    def __init__(self, url: str, part: Path, progress: Progress, retries: Retries) -> None:
        self._url, self._part = url, part
        self._name = url.rsplit("/", maxsplit=1)[-1]
        self._progress, self._retries = progress, retries

    def run(self, sha256: str) -> None:
        """Download the missing bytes. If a resumed file has the wrong hash, start again once.

        Raises:
            Unreachable: the server does not answer, or refuses the file.
            PackError: the file does not have the pinned hash.
            OSError: the file cannot be written.
        """
        resumed = self._complete()
        if file_hash(self._part) == sha256:
            return
        self._part.unlink()
        if not resumed:
            raise PackError(f"{self._url}: is not the pinned file (sha256 {sha256})")
        self.run(sha256)

    @property
    def _received(self) -> int:
        """Bytes received so far."""
        return self._part.stat().st_size if self._part.exists() else 0

    def _complete(self) -> bool:
        """Connect until the file is complete; return whether it came in several parts."""
        failures, before = 0, self._received
        resumed = before > 0
        while (error := self._try_connection(before)) is not None:
            failures = 0 if self._received > before else failures + 1
            if failures == self._retries.attempts:
                reason = getattr(error, "reason", None) or error
                raise Unreachable(f"{self._url}: cannot be downloaded: {reason}") from error
            time.sleep(self._retries.pause * 2.0 ** max(0, failures - 1))
            before = self._received
            resumed = True
        return resumed

    def _try_connection(self, start: int) -> Exception | None:
        """Download from byte ``start`` on; return the error that broke the connection, if any."""
        try:
            self._connect(start)
        except _Refused as error:
            raise Unreachable(f"{self._url}: {error}") from error
        except ValueError as error:
            raise PackError(f"{self._url}: {error}") from error
        except _CONNECTION_ERRORS as error:
            return error
        return None

    def _connect(self, start: int) -> None:
        """Request the file from byte ``start`` on, and write the answer."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310 - checked before
        try:
            answer = urllib.request.urlopen(request, timeout=self._retries.timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _FINAL_STATUSES:
                raise _Refused(f"the server answers {error.code} {error.reason}") from error
            if error.code != _RANGE_NOT_SATISFIABLE or not start:
                raise
            return  # the file was complete already
        with answer, self._part.open("ab" if answer.status == 206 else "wb") as sink:
            self._write(answer, sink)

    def _write(self, answer: HTTPResponse, sink: IO[bytes]) -> None:
        length = answer.headers.get("Content-Length")
        received = sink.tell()
        total = received + int(length) if length else None
        self._progress(self._name, received, total)
        while block := answer.read(_BLOCK):
            sink.write(block)
            received += len(block)
            self._progress(self._name, received, total)
        if total is not None and received < total:
            raise ConnectionError(f"the connection ended after {received} of {total} bytes")
