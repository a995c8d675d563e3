"""Print the strength of each track of a video with each person, and the quality of its chips.

    python -m bench.similarity VIDEO --people DIR

There is one line for each track with chips: its frames, the size of the face, the quality of the
track and of its chips, the strength from which it may be a person, and its strength with each
person, before tracks compete and vouch. Use it to choose photos, and to find out why somebody was
hidden or was not.
"""

import argparse
import sys
from pathlib import Path

from app.config import Settings
from app.identity.evidence import compare_track
from app.identity.gallery import Gallery
from app.identity.scale import Scale
from app.pipeline import load_parts, load_people
from app.pipeline.analysis import Analysis
from app.pipeline.decisions import evidence_of
from app.pipeline.shot_analysis import FaceTrack
from app.video import open_source


def line(track: FaceTrack, gallery: Gallery, scale: Scale) -> str:
    """Format one track; empty without chips."""
    evidence = evidence_of(track)
    if not len(evidence.qualities):
        return ""
    strengths = (
        compare_track(evidence, person.embeddings, scale).strength for person in gallery.people
    )
    qualities = " ".join(f"{quality:.1f}" for quality in evidence.qualities)
    people = "  ".join(
        f"{name} {strength:.2f}" for name, strength in zip(gallery.names, strengths, strict=True)
    )
    size, doubtful = round(float(evidence.sizes.max())), float(scale.doubtful(evidence.quality))
    return (
        f"{track.seen[0]:6}-{track.seen[1]:<6} {size:4} px  quality {evidence.quality:.2f}"
        f"  doubtful {doubtful:.2f}  {people}  [{qualities}] {evidence.flaw}"
    )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Strength of tracks with people.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--people", type=Path, required=True, help="folder of reference photos")
    arguments = parser.parse_args()
    settings = Settings(people=arguments.people)
    parts = load_parts(settings)
    gallery = load_people(arguments.people, parts)
    source = open_source(arguments.clip)
    found = Analysis(parts, settings, source.info).run(source, lambda *_: None)
    print(f"unclear below quality {parts.scale.least:.2f}; sure from strength 1.00")
    lines = (line(track, gallery, parts.scale) for track in found.tracks)
    print("\n".join(filter(None, lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
