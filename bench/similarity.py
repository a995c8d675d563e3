"""How like each track of a video is to each person, and how much its chips weigh.

    python bench/similarity.py CLIP --people DIR

One line for each track that has chips: frames in which it was seen, the size of its face, the
weights of its chips, and its similarity to each person as the matching takes it, before tracks
compete and vouch. The thresholds of the pack are printed first. For choosing thresholds and
photos, and for finding out why somebody was hidden or was not.
"""

import argparse
import sys
from pathlib import Path

from app.config import Settings
from app.identity.gallery import Gallery
from app.identity.matching import Evidence, similarity
from app.pipeline import load_parts, load_people
from app.pipeline.analysis import Analysis, FoundTrack
from app.video import open_source


def line(track: FoundTrack, gallery: Gallery) -> str:
    """What there is to say of one track; empty without chips."""
    chips = track.chips
    if chips is None or not len(chips.weights):
        return ""
    evidence = Evidence(track.shot, *track.seen, chips.embeddings, chips.weights, chips.sizes)
    likeness = (similarity(evidence, person.embeddings) for person in gallery.people)
    weights = " ".join(f"{weight:.1f}" for weight in chips.weights)
    people = "  ".join(
        f"{name} {value:.3f}" for name, value in zip(gallery.names, likeness, strict=True)
    )
    size = round(float(chips.sizes.max()))
    return f"{track.seen[0]:6}-{track.seen[1]:<6} {size:4} px  {people}  [{weights}]"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Similarity of tracks to people.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--people", type=Path, required=True, help="folder of reference photos")
    arguments = parser.parse_args()
    settings = Settings(people=arguments.people)
    parts = load_parts(settings)
    gallery = load_people(arguments.people, parts)
    source = open_source(arguments.clip)
    found = Analysis(parts, settings, source.info).run(source, lambda *_: None)
    print(f"doubtful {parts.thresholds.doubtful}, sure {parts.thresholds.sure}")
    print("\n".join(filter(None, (line(track, gallery) for track in found.tracks))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
