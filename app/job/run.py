"""One run of the job: everything is checked and loaded, then file after file is worked on."""

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.config import Settings
from app.errors import FaceBlurError, MediaError, PeopleError
from app.job.file_job import Means, Work, fingerprint
from app.job.folders import Places
from app.job.inputs import Found, find_files
from app.job.records import FOLDER, History, Records
from app.logs import LOGGER, describe, public
from app.pipeline import DOUBTFUL_PHOTOS, load_parts, load_people, photo_labels, share_one_heap
from app.pipeline.people import find_photos
from app.signals import Stop
from app.storage import people_folder

_SILENCE = 30.0
"""Seconds after which a long file gives a sign of life."""
_TOLD = (
    *("status", "code", "seconds", "frames", "tracks", "hidden"),
    *("uncertain", "unclear", "not_found", "bytes", "earlier"),
)
"""What the log tells of a line of the report: nothing that names anybody."""


@dataclass(slots=True)
class Summary:
    """How the files of a run ended."""

    report: str
    codes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.statuses["failed"]

    @property
    def text(self) -> str:
        """One line."""
        total = self.statuses["done"] + self.failed
        if not self.failed:
            return f"{total} of {total} files done"
        reasons = ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        return f"{self.failed} of {total} files failed: {reasons}; {self.report} tells which"

    def count(self, line: dict[str, Any]) -> None:
        """Take a line of the report into account."""
        self.statuses[line["status"]] += 1
        if line["status"] == "failed":
            self.codes[line["code"]] += 1


class Sign:
    """The progress of one file in the log, now and then."""

    def __init__(self, number: int) -> None:
        self._number, self._last = number, time.monotonic()

    def __call__(self, stage: str, done: int, expected: int | None) -> None:
        """Take notice of a frame."""
        if time.monotonic() - self._last >= _SILENCE:
            self._last = time.monotonic()
            fields = {"number": self._number, "stage": stage, "done": done, "expected": expected}
            LOGGER.info("working", extra={"fields": fields})


def run(places: Places, stop: Stop) -> Summary:
    """Work on all files of the input.

    Raises:
        UsageError: the settings, the people or the output are wrong; nothing has been done.
        ModelError: the models cannot be used.
        DiskFull: not even the report can be written.
        KeyboardInterrupt: it was to stop; what is done has been told.
    """
    share_one_heap()
    people = {} if places.people is None else {"people": Path(places.people)}
    settings = Settings.load(**people)
    with Records(places.output, places.host) as records:
        means = load_means(settings, places.people)
        found = find_files(places.input)
        history = History.read(places.done, places.output)
        work = Work(places, found.files, means, history, records)
        _log(
            "ready",
            files=len(found.files),
            people=len(means.gallery.people) if means.gallery else 0,
        )
        summary = Summary(f"{FOLDER}/{places.host}.jsonl")
        for line in _refused(found):
            summary.count(line)
            records.tell(line)
        for number, name in enumerate(found.files, 1):
            line = _one(work, name, number, places.labels | {places.input / name: "a file"})
            summary.count(line)
            records.tell(line)
            if stop.asked:
                raise KeyboardInterrupt
    _log("finished", bad=summary.failed > 0, **summary.statuses, message=summary.text)
    return summary


def load_means(settings: Settings, people: str | None) -> Means:
    """Load the models, and the people where somebody has to be told apart.

    Raises:
        PeopleError: a photo cannot be used; the message tells no names.
        StorageError: S3 does not give the photos.
        ModelError: the pack is missing or damaged, or the device is not there.
    """
    parts = load_parts(settings)
    if settings.choice == "everyone" or people is None:
        return Means(settings, parts, None, fingerprint(settings, parts, {}))
    with people_folder(people, Path(tempfile.gettempdir())) as folder:
        try:
            photos = find_photos(folder)
            gallery = load_people(folder, parts)
        except PeopleError as error:
            message = public(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
        if gallery.doubts:
            _log("photos", doubts=len(gallery.doubts), message=DOUBTFUL_PHOTOS)
        return Means(settings, parts, gallery, fingerprint(settings, parts, photos))


def _refused(found: Found) -> Iterator[dict[str, Any]]:
    """Lines about what is not even tried."""
    for name in found.hidden:
        yield _line(name, "skipped", "hidden", "its name or folder begins with a dot")
    for name in found.unreadable:
        yield _line(name, "failed", MediaError.code, "the folder cannot be listed")


def _one(work: Work, name: str, number: int, labels: Mapping[Path, str]) -> dict[str, Any]:
    """Work on a file; the line about it, whatever happens."""
    began = time.monotonic()
    try:
        done = work.do(name, Sign(number))
        done["warnings"] = [public(text, labels) for text in done["warnings"]]
        line = _line(name, "done", "ok", "") | done
    except FaceBlurError as error:
        line = _line(name, "failed", error.code, public(str(error), labels))
    except Exception as error:  # noqa: BLE001 - the other files have to be worked on
        _log("bug", bad=True, number=number, **describe(error))
        message = "a fault of Face blur; the log of the job tells where"
        line = _line(name, "failed", FaceBlurError.code, message)
    if not line.get("earlier"):
        line["seconds"] = round(time.monotonic() - began, 3)
    told = {key: line[key] for key in _TOLD if key in line}
    _log("file", bad=line["status"] == "failed", number=number, **told)
    return line


def _line(name: str, status: str, code: str, message: str) -> dict[str, Any]:
    return {"file": name, "status": status, "code": code, "message": message}


def _log(event: str, *, bad: bool = False, **fields: object) -> None:
    LOGGER.log(logging.ERROR if bad else logging.INFO, event, extra={"fields": fields})
