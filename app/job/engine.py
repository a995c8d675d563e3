"""The child process of the job: it holds the models and people, and works on the files.

Run as ``python -m app.job.engine`` by a supervisor; see ``app.isolation``.
"""

import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

from app.config import Settings
from app.errors import DiskFull, MediaError, OutputError, reason_of
from app.files import is_disk_full, sha256_of
from app.identity.gallery import Gallery
from app.isolation import Handler, Work, run_child
from app.isolation.messages import Message
from app.logs import configure_logging
from app.pipeline import FaceBlur, first_possible, result_names, share_one_heap
from app.pipeline.engine_people import decode_gallery, encode_gallery, with_people
from app.video import Media


class Engine:
    """Handles the requests of a job with a loaded session."""

    def __init__(self, face_blur: FaceBlur) -> None:
        self._face_blur = face_blur
        self._media: Media | None = None
        """The file of the last request: the next one is often about the same file."""

    def __call__(self, request: Message, work: Work) -> Message:
        """Look at a file (``"do": "look"``) or hide its faces (``"do": "hide"``).

        Raises:
            FaceBlurError: the work failed, and there is no result.
        """
        try:
            return self._handle(request, work)
        except OSError as error:
            kind = DiskFull if is_disk_full(error) else OutputError
            raise kind(f"the result cannot be written: {reason_of(error)}") from error

    def _handle(self, request: Message, work: Work) -> Message:
        media = self._media_of(Path(request["input"]))
        if request["do"] == "look":
            result, warnings = choose_result(
                media,
                request["name"],
                Path(request["output"]),
                frozenset(request["taken"]),
                drop=self._face_blur.settings.drop_stream,
            )
            return {"sha256": media.sha256, "result": result, "warnings": warnings}
        return self._hide(media, request, work)

    def _media_of(self, path: Path) -> Media:
        if self._media is None or self._media.file != path:
            self._media = Media(path)
            self._media.accept_truncated = self._face_blur.settings.accept_truncated
        return self._media

    def _hide(self, media: Media, request: Message, work: Work) -> Message:
        result, plan_path = Path(request["result"]), Path(request["plan"])
        if media.sha256 != request["sha256"]:
            raise MediaError(f"{media}: changed while it was read; run the job again")
        self._media = None
        plan = self._face_blur.blur(media, result, work.progress, plan=plan_path, overwrite=True)
        return {
            "result_sha256": sha256_of(result),
            "bytes": result.stat().st_size,
            "plan_sha256": sha256_of(plan_path),
            **plan.counts,
        }


def choose_result(
    media: Media, name: str, output: Path, taken: Collection[str], *, drop: Sequence[str] = ()
) -> tuple[str, list[str]]:
    """Choose the name of a result, relative to ``output``, and create its folder.

    Args:
        media: the input.
        name: its name, relative to the folder of inputs.
        output: the folder of results.
        taken: names of other inputs that the result may not have.
        drop: streams to leave out.

    Returns:
        The name, and warnings of content that will be converted or dropped.

    Raises:
        MediaError: the file cannot be read.
        OutputError: no format can hold the result, or its name belongs to another input.
    """
    names = result_names(name, media.kind)
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    chosen, warnings = first_possible(media, output, names, overwrite=True, drop=drop)
    if chosen != name and chosen in taken:
        raise OutputError("its result would get the name of another input; rename one of them")
    return chosen, warnings


def load(start: Message) -> tuple[Handler, Message]:
    """Load models and people; return the engine, and the facts about them.

    Raises:
        PeopleError: a photo cannot be used; the message contains no names.
        StorageError: S3 does not return the photos.
        ModelError: a pack is missing or damaged, or the device is not available.
    """
    settings, people = Settings(**start["settings"]), start["people"]
    face_blur = FaceBlur(settings, gallery=Gallery(())).load()
    if loaded := start.get("loaded"):
        return Engine(face_blur.changed(settings, decode_gallery(loaded["people"]))), loaded
    if settings.choice != "everyone" and people is not None:
        face_blur = with_people(face_blur, people, Path(tempfile.gettempdir()))
    facts = {
        "people": encode_gallery(face_blur.gallery),
        "fingerprint": face_blur.fingerprint,
    }
    return Engine(face_blur), facts


def main(channel: int, lifeline: int) -> NoReturn:
    """Run the child process with these descriptors: see ``run_child``."""
    configure_logging()
    share_one_heap()
    run_child(load, channel, lifeline)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
