"""The files to upload: videos and images, and the photos of people."""

import gzip
import io
import tarfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from app.errors import MediaError, OutputError, UsageError
from app.pipeline.people import find_photos
from app.video.kinds import kind_of
from scripts.aws.transfer import Upload

_KEY_BYTES = 1024
_ARCHIVE_TYPE = "application/gzip"


def find_media(paths: Iterable[Path], prefix: str) -> tuple[list[Upload], list[Path]]:
    """Find the videos and images in ``paths``; return them, and the other files of folders.

    A file becomes ``<prefix><name>``, a file in a folder ``<prefix><path in the folder>``. Folders
    are searched recursively, without hidden files.

    Raises:
        MediaError: a path names a file of an unsupported format.
        UsageError: no media were found, or names collide.
    """
    items: list[Upload] = []
    skipped: list[Path] = []
    for path in paths:
        if not path.is_dir():
            items.append(_media(path, prefix + path.name))
            continue
        for file in _files(path):
            try:
                items.append(_media(file, prefix + file.relative_to(path).as_posix()))
            except MediaError:
                skipped.append(file)
    if not items:
        raise UsageError("no video or image was found; give files, or folders that contain some")
    check_keys(items)
    return items, skipped


def _media(path: Path, key: str) -> Upload:
    return Upload(path, key, kind_of(path).mime)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden:
            yield path


def check_keys(items: Sequence[Upload]) -> None:
    """Check that the names work in S3 and in the folder for downloaded results.

    Raises:
        UsageError: two names are equal, or differ only in case or in the encoding of accents; a
            name is too long, or has characters that manifests and listings do not support.
    """
    same = defaultdict(list)
    for item in items:
        same[unicodedata.normalize("NFC", item.key).casefold()].append(item)
    faults = [
        f"{' and '.join(str(item.path) for item in group)} would have the same name in S3"
        for group in same.values()
        if len(group) > 1
    ]
    faults += [f"{item.path!r}: {fault}" for item in items if (fault := _fault(item.key))]
    if faults:
        raise UsageError(f"{'; '.join(faults)}; rename them")


def _fault(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its name is not text"
    if size > _KEY_BYTES:
        return f"its name is longer than the {_KEY_BYTES} bytes of S3"
    if any(unicodedata.category(character).startswith("C") for character in key):
        return "its name contains control characters"
    return ""


def find_people(folder: Path, prefix: str) -> list[Upload]:
    """Return the photos in a folder of people.

    Raises:
        PeopleError: the folder is not a folder of people.
        UsageError: names collide.
    """
    photos = sorted(path for paths in find_photos(folder).values() for path in paths)
    items = [_media(path, prefix + path.relative_to(folder).as_posix()) for path in photos]
    check_keys(items)
    return items


def write_archive(folder: Path, archive: Path) -> None:
    """Write the photos as a model archive, which SageMaker unpacks to /opt/ml/model/people.

    The same photos give the same bytes, so an unchanged archive is not uploaded again.

    Raises:
        PeopleError: the folder is not a folder of people.
        OutputError: the archive cannot be written.
    """
    photos = sorted(path for paths in find_photos(folder).values() for path in paths)
    names = {path: path.relative_to(folder) for path in photos}
    folders = sorted({parent for name in names.values() for parent in name.parents})
    try:
        # No compression: photos are compressed already, and compressors differ.
        with (
            archive.open("wb") as file,
            gzip.GzipFile("", "wb", 0, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in folders:
                tar.addfile(_entry(name, 0o755, tarfile.DIRTYPE))
            for path, name in names.items():
                content = path.read_bytes()
                tar.addfile(_entry(name, 0o644, tarfile.REGTYPE, len(content)), io.BytesIO(content))
    except OSError as error:
        raise OutputError(f"{archive}: cannot be written ({error})") from error


def _entry(name: Path, mode: int, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo((Path("people") / name).as_posix())
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry


def archive_upload(archive: Path, key: str) -> Upload:
    """Return the upload of the archive."""
    return Upload(archive, key, _ARCHIVE_TYPE)
