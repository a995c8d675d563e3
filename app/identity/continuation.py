"""A listed person's track that ends, or changes hands, beside a face that cannot be told.

Where somebody turns away, a tracker loses the face or goes over to another one behind it, and the
turned face becomes a track of its own in which nobody can be recognised. It may be the person.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from app.geometry import areas, centres
from app.identity.evidence import Evidence
from app.identity.matching import Match

NEAR = 2.0
"""Distance of centres, in units of the larger face's side, up to which a face may be the lost one:
somebody who turns moves by a face or two in the second for which a lost face is waited for."""


def carried_on(
    tracks: Sequence[Evidence], matches: Sequence[Match | None], patience: int
) -> list[Match | None]:
    """The matches, in which unclear tracks that may go on with a person are doubtful matches.

    A track is taken for the person from the last frame that surely shows her (``Match.shown``) to
    ``patience`` frames after its end.
    """
    by_shot: dict[int, list[int]] = defaultdict(list)
    for number, (track, found) in enumerate(zip(tracks, matches, strict=True)):
        if found is not None and found.shown is not None and len(track.boxes):
            by_shot[track.shot].append(number)
    out = list(matches)
    for i, (track, found) in enumerate(zip(tracks, matches, strict=True)):
        if found is None or found.standing != "unclear" or not len(track.boxes):
            continue
        for j in by_shot[track.shot]:
            source = matches[j]
            if source is not None and _goes_on(tracks[j], source, track, patience):
                out[i] = Match(source.person, None, "doubtful", found.flaw)
                break
    return out


def _goes_on(source: Evidence, found: Match, track: Evidence, patience: int) -> bool:
    """Whether ``track`` may show the person of ``source`` after that has lost her."""
    if found.shown is None or source.between(*found.shown).meets(track):
        return False
    frames = np.arange(
        max(found.shown[1], track.first), min(source.last + patience, track.last) + 1
    )
    if not len(frames):
        return False
    here = track.boxes[frames - track.first]
    there = source.boxes[np.clip(frames, source.first, source.last) - source.first]
    apart = np.linalg.norm(centres(here) - centres(there), axis=1)
    return bool((apart <= NEAR * np.sqrt(np.maximum(areas(here), areas(there)))).any())
