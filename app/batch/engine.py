"""The child process of a batch: it holds the models and people, and works on the files.

Run as ``python -m app.batch.engine`` by a supervisor; see ``app.isolation``.
"""

import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from app.config import Settings
from app.devices import device_facts
from app.edits import EditedPlan, Review, with_edits
from app.errors import DiskFull, MediaError, OutputError, PlanError, reason_of
from app.files import is_disk_full, sha256_of, write_file
from app.identity.gallery import Gallery
from app.isolation import Handler, Work, run_child
from app.isolation.messages import Message
from app.logs import configure_logging, silence_logging
from app.pipeline import FaceBlur, first_possible, result_names, share_one_heap
from app.pipeline.engine_people import decode_gallery, encode_gallery, with_people
from app.plan import Plan, edits_path, read_plan, summarise, write_plan
from app.verification import Checked, render_checked
from app.video import Media


class Engine:
    """Handles the requests of a batch with a loaded session."""

    def __init__(self, face_blur: FaceBlur) -> None:
        self._face_blur = face_blur
        self._media: Media | None = None
        """The file of the last request: the next one is often about the same file."""
        self._plan: tuple[str, Plan] | None = None
        """The plan of the last analysis, and the hash of its file."""

    def __call__(self, request: Message, work: Work) -> Message:
        """Look at a file, analyse it or render it: ``request["do"]``.

        Raises:
            FaceBlurError: the work failed, and there is no result.
        """
        handle = {"look": self._look, "analyse": self._analyse, "render": self._render}
        try:
            return handle[request["do"]](self._media_of(Path(request["input"])), request, work)
        except OSError as error:
            kind = DiskFull if is_disk_full(error) else OutputError
            raise kind(f"the result cannot be written: {reason_of(error)}") from error

    def _media_of(self, path: Path) -> Media:
        if self._media is None or self._media.file != path:
            self._media = Media(path)
            self._media.accept_truncated = self._face_blur.settings.accept_truncated
        return self._media

    def _look(self, media: Media, request: Message, _: Work) -> Message:
        result, warnings = choose_result(
            media,
            request["name"],
            Path(request["output"]),
            frozenset(request["taken"]),
            drop=self._face_blur.settings.drop_stream,
        )
        return {"sha256": media.sha256, "result": result, "warnings": warnings}

    def _analyse(self, media: Media, request: Message, work: Work) -> Message:
        """Write the plan of a file."""
        self._check_unchanged(media, request)
        path = Path(request["plan"])
        plan = self._face_blur.analyse(media, work.progress)
        write_plan(plan, path)
        sha256 = sha256_of(path)
        self._plan = sha256, plan
        return {"plan_sha256": sha256}

    def _render(self, media: Media, request: Message, work: Work) -> Message:
        """Write the result of a file, and its plan if that is elsewhere."""
        self._check_unchanged(media, request)
        self._media = None
        source, target = Path(request["plan"]), Path(request["keep_plan"])
        edited = self._take_plan(source, request["plan_sha256"], request["edits_sha256"])
        plan = edited.plan
        if request["edited"]:
            self._check_edited(plan, media)
        if source != target:
            _keep(source, target, has_edits=edited.edits > 0)
        result = Path(request["result"])
        checked = self._write(media, plan, result, work)
        sha256 = request["plan_sha256"]
        if checked is not None and checked.plan is not plan:
            plan = checked.plan
            if not request["edited"]:  # an edited plan is never overwritten
                write_plan(plan, target)
                sha256 = sha256_of(target)
        return {
            "result_sha256": sha256_of(result),
            "bytes": result.stat().st_size,
            "plan_sha256": sha256,
            "summary": summarise(plan).as_json(),
            **plan.counts,
            **edited.facts(),
            **({} if checked is None else {"verification": checked.as_json()}),
        }

    def _write(self, media: Media, plan: Plan, result: Path, work: Work) -> Checked | None:
        """Write the result; with the setting ``verify``, look at it again.

        Raises:
            VerificationError: a hidden face can still be seen in it.
        """
        session = self._face_blur
        if not session.settings.verify:
            session.render(media, plan, result, work.progress, overwrite=True)
            return None
        return render_checked(session, media, plan, result, work.progress, overwrite=True)

    @staticmethod
    def _check_unchanged(media: Media, request: Message) -> None:
        if media.sha256 != request["sha256"]:
            raise MediaError(f"{media}: changed while it was read; run the job again")

    def _take_plan(self, path: Path, sha256: str, edits: str | None) -> EditedPlan:
        """Return the plan at a path with its edits; both must have these hashes."""
        known, self._plan = self._plan, None
        _check_hash(path, sha256)
        if edits is not None:
            _check_hash(edits_path(path), edits)
            edited = with_edits(path)
            _check_hash(edits_path(path), edits)  # not even while it was read
            return edited
        plan = known[1] if known is not None and known[0] == sha256 else read_plan(path)
        return EditedPlan(Review.of(plan))

    def _check_edited(self, plan: Plan, media: Media) -> None:
        """Check that an edited plan was made for this file, these settings and these people.

        Raises:
            PlanError: it was not.
        """
        if plan.source.sha256 != media.sha256:
            raise _refused("was made for another file")
        wanted = self._face_blur.settings
        made = plan.settings | {"blur": plan.settings.get("blur", wanted.choice)}
        names = wanted.differences(made)
        if names:
            raise _refused(f"was made with other settings ({', '.join(names)})")
        people: Any = [(person.name, person.photos) for person in plan.people]
        ours = [(person.name, person.photos) for person in self._face_blur.gallery.people]
        if not wanted.select and people != ours:
            raise _refused("was made with other reference photos")


def _check_hash(path: Path, sha256: str) -> None:
    if sha256_of(path) != sha256:
        raise PlanError(f"{path}: changed while it was read; run the job again")


def _keep(source: Path, target: Path, *, has_edits: bool) -> None:
    """Copy the plan of an earlier output, and its edits, to this one."""
    if has_edits:
        # First the edits: a plan without them would be rendered without them.
        write_file(edits_path(target), edits_path(source).read_bytes())
    write_file(target, source.read_bytes())


def _refused(reason: str) -> PlanError:
    return PlanError(
        f"its plan was edited, but {reason}; use those again, or move the plan and its edits "
        "away to analyse the file anew"
    )


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
        PeopleError: a photo cannot be used; the message contains names only with ``names``.
        StorageError: S3 does not return the photos.
        ModelError: a pack is missing or damaged, or the device is not available.
    """
    names = bool(start["names"])
    (silence_logging if names else configure_logging)()
    settings, people = Settings(**start["settings"]), start["people"]
    face_blur = FaceBlur(settings, gallery=Gallery(())).load()
    if loaded := start.get("loaded"):
        return Engine(face_blur.changed(settings, decode_gallery(loaded["people"]))), loaded
    if settings.choice != "everyone" and people is not None:
        if names:
            face_blur = face_blur.with_people(Path(people))
        else:
            face_blur = with_people(face_blur, people, Path(tempfile.gettempdir()))
    facts = {
        "people": encode_gallery(face_blur.gallery),
        "fingerprint": face_blur.fingerprint,
        "devices": device_facts(settings),
        "doubts": list(face_blur.gallery.doubts) if names else [],
    }
    return Engine(face_blur), facts


def main(channel: int, lifeline: int) -> NoReturn:
    """Run the child process with these descriptors: see ``run_child``."""
    share_one_heap()
    run_child(load, channel, lifeline)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
