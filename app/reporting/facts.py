"""The facts of a report: hashes, models, settings, and everything that needs a look."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.config import RENDER_SETTINGS, Settings
from app.edits import Doubt, Editor
from app.pipeline import find_photos, load_parts, load_people
from app.plan import NO_FACE_FOUND, Plan
from app.reporting.second_look import SecondLook
from app.version import VERSION
from app.video import Media

SORTS: Mapping[str, str] = {
    "unsure": "the decision is unsure",
    "cannot tell": "nobody can be recognised",
    "lost": "the face was lost before the end of its shot",
    "not found": "a listed person was not found",
    "hides nobody": "nobody is hidden",
}
"""The sorts of doubts in words."""
Row = tuple[str, str]


def hashes(editor: Editor, media: Media, result: Media | None) -> Iterator[Row]:
    """Yield the names of all files that the result depends on, with their SHA-256."""
    models, edits = editor.review.plan.models, editor.journal.edits
    yield f"Source: {media.name}", media.sha256
    if result is not None:
        yield f"Result: {result.name}", result.sha256
    yield "Plan", edits[0].previous if edits else editor.journal.head
    yield f"Edits: {len(edits)}", editor.journal.head if edits else "none"
    yield f"Detector: {models.detector.file}", models.detector.sha256
    if models.recogniser is not None:
        yield f"Recogniser: {models.recogniser.file}", models.recogniser.sha256


def circumstances(plan: Plan, second_look: SecondLook | None) -> Iterator[Row]:
    """Yield what else a report names: source, models, verification, program and time."""
    source = plan.source
    yield "Frames", str(source.frames)
    yield "Size", f"{source.width} x {source.height} pixels"
    yield "Models", plan.models.pack
    yield "Verification", "none" if second_look is None else second_look.words
    yield "Program", f"Face blur {VERSION}"
    now = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    yield "Time of this report", now.replace("+00:00", " UTC")


def settings_of(plan: Plan, settings: Settings) -> Iterator[Row]:
    """Yield the settings of the analysis, and those of the rendering as they are now."""
    now = settings.effective()
    values: dict[str, Any] = plan.settings | {name: now[name] for name in RENDER_SETTINGS}
    for name in sorted(values):
        yield name, _shown(values[name])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], ()):
        return "none"
    return str(value)


def warnings_of(
    plan: Plan,
    doubts: Sequence[Doubt],
    second_look: SecondLook | None,
    people: Path | None,
    settings: Settings,
) -> Iterator[str]:
    """Yield sentences about everything that may be wrong, also about what was confirmed.

    Raises:
        PeopleError: a photo in ``people`` cannot be used.
        ModelError: the models, which ``people`` needs, cannot be used.
    """
    if second_look is not None:
        yield from second_look.warnings()
    if not plan.tracks:
        yield NO_FACE_FOUND
    counts: Counter[str] = Counter(doubt.sort for doubt in doubts)
    settled: Counter[str] = Counter(doubt.sort for doubt in doubts if doubt.settled)
    for sort, words in SORTS.items():
        if counts[sort]:
            yield f"{words}: {counts[sort]}, of which {settled[sort]} confirmed"
    for doubt in doubts:
        if doubt.sort == "not found":
            yield f"{doubt.target.name} was not found in this video"
    if people is not None:
        yield from _about_photos(plan, people, settings)


def _about_photos(plan: Plan, people: Path, settings: Settings) -> Iterator[str]:
    now = {name: len(paths) for name, paths in find_photos(people).items()}
    then = {person.name: person.photos for person in plan.people}
    for name in sorted(now.keys() | then.keys()):
        if now.get(name, 0) != then.get(name, 0):
            yield (
                f"{name}: {now.get(name, 0)} photos now, {then.get(name, 0)} at the analysis;"
                " analyse the video again"
            )
    # Without people the settings may say that nobody is recognised.
    recognising = settings.model_copy(update={"people": people, "blur": "listed"})
    yield from load_people(people, load_parts(recognising)).doubts
