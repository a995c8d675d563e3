"""The operations of a review: what each one changes, and how its value before is found."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from app.edits.records import MAX_TEXT, Edit, Region, Target, Text
from app.edits.review import Review
from app.plan.records import DECIDED, PlanTrack
from app.validation import explain

_REGION = TypeAdapter(Region)
_TEXT = TypeAdapter(Text)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one operation works.

    ``before`` returns the value before an edit. ``complete`` returns the value after it, checked
    and with everything that follows from the state. ``change`` applies the edit. All of them raise
    ValueError if the edit is impossible.
    """

    kinds: frozenset[str]
    before: Callable[[Review, Target], Any]
    complete: Callable[[Review, Target, Any], Any]
    change: Callable[[Review, Edit], Review]


def prepared(review: Review, operation: str, target: Target, after: Any) -> tuple[Any, Any]:
    """Return the values before and after an edit that is to be made.

    Raises:
        ValueError: it is impossible; the message says why.
    """
    rule = _rule(operation, target)
    return rule.before(review, target), rule.complete(review, target, after)


def applied(review: Review, edit: Edit) -> Review:
    """Return the state after an edit that was recorded.

    Raises:
        ValueError: it is impossible in this state, or was made in another one.
    """
    before, after = prepared(review, edit.operation, edit.target, edit.after)
    if (before, after) != (edit.before, edit.after):
        raise ValueError("it was made in another state")
    return _rule(edit.operation, edit.target).change(review, edit)


def _rule(operation: str, target: Target) -> Rule:
    rule = RULES.get(operation)
    if rule is None:
        raise ValueError(f"there is no operation {operation!r}")
    if target.kind not in rule.kinds:
        raise ValueError(f"{operation} cannot be about {target}")
    return rule


def _targets(review: Review, target: Target) -> list[PlanTrack]:
    """Return the tracks of a card, or the one track."""
    if isinstance(target.name, str):
        return review.of_card(target.name)
    return [review.track(target.name)]


def _decisions(review: Review, target: Target) -> Any:
    tracks = _targets(review, target)
    if target.kind == "track":
        return tracks[0].decision
    return {
        decision: sorted(track.id for track in tracks if track.decision == decision)
        for decision in ("blur", "keep")
    }


def _decision(review: Review, target: Target, after: Any) -> Any:
    if after not in {"blur", "keep"}:
        raise ValueError("a decision is blur or keep")
    _targets(review, target)
    return after


def _decide(review: Review, edit: Edit) -> Review:
    """Decide about tracks. A kept card leaves its doubts open: each may show somebody else."""
    tracks = _targets(review, edit.target)
    reason = f"{DECIDED}{edit.reviewer}"
    review = review.with_tracks([replace(t, decision=edit.after, reason=reason) for t in tracks])
    open_again = set()
    if edit.target.kind == "card" and edit.after == "keep":
        open_again = {Target("track", track.id) for track in tracks if track.uncertain}
    known = {Target("track", track.id) for track in tracks}
    return replace(review, confirmed=(review.confirmed | known) - open_again)


def _card(review: Review, target: Target) -> str | None:
    return _targets(review, target)[0].card


def _new_card(review: Review, target: Target, after: Any) -> str | None:
    if after is None:
        return None
    name = _text(after)
    _check_apart(review, _targets(review, target), name)
    return name


def _assign(review: Review, edit: Edit) -> Review:
    return _joined(review, _targets(review, edit.target), edit.after)


def _own_name(review: Review, target: Target) -> Any:
    """Return the tracks of a card that is to be renamed or merged."""
    return sorted(track.id for track in _targets(review, target))


def _other_card(review: Review, target: Target, after: Any) -> str:
    name = _text(after)
    if name == target.name:
        raise ValueError(f"{name!r} is its own name")
    _check_apart(review, _targets(review, target), name)
    return name


def _check_apart(review: Review, tracks: Iterable[PlanTrack], card: str) -> None:
    """Check that tracks share no frame with those of a card: they would be two people."""
    moved = list(tracks)
    ids = {track.id for track in moved}
    others = [t for t in review.tracks.values() if t.card == card and t.id not in ids]
    for one in moved:
        for other in others:
            first = max(one.first, other.first)
            if first <= min(one.last, other.last):
                raise ValueError(
                    f"frame {first} shows both: track {one.id} cannot be {card!r}, as track"
                    f" {other.id} is"
                )


def _joined(review: Review, tracks: Iterable[PlanTrack], card: str | None) -> Review:
    """Put tracks on a card. They are hidden if it is, and none is shown by that."""
    there = {t.decision for t in review.tracks.values() if card and t.card == card}
    moved = [replace(track, card=card) for track in tracks]
    if there == {"blur"}:
        moved = [replace(track, decision="blur") for track in moved]
    return review.with_tracks(moved)


def _whole(review: Review, target: Target) -> Any:
    track = _targets(review, target)[0]
    return {"first": track.first, "last": track.last}


