"""The sections of a report, as markup."""

from collections.abc import Iterable, Mapping, Sequence

from app.edits import Doubt, Review
from app.plan import Plan, PlanTrack, clock, times_of
from app.reporting.choice import Look
from app.reporting.facts import SORTS, Row
from app.reporting.journal import Entry, named
from app.reporting.markup import Markup, facts, joined, picture, section, table, tag, text
from app.reporting.people import KINDS, Person, decision_of, hidden_and_visible, note_of
from app.reporting.pictures import Pair, Pictures, kind_of

LEGEND: Mapping[str, str] = {
    "hidden": "hidden",
    "visible": "visible",
    "unsure": "unsure",
    "cannot tell": "cannot-tell",
    "drawn": "drawn",
}
"""The class of each kind of outline."""
_MOST_ROWS = 5_000
"""Appearances of a report: a megabyte. The plan has them all."""
_HASHES = "SHA-256 of all files; that of the edits is of their last line"
_MOST_DOUBTS = 200
"""Open doubts at the top: more are not read there."""


def when(track: PlanTrack, plan: Plan) -> str:
    """Return the time from the first frame of a track to its end."""
    if plan.source.frames == 1:
        return "the image"
    begin, end = times_of(track, plan)
    return f"{clock(begin)} to {clock(end)}"


def summary(
    plan: Plan, people: Sequence[Person], note: str | None, reviewers: Sequence[str]
) -> Markup:
    """Return the numbers of the report, and the people who have edited the plan."""
    hidden, partly, visible = hidden_and_visible(people)
    tracks = sum(track.decision == "blur" for track in plan.tracks)
    frames = int(plan.hidden_frames.sum())
    rows: list[Row] = [
        ("People hidden", str(hidden)),
        ("People partly hidden", str(partly)),
        ("People visible", str(visible)),
        ("Tracks hidden", f"{tracks} of {len(plan.tracks)}"),
        ("Frames hiding a face", f"{frames} of {plan.source.frames}"),
        ("Duration", clock(plan.source.duration)),
    ]
    if not partly:
        del rows[1]
    numbers = facts((name, text(value)) for name, value in rows)
    by = ", ".join(reviewers) or "nobody: the plan is as it was analysed"
    return section("summary", "Summary", numbers, tag("p", text(f"Reviewed by {by}.")), _note(note))


def _note(note: str | None) -> Markup:
    if note is None:
        return Markup("")
    return tag("p", tag("strong", text("Note: ")), text(note), class_="note")


def open_doubts(doubts: Sequence[Doubt], plan: Plan) -> Markup:
    """Return the doubts that are not settled, or nothing."""
    if not doubts:
        return Markup("")
    tracks = {track.id: track for track in plan.tracks}
    rows = [_doubt(doubt, tracks, plan) for doubt in doubts[:_MOST_DOUBTS]]
    heads = ("About", "Doubt", "Time", "Reason")
    more = _left_out(len(doubts) - len(rows), "doubts", "the review")
    caption = "Each of them must be confirmed or decided before the result may be published."
    return section("doubts", "Open doubts", table(caption, heads, rows), more)


def _doubt(doubt: Doubt, tracks: Mapping[int, PlanTrack], plan: Plan) -> list[Markup]:
    track = tracks.get(doubt.target.name) if isinstance(doubt.target.name, int) else None
    is_one = track is not None and doubt.target.kind in {"track", "lost"}
    time = when(track, plan) if is_one and track is not None else "the whole file"
    who = f" ({track.card})" if is_one and track is not None and track.card else ""
    cells = (f"{named(doubt.target)}{who}", SORTS[doubt.sort], time, doubt.reason)
    return [text(cell) for cell in cells]


def _left_out(count: int, things: str, place: str) -> Markup:
    """Return a sentence about rows that the page does not show."""
    if count <= 0:
        return Markup("")
    return tag("p", text(f"{count} more {things} are not shown here; {place} has them all."))


def people(
    persons: Sequence[Person],
    looks: Sequence[Sequence[Look]],
    pictures: Pictures,
    review: Review,
    plan: Plan,
) -> Markup:
    """Return everybody with decision, faces and appearances."""
    left, parts = _MOST_ROWS, []
    for person, views in zip(persons, looks, strict=True):
        shown = person.tracks[:left]
        left -= len(shown)
        parts.append(_person(person, shown, _faces(person, views, pictures, plan), review, plan))
    none = tag("p", text("The plan has no face.")) if not persons else Markup("")
    return section("people", "People and regions", none, *parts)


def _person(
    person: Person, shown: Sequence[PlanTrack], faces: Markup, review: Review, plan: Plan
) -> Markup:
    title = tag(
        "div",
        tag("h3", text(person.name)),
        tag("span", text(person.decision), class_="mark"),
        tag("span", text(KINDS[person.sort]), class_="soft"),
        class_="title",
    )
    rows = [_appearance(track, review, plan) for track in shown]
    heads = ("Track", "Time", "Frames", "Decision", "Reason")
    listed = table(f"Appearances of {person.name}", heads, rows) if rows else Markup("")
    more = _left_out(len(person.tracks) - len(shown), "appearances", "the plan")
    return tag("article", title, _note(person.note), faces, listed, more, class_="person")


