"""Measure the cast: how well the tracks of a video are grouped into people.

    python -m bench.cast [--photos DIR] [--most N] [--packs NAME...]

Every portrait becomes a short video in a given condition, as in ``bench/identity.py``. The tracks
of all portraits are then grouped as if they were the shots of one video. ``purity`` is the part of
tracks that belong to the person who has most tracks on their card; ``cards`` is the mean number of
cards of a person. Both are 1 for a perfect cast. ``joined`` counts the people whose tracks are on a
card together with those of somebody else.
"""

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import repeat
from pathlib import Path

from app.config import Settings
from app.identity.cast import group_people
from app.identity.evidence import Evidence
from app.machine import available_cpus
from app.pipeline import load_parts
from bench.identity import ENLARGED, show
from bench.portraits import (
    CLEAR,
    CONDITIONS,
    LOCAL_PHOTOS,
    Condition,
    first_portraits,
    load_portraits,
)

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1)


def judge(people: Sequence[str], cards: Sequence[int | None]) -> tuple[float, float, int]:
    """Return purity, the mean number of cards of a person, and the number of joined people."""
    on_card: dict[int, Counter[str]] = defaultdict(Counter)
    of_person: dict[str, set[int]] = defaultdict(set)
    for person, card in zip(people, cards, strict=True):
        if card is not None:
            on_card[card][person] += 1
            of_person[person].add(card)
    total = sum(sum(counts.values()) for counts in on_card.values())
    pure = sum(max(counts.values()) for counts in on_card.values())
    mixed = {card for card, counts in on_card.items() if len(counts) > 1}
    joined = sum(bool(cards & mixed) for cards in of_person.values())
    return pure / total, sum(map(len, of_person.values())) / len(of_person), joined


def one_after_the_other(tracks: Sequence[Evidence]) -> list[Evidence]:
    """Return the tracks as if each had a shot of its own."""
    moved, start = [], 0
    for number, track in enumerate(tracks):
        length = track.last - track.first
        moved.append(replace(track, shot=number, first=start, last=start + length))
        start += length + 1
    return moved


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table for each pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, default=LOCAL_PHOTOS)
    parser.add_argument("--most", type=int, default=8, help="photos of each person")
    parser.add_argument("--packs", nargs="+", default=["open"])
    args = parser.parse_args(argv)
    for pack in args.packs:
        for name, conditions in (("clear", CONDITIONS[:CLEAR]), ("all", CONDITIONS)):
            print(f"\n{pack}, {name} conditions")
            measure(pack, args.photos, args.most, conditions)


def measure(pack: str, folder: Path | None, most: int, conditions: Sequence[Condition]) -> None:
    """Print a row for each threshold; the portraits are shown in the conditions in turn."""
    parts = load_parts(Settings(people=Path("people"), models=pack, shots="none"))
    portraits = first_portraits(load_portraits(parts.detector, folder), most)
    shown = [(one, conditions[i % len(conditions)]) for i, one in enumerate(portraits)]
    shown = [(one, how) for one, how in shown if how.width <= one.width * ENLARGED]
    with ProcessPoolExecutor(available_cpus()) as pool:
        found = list(pool.map(show, repeat(pack), *zip(*shown, strict=True), chunksize=8))
    known = [(one.person, track) for (one, _), track in zip(shown, found, strict=True) if track]
    people, tracks = [name for name, _ in known], one_after_the_other([t for _, t in known])
    print(f"{len(tracks)} tracks of {len(set(people))} people")
    print("| strength | purity | cards of a person | joined people | on no card |")
    print("|---|---|---|---|---|")
    for same in THRESHOLDS:
        cards = group_people(tracks, parts.scale, same)
        purity, each, joined = judge(people, cards)
        print(f"| {same} | {purity:.3f} | {each:.2f} | {joined} | {cards.count(None)} |")


if __name__ == "__main__":
    main()
