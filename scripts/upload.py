"""Upload videos and photos of people for jobs on AWS.

    python -m scripts.upload VIDEO_OR_FOLDER... [--people FOLDER] [--overwrite] [--dry-run]

Running it again after an interruption skips finished uploads. Photos are checked first, as by
`face-blur people`. They are uploaded one by one, for processing jobs and tickets, and as an
archive, for transform jobs without a network.
"""

import argparse
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.cli.progress import BYTES, make_progress
from app.config import Settings
from app.errors import PeopleError, UsageError
from app.logs import printable
from app.pipeline import check_people, load_parts
from scripts.aws.cloud import Cloud
from scripts.aws.command import main, make_parser
from scripts.aws.objects import S3Uri, list_objects
from scripts.aws.uploads import (
    Progress,
    Upload,
    archive_upload,
    find_media,
    find_people,
    upload,
    write_archive,
)


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Upload videos, images, and photos of people.")
    out.add_argument(
        "media", nargs="*", type=Path, metavar="VIDEO_OR_FOLDER", help="videos, images, folders"
    )
    out.add_argument("--people", type=Path, metavar="FOLDER", help="NAME/*.jpg or NAME.jpg")
    out.add_argument(
        "--others",
        choices=("delete", "keep"),
        help="photos in S3 that are not in FOLDER, of people who may have withdrawn",
    )
    out.add_argument("--no-check", action="store_true", help="do not check that photos show a face")
    out.add_argument("--overwrite", action="store_true", help="replace objects that differ")
    out.add_argument(
        "--archive", type=Path, metavar="FILE", help="also keep the archive of photos here"
    )
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Upload the files of the command line, and print the objects."""
    if not args.media and args.people is None:
        raise UsageError("nothing to upload: give videos, or --people")
    items = _media(cloud, args.media) if args.media else []
    if args.people is not None:
        items += _people(cloud, args.people, check=not args.no_check)
        _settle_others(cloud, args.others, {item.key for item in items})
    _upload(cloud, items, overwrite=args.overwrite)
    if args.people is not None:
        with _archive(args.people, args.archive) as archive:
            item = archive_upload(archive, cloud.variables.people_archive)
            # Its photos have been checked one by one.
            _upload(cloud, [item], overwrite=True)


def _media(cloud: Cloud, paths: Sequence[Path]) -> list[Upload]:
    items, skipped = find_media(paths, cloud.variables.input_prefix)
    for path in skipped:
        cloud.say(f"{path}: not a supported video or image; skipped")
    return items


def _people(cloud: Cloud, folder: Path, *, check: bool) -> list[Upload]:
    items = find_people(folder, cloud.variables.people_prefix)
    if check:
        _, faults = check_people(folder, load_parts(Settings(people=folder, blur="listed")))
        for fault in faults:
            cloud.say(str(fault))
        if faults:
            raise PeopleError(f"{folder}: {len(faults)} of its files cannot be used; see above")
    return items


def _settle_others(cloud: Cloud, choice: str | None, keys: set[str]) -> None:
    """Delete or keep the photos that are in S3 only: jobs use them too.

    Raises:
        UsageError: there are some, and ``choice`` is None.
    """
    if cloud.blind:
        return
    place = S3Uri(cloud.bucket, cloud.variables.people_prefix)
    others = [item.key for item in list_objects(cloud, place) if item.key not in keys]
    if not others:
        return
    what = f"{place} has {len(others)} objects that are not in the folder, such as {others[0]}"
    if choice is None:
        raise UsageError(
            f"{what}; Processing jobs and tickets would use these photos too: give --others delete "
            "or --others keep"
        )
    cloud.say(f"{what}; --others says {choice}")
    for key in others if choice == "delete" else ():
        cloud.change("s3", "delete_object", Bucket=place.bucket, Key=key)


def _upload(cloud: Cloud, items: Sequence[Upload], *, overwrite: bool) -> None:
    sent = set(upload(cloud, items, _bar, overwrite=overwrite))
    if not cloud.dry_run:
        for item in items:
            place = printable(f"s3://{cloud.bucket}/{item.key}")
            print("uploaded" if item in sent else "there", place)


@contextmanager
def _bar(item: Upload, size: int) -> Iterator[Progress]:
    """Show the progress of one upload on a terminal; parts are sent in several threads."""
    lock, done = threading.Lock(), 0

    with make_progress(quiet=not sys.stderr.isatty(), unit=BYTES) as progress:

        def add(count: int) -> None:
            nonlocal done
            with lock:
                done += count
                progress(item.path.name, done, size)

        yield add


@contextmanager
def _archive(folder: Path, target: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        archive = target or Path(temporary) / "people.tar.gz"
        write_archive(folder, archive)
        yield archive


if __name__ == "__main__":
    sys.exit(main(parser(), run))