def _appearance(track: PlanTrack, review: Review, plan: Plan) -> list[Markup]:
    doubt = ", unsure" if track.uncertain else ""
    note = note_of(review, track)
    reason = track.reason if track.unclear is None else f"{track.reason} ({track.unclear})"
    return [
        text(track.id),
        text(when(track, plan)),
        text(f"{track.first} to {track.last}"),
        text(decision_of([track]) + doubt),
        joined([text(reason), _note(note)]),
    ]


def _faces(person: Person, views: Sequence[Look], pictures: Pictures, plan: Plan) -> Markup:
    """Return pictures of a person, hidden as in the result."""
    items = [_face(person, look, pictures, plan) for look in views]
    return tag("ul", *items, class_="faces") if items else Markup("")


def _face(person: Person, look: Look, pictures: Pictures, plan: Plan) -> Markup:
    drawn = pictures.faces[look.track.id, look.frame]
    time = "" if plan.source.frames == 1 else f" at {_moment(look.frame, look.track, plan)}"
    state = decision_of([look.track])
    alternative = f"{person.name}, {state}{time}, frame {look.frame}"
    label = f"{state}{time}"
    return tag("li", picture(drawn.jpeg, drawn.size, alternative), text(label))


def _moment(frame: int, track: PlanTrack, plan: Plan) -> str:
    """Return the time of a frame of a track, as if its frames were shown equally long."""
    begin, end = times_of(track, plan)
    share = (frame - track.first) / (track.last + 1 - track.first)
    return clock(begin + (end - begin) * share)


def frames(pairs: Sequence[Pair], plan: Plan, *, has_result: bool) -> Markup:
    """Return the frames before and after, side by side."""
    legend = tag(
        "ul", *(tag("li", tag("span", class_=name), text(kind)) for kind, name in LEGEND.items()),
        class_="legend", aria_label="Colours of the outlines",
    )  # fmt: skip
    after = "in the result" if has_result else "as they are rendered"
    words = (
        f"Left: with outlines, hidden faces under a black box. Right: the same frames {after}. "
        "The numbers are those of the tracks."
    )
    parts = (_pair(pair, plan, has_result=has_result) for pair in pairs)
    return section("frames", "Frames before and after", tag("p", text(words)), legend, *parts)


def _pair(pair: Pair, plan: Plan, *, has_result: bool) -> Markup:
    seconds = pair.frame * plan.source.duration / plan.source.frames
    time = "" if plan.source.frames == 1 else f", about {clock(seconds)}"
    names = "; ".join(_labelled(track) for track in pair.tracks) or "no track"
    is_own = has_result and not pair.readable
    warning = Markup("")
    if pair.readable:
        shown = ", ".join(str(track.id) for track in pair.readable)
        words = f"The result shows track {shown} readable. The right picture is drawn anew."
        warning = tag("p", text(words), class_="state open")
    return tag(
        "div",
        tag("h3", text(f"Frame {pair.frame}{time}")),
        _figure(pair, "before", "Before, hidden faces covered"),
        _figure(pair, "after", "After, from the result" if is_own else "After, as rendered"),
        tag("p", text(names), class_="soft"),
        warning,
        class_="pair",
    )


def _figure(pair: Pair, side: str, caption: str) -> Markup:
    drawn = pair.before if side == "before" else pair.after
    counts = (sum(track.decision == "blur" for track in pair.tracks), len(pair.tracks))
    alternative = f"Frame {pair.frame} {side}: {counts[0]} of {counts[1]} tracks hidden"
    image = picture(drawn.jpeg, drawn.size, alternative)
    return tag("figure", image, tag("figcaption", text(caption)))


def _labelled(track: PlanTrack) -> str:
    name = track.card or track.person or ("drawn region" if track.drawn else "cannot be told")
    doubt = ", unsure" if kind_of(track) == "unsure" else ""
    return f"{track.id}: {name}, {decision_of([track])}{doubt}"


def warnings(sentences: Iterable[str]) -> Markup:
    """Return the warnings as a list."""
    items = [tag("li", text(one)) for one in sentences]
    content = tag("ul", *items) if items else tag("p", text("There is no warning."))
    return section("warnings", "Warnings", content)


def journal(entries: Sequence[Entry], total: int) -> Markup:
    """Return who decided what, when, with the values before and after."""
    if not entries:
        nothing = tag("p", text("Nothing was edited: the plan is as it was analysed."))
        return section("journal", "Journal of edits", nothing)
    heads = ("Edit", "Time (UTC)", "Reviewer", "What", "Before", "After", "State")
    rows = [_entry(entry) for entry in entries]
    more = _left_out(total - len(entries), "earlier edits", "the journal")
    return section("journal", "Journal of edits", table("Edits in their order", heads, rows), more)


def _entry(entry: Entry) -> list[Markup]:
    values = (entry.time, entry.reviewer, entry.what, entry.before, entry.after)
    if not entry.state:
        return [text(entry.number), *map(text, values), text("" if entry.is_undo else "in effect")]
    struck = [tag("s", text(value)) for value in values]
    return [text(entry.number), *struck, tag("strong", text(entry.state))]


def technical(
    hashes: Iterable[Row], circumstances: Iterable[Row], settings: Iterable[Row]
) -> Markup:
    """Return hashes, circumstances and settings."""
    sums = [[text(name), tag("code", text(value))] for name, value in hashes]
    return section(
        "technical",
        "Technical facts",
        table(_HASHES, ("File", "SHA-256"), sums),
        facts(((name, text(value)) for name, value in circumstances), "small"),
        tag("h3", text("Settings of the analysis and the rendering")),
        facts(((name, text(value)) for name, value in settings), "small"),
    )
