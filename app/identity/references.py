"""Reference photos compared with each other: faults that show before a video is analysed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from app.identity.scale import Scale
from app.types import Embeddings


@dataclass(frozen=True, slots=True)
class Reference:
    """One photo of a person: its embedding (D,), its quality in 0..1, and its worst flaw.

    ``photo`` is what messages call it. ``alone`` says that it lies in the folder of people itself,
    not in a folder of its person.
    """

    person: str
    photo: str
    embedding: Embeddings
    quality: float
    flaw: str
    alone: bool = False


def doubts(references: Sequence[Reference], scale: Scale) -> list[str]:
    """Sentences about photos that serve badly, contradict each other, or are of one person twice.

    Photos of too little quality are not compared: they would look unlike anybody.
    """
    people: defaultdict[str, list[Reference]] = defaultdict(list)
    for one in references:
        people[one.person].append(one)
    clear = {
        name: [one for one in photos if one.quality >= scale.least]
        for name, photos in people.items()
    }
    if sentence := _too_deep(clear, scale):
        return [*_weak(references, scale), sentence]
    return [*_weak(references, scale), *_contradictions(clear, scale), *_doubles(clear, scale)]


def _weak(references: Sequence[Reference], scale: Scale) -> Iterator[str]:
    for one in references:
        if one.quality < scale.least:
            yield (
                f"{one.photo}: the face is {one.flaw}, so that {one.person} may not be recognised"
                " by it; use a photo from the front, sharp and in good light"
            )


def _strength(one: Reference, other: Reference, scale: Scale) -> float:
    similarity = float(one.embedding @ other.embedding)
    return float(scale.strength(similarity, min(one.quality, other.quality)))


def _unlike(one: Reference, other: Reference, scale: Scale) -> bool:
    """Whether two photos are less alike than 99 of 100 pairs of photos of one person."""
    return _strength(one, other, scale) < float(scale.doubtful(min(one.quality, other.quality)))


def _contradictions(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> Iterator[str]:
    """Photos of one person that do not match each other; a single odd one is named alone."""
    for name, photos in clear.items():
        unlike = [pair for pair in combinations(photos, 2) if _unlike(*pair, scale)]
        odd = [one for one in photos if sum(one in pair for pair in unlike) > (len(photos) - 1) / 2]
        if len(photos) > 2 and odd:
            named = ", ".join(one.photo for one in odd)
            yield f"{named}: not like the other photos of {name}; is this somebody else?"
        else:
            for one, other in unlike:
                yield (
                    f"{one.photo} and {other.photo}: not alike, but both are given for {name}; is"
                    " one of them somebody else?"
                )


def _doubles(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> Iterator[str]:
    """People who look alike, by the two photos that are most so."""
    for (name, mine), (other_name, theirs) in combinations(clear.items(), 2):
        pairs = [(one, other) for one in mine for other in theirs]
        if not pairs:
            continue
        one, other = max(pairs, key=lambda pair: _strength(pair[0], pair[1], scale))
        if _unlike(one, other, scale):
            continue
        if _strength(one, other, scale) >= 1:
            end = "are they one person? Then put the photos into one folder"
        else:
            end = "they may be taken for each other; give more photos of both"
        yield f"{one.photo} and {other.photo}: {name} and {other_name} look alike; {end}"


def _too_deep(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> str:
    """A sentence if the folder of people is that of a single person; else nothing."""
    photos = [one for several in clear.values() for one in several]
    if len(clear) < 2 or not all(one.alone for one in photos) or len(photos) < len(clear):
        return ""
    if not all(_strength(*pair, scale) >= 1 for pair in combinations(photos, 2)):
        return ""
    named = ", ".join(one.photo for one in photos)
    return (
        f"{named}: all of them look like one person, but photos in the folder of people itself are"
        " one person each; give the folder above, so that this folder is the person"
    )
