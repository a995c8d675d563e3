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
from app.identity.gallery import Gallery
from app.job.file_job import FileJob
from app.job.folders import Folders
from app.job.inputs import Inputs, find_files
from app.job.records import FOLDER, History, Records
from app.logs import LOGGER, describe, public
from app.pipeline import DOUBTFUL_PHOTOS, FaceBlur, photo_labels, share_one_heap
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


def run(folders: Folders, stop: Stop) -> Summary:
    """Work on all files of the input.

    Raises:
        UsageError: the settings, the people or the output are wrong; nothing has been done.
        ModelError: the models cannot be used.
        DiskFull: not even the report can be written.
        KeyboardInterrupt: it was to stop; what is done has been told.
    """
    share_one_heap()
    people = {} if folders.people is None else {"people": Path(folders.people)}
    settings = Settings.load(**people)
    with Records(folders.output, folders.host) as records:
        face_blur = load_session(settings, folders.people)
        inputs = find_files(folders.input)
        history = History.read(folders.done, folders.output)
        job = FileJob(folders, inputs.files, face_blur, history, records)
        _log("ready", files=len(inputs.files), people=len(face_blur.gallery.people))
        summary = Summary(f"{FOLDER}/{folders.host}.jsonl")
        for line in _refused(inputs):
            summary.count(line)
            records.tell(line)
        for number, name in enumerate(inputs.files, 1):
            line = _one(job, name, number, folders.labels | {folders.input / name: "a file"})
            summary.count(line)
            records.tell(line)
            if stop.asked:
                raise KeyboardInterrupt
    _log("finished", bad=summary.failed > 0, **summary.statuses, message=summary.text)
    return summary


def load_session(settings: Settings, people: str | None) -> FaceBlur:
    """Load the models, and the gallery if people have to be told apart.

    Raises:
        PeopleError: a photo cannot be used; the message names nobody.
        StorageError: S3 does not return the photos.
        ModelError: the pack is missing or damaged, or the device is not available.
    """
    face_blur = FaceBlur(settings, gallery=Gallery(()))
    if settings.choice == "everyone" or people is None:
        return face_blur.load()
    _ = face_blur.parts
    with people_folder(people, Path(tempfile.gettempdir())) as folder:
        try:
            face_blur = face_blur.with_people(folder)
        except PeopleError as error:
            message = public(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
    if doubts := face_blur.gallery.doubts:
        _log("photos", doubts=len(doubts), message=DOUBTFUL_PHOTOS)
    return face_blur


def _refused(inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Lines about what is not even tried."""
    for name in inputs.hidden:
        yield _line(name, "skipped", "hidden", "its name or folder begins with a dot")
    for name in inputs.unreadable:
        yield _line(name, "failed", MediaError.code, "the folder cannot be listed")


def _one(job: FileJob, name: str, number: int, labels: Mapping[Path, str]) -> dict[str, Any]:
    """Work on a file; the line about it, whatever happens."""
    began = time.monotonic()
    try:
        done = job.run(name, Sign(number))
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
