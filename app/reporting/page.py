"""The report: one HTML page about a review, which needs nothing else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.edits import VIDEO, Editor, doubts_of
from app.errors import PlanError
from app.files import replacing
from app.pipeline import LastResult
from app.pipeline.last_result import changed_frames
from app.plan import Plan
from app.reporting import sections
from app.reporting.choice import Look, choose_faces, choose_frames
from app.reporting.facts import circumstances, hashes, settings_of, warnings_of
from app.reporting.journal import entries_of
from app.reporting.markup import Markup, document, joined, tag, text
from app.reporting.people import Person, people_of
from app.reporting.pictures import Pair, Pictures, draw_pictures
from app.reporting.second_look import SecondLook
from app.reporting.style import style
from app.types import Progress
from app.video import Media
from app.video.picking import entry_points

_PARTS = ("summary", "doubts", "people", "frames", "warnings", "journal", "technical")
_TITLES = ("Summary", "Open doubts", "People", "Frames", "Warnings", "Journal", "Technical facts")


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes:
        html: the page.
        open_doubts: the number of doubts that are not settled.
        faults: sentences about a result that may not be published.
    """

    html: str
    open_doubts: int
    faults: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether every doubt is confirmed, and the result fits."""
        return not self.open_doubts and not self.faults

    @property
    def sentence(self) -> str:
        """The state in one line."""
        return _sentence(self.open_doubts, self.faults)


def _sentence(open_doubts: int, faults: Sequence[str]) -> str:
    if not open_doubts and not faults:
        return "Done: every doubt is confirmed"
    doubts = f"{open_doubts} open doubt{'' if open_doubts == 1 else 's'}"
    return "; ".join([f"Review required: {doubts}" if open_doubts else "Review required", *faults])


def _ignore_progress(stage: str, done: int, expected: int | None) -> None:
    """Do nothing: no progress was requested."""


def make_report(
    editor: Editor,
    media: Media,
    settings: Settings,
    *,
    result: Path | None = None,
    last: LastResult | None = None,
    second_look: SecondLook | None = None,
    people: Path | None = None,
    progress: Progress = _ignore_progress,
) -> Report:
    """Make the report of a review.

    Args:
        editor: the plan with its edits.
        media: the video or image that the plan was made for.
        settings: those of the rendering; ``people`` needs those of the models too.
        result: the rendered file: its hash is named, and its frames are shown.
        last: the record of the last rendering. It is a fault if the result is another file, or if
            other faces have to be hidden since.
        second_look: what a verification of the result has found.
        people: folder of reference photos, whose doubts become warnings.
        progress: called for each frame that is drawn.

    Raises:
        PlanError: the plan was made for another file.
        MediaError: a file cannot be read, or the result is not one of this video.
        PeopleError, ModelError: as ``FaceBlur.gallery``.
    """
    plan = editor.review.to_plan()
    if media.sha256 != plan.source.sha256:
        raise PlanError(f"{media}: the plan was made for another file; analyse it again")
    written = None if result is None else Media(result)
    persons = people_of(editor.review, plan)
    looks, pictures = _drawn(media, plan, settings, persons, result=written, progress=progress)
    doubts = doubts_of(editor.review)
    still_open = [doubt for doubt in doubts if not doubt.settled]
    faults = (
        *_outdated(plan, written, last),
        *_readable(pictures.pairs),
        *_seen(second_look, plan),
    )
    warnings = [*faults, *warnings_of(plan, doubts, second_look, people, settings)]
    content = [
        sections.summary(plan, persons, editor.review.notes.get(VIDEO), _reviewers(editor)),
        sections.open_doubts(still_open, plan),
        sections.people(persons, looks, pictures, editor.review, plan),
        sections.frames(pictures.pairs, plan, has_result=written is not None),
        sections.warnings(warnings),
        sections.journal(entries_of(editor), len(editor.journal.edits)),
        sections.technical(
            hashes(editor, media, written),
            circumstances(plan, second_look),
            settings_of(plan, settings),
        ),
    ]
    html = _page(plan, len(still_open), faults, joined(content))
    return Report(html, len(still_open), faults)


def _drawn(
    media: Media,
    plan: Plan,
    settings: Settings,
    persons: Sequence[Person],
    *,
    result: Media | None,
    progress: Progress,
) -> tuple[list[list[Look]], Pictures]:
    """Return the views of each person, and all pictures."""
    entries = entry_points(media)
    looks = choose_faces([person.tracks for person in persons], entries)
    pictures = draw_pictures(
        media,
        plan,
        settings,
        looks=[look for one in looks for look in one],
        frames=choose_frames(plan, entries),
        result=result,
        progress=progress,
    )
    media.check_unchanged()
    return looks, pictures


def report_page(
    editor: Editor,
    media: Media,
    settings: Settings,
    *,
    result: Path | None = None,
    people: Path | None = None,
) -> str:
    """Return the page of ``make_report``.

    Raises:
        FaceBlurError: as ``make_report``.
    """
    return make_report(editor, media, settings, result=result, people=people).html


def write_report(report: Report, path: Path, *, overwrite: bool = False) -> None:
    """Write the page, completely or not at all.

    Raises:
        OutputError: it cannot be written, or the name is taken (without ``overwrite``).
        DiskFull: there is no space for it.
    """
    with replacing(path, overwrite=overwrite) as file:
        file.write(report.html.encode("utf-8"))


def _reviewers(editor: Editor) -> list[str]:
    """Return the people who have made edits, in the order of their first one."""
    return list(dict.fromkeys(edit.reviewer for edit in editor.journal.edits))


def _outdated(plan: Plan, result: Media | None, last: LastResult | None) -> Iterator[str]:
    """Yield why a result is not that of the plan as it is now."""
    if result is None or last is None:
        return
    if result.sha256 != last.sha256:
        yield "the result is not the file that was rendered last"
    elif last.plan.source != plan.source:
        yield "the result was rendered from another file"
    elif count := int(changed_frames(last.plan, plan).sum()):
        yield f"{count} frames must be hidden in another way since the result was rendered"


def _seen(second_look: SecondLook | None, plan: Plan) -> Iterator[str]:
    return iter(()) if second_look is None else second_look.faults(plan.source.frames)


def _readable(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield in which frames a result shows a hidden face."""
    if frames := [str(pair.frame) for pair in pairs if pair.readable]:
        where = f"frame{'' if len(frames) == 1 else 's'} {', '.join(frames)}"
        yield f"the result shows a face readable that the plan hides, in {where}"


def _page(plan: Plan, open_doubts: int, faults: Sequence[str], content: Markup) -> str:
    title = f"Hidden faces: {plan.source.name}"
    is_done = not open_doubts and not faults
    name, _, rest = _sentence(open_doubts, faults).partition(": ")
    state = tag(
        "p",
        tag("strong", text(name)),
        text(rest[:1].upper() + rest[1:]),
        class_="state done" if is_done else "state open",
    )
    links = (
        tag("li", tag("a", text(label), href=f"#{part}"))
        for part, label in zip(_PARTS, _TITLES, strict=True)
        if part != "doubts" or open_doubts
    )
    header = tag(
        "header",
        tag("h1", text("Report on hidden faces")),
        tag("p", text(plan.source.name), class_="file"),
        state,
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )
    names = dict(sections.LEGEND)
    return document(title, style(names), joined([header, tag("main", content)]))