def _parts(review: Review, target: Target, after: Any) -> Any:
    track = _targets(review, target)[0]
    frame = after.get("frame") if isinstance(after, Mapping) else None
    if not isinstance(frame, int) or isinstance(frame, bool):
        raise ValueError('a split needs {"frame": N}')  # noqa: TRY004 - as other wrong values
    if not track.first < frame <= track.last:
        raise ValueError(f"frame {frame} is not inside track {track.id}")
    return {"frame": frame, "track": review.unused}


def _split(review: Review, edit: Edit) -> Review:
    track = _targets(review, edit.target)[0]
    frame = int(edit.after["frame"])
    middle = _time_at(track, frame)
    ends = (None, None) if track.times is None or middle is None else track.times
    early = replace(
        track,
        last=frame - 1,
        boxes=track.boxes[: frame - track.first],
        times=None if ends[0] is None or middle is None else (ends[0], middle),
    )
    late = replace(
        track,
        id=review.unused,
        first=frame,
        boxes=track.boxes[frame - track.first :],
        times=None if ends[1] is None or middle is None else (middle, ends[1]),
    )
    changed = replace(review.with_tracks([early, late]), unused=review.unused + 1)
    known = Target("track", track.id) in review.confirmed
    return changed.with_confirmed(Target("track", late.id)) if known else changed


def _time_at(track: PlanTrack, frame: int) -> float | None:
    """Return the time of a frame inside a track, as if its frames were shown equally long."""
    if track.times is None:
        return None
    begin, end = track.times
    share = (frame - track.first) / (track.last + 1 - track.first)
    return round(begin + (end - begin) * share, 3)


def _old_region(review: Review, target: Target) -> Any:
    region = review.regions.get(int(target.name))
    if region is None and target.name != review.unused:
        raise ValueError(f"the number of a new region must be {review.unused}")
    return None if region is None else as_json(region)


def _new_region(review: Review, target: Target, after: Any) -> Any:
    if after is None:
        if int(target.name) not in review.regions:
            raise ValueError(f"there is no {target}")
        return None
    source = review.plan.source
    try:
        region = _REGION.validate_python(after)
    except ValidationError as error:
        raise ValueError(f"region: {explain(error)}") from error
    return as_json(region.fitted((source.width, source.height), source.frames))


def _draw(review: Review, edit: Edit) -> Review:
    number = int(edit.target.name)
    regions = {key: value for key, value in review.regions.items() if key != number}
    if edit.after is not None:
        regions[number] = _REGION.validate_python(edit.after)
    return replace(review, regions=regions, unused=max(review.unused, number + 1))


def as_json(region: Region) -> dict[str, Any]:
    """Return the JSON values of a region."""
    return asdict(region) | {"keys": [list(key) for key in region.keys]}


def _old_note(review: Review, target: Target) -> Any:
    _check_exists(review, target)
    return review.notes.get(target)


def _new_note(_review: Review, _target: Target, after: Any) -> Any:
    return None if after is None else _text(after)


def _note(review: Review, edit: Edit) -> Review:
    notes = {key: text for key, text in review.notes.items() if key != edit.target}
    return replace(review, notes=notes if edit.after is None else notes | {edit.target: edit.after})


def _was_confirmed(review: Review, target: Target) -> Any:
    _check_exists(review, target)
    return target in review.confirmed


def _is_confirmed(_review: Review, _target: Target, after: Any) -> Any:
    if not isinstance(after, bool):
        raise ValueError("a confirmation is true or false")  # noqa: TRY004 - as other wrong values
    return after


def _confirm(review: Review, edit: Edit) -> Review:
    if edit.after:
        return review.with_confirmed(edit.target)
    return replace(review, confirmed=review.confirmed - {edit.target})


def _check_exists(review: Review, target: Target) -> None:
    if target.kind in {"track", "lost", "card"}:
        _targets(review, target)
    elif target.kind == "region" and target.name not in review.regions:
        raise ValueError(f"there is no {target}")
    elif target.kind == "listed" and target.name not in {p.name for p in review.plan.people}:
        raise ValueError(f"nobody is listed as {target.name!r}")
    elif target.kind == "video" and target.name != 0:
        raise ValueError("there is one video")


def _text(value: object) -> str:
    try:
        return _TEXT.validate_python(value)
    except ValidationError as error:
        raise ValueError(f"must be a text of 1 to {MAX_TEXT} characters") from error


RULES: Mapping[str, Rule] = {
    "decide": Rule(frozenset({"track", "card"}), _decisions, _decision, _decide),
    "assign": Rule(frozenset({"track"}), _card, _new_card, _assign),
    "merge": Rule(frozenset({"card"}), _own_name, _other_card, _assign),
    "split": Rule(frozenset({"track"}), _whole, _parts, _split),
    "region": Rule(frozenset({"region"}), _old_region, _new_region, _draw),
    "note": Rule(
        frozenset({"track", "card", "region", "listed", "video"}), _old_note, _new_note, _note
    ),
    "confirm": Rule(
        frozenset({"track", "lost", "listed", "video"}), _was_confirmed, _is_confirmed, _confirm
    ),
}
"""All operations but undo and redo, which are about other edits."""
