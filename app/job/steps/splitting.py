"""The step ``split``: look at a video, freeze the photos, and cut the video if it is long."""

import hashlib
import json
import tarfile
from argparse import Namespace
from fractions import Fraction
from pathlib import Path

from app.config import Settings
from app.errors import PeopleError, UnsupportedMedia
from app.files import write_file
from app.job.places import Place
from app.job.steps.looking import check_length, look
from app.pieces import MANIFEST, Proposal, propose, split
from app.process import StopSignal
from app.types import MediaInfo

LOOK = "look.json"
"""What the state machine reads: number of pieces, and of machines for them."""
MODEL = "model.tar.gz"
"""The photos as they are now: the model of the transform job, and the people of ``verify``."""
FROZEN = "people.json"
"""The hashes of the photos, in the archive."""


def look_and_split(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001
    """Write what was found, the frozen photos, and the pieces, if there are several.

    Raises:
        MediaError: the file is no video or image, is damaged, or too long.
        ConfigError: the settings need photos, and there are none.
        OutputError, DiskFull: the output cannot be written.
    """
    info = look(place)
    place.output.mkdir(parents=True, exist_ok=True)
    freeze_people(place.folder("people"), place.output / MODEL)
    proposal, why = _proposal(place, args, info)
    count = 1 if proposal is None else len(proposal.firsts)
    if proposal is not None:
        pieces = place.output / "pieces"
        split(proposal, pieces)
        # Beside them: the transform job takes every object below their prefix.
        (pieces / MANIFEST).replace(place.output / MANIFEST)
    facts = {"pieces": count, "instances": min(count, args.instances), "why": why}
    write_file(place.output / LOOK, json.dumps(facts).encode())
    return f"{count} pieces: {why}"


def _proposal(place: Place, args: Namespace, info: MediaInfo) -> tuple[Proposal | None, str]:
    """Return where to cut, or None with the reason why the video stays whole."""
    if info.is_image:
        return None, "an image"
    try:
        proposal = propose(place.source, seconds=Fraction(args.seconds))
    except UnsupportedMedia:
        return None, "a format that cannot be cut without encoding"
    ticks = int(proposal.times[-1] - proposal.times[0])
    check_length(ticks * proposal.packets.format.time_base)
    if len(proposal.firsts) == 1:
        return None, "short, or without a cut at a key frame"
    longest = max(proposal.duration(number) for number in range(len(proposal.firsts)))
    if longest > args.longest:
        return None, f"a shot of {float(longest):.0f} s is too long for one request"
    return proposal, "cut at cuts"


def freeze_people(people: Path, archive: Path) -> None:
    """Write the photos of a folder into an archive, with the hash of each.

    Raises:
        ConfigError: the settings need photos, and there are none.
    """
    found = people.rglob("*") if people.is_dir() else ()
    photos = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    # Refuses settings that need photos without any.
    Settings.load(**({"people": people} if photos else {}))
    names = {path: path.relative_to(people).as_posix() for path in photos}
    hashes = {name: hashlib.sha256(path.read_bytes()).hexdigest() for path, name in names.items()}
    frozen = archive.with_name(FROZEN)
    write_file(frozen, json.dumps(hashes, indent=1).encode())
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(frozen, FROZEN)
        for path, name in names.items():
            tar.add(path, f"people/{name}")
    frozen.unlink()


def thaw_people(archive: Path, folder: Path) -> Path | None:
    """Unpack the photos of an archive; return their folder, or None if it has none.

    Raises:
        PeopleError: the archive is damaged.
    """
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise PeopleError("the archive of the photos cannot be read") from error
    people = folder / "people"
    return people if people.is_dir() else None
