"""The people of a job: who they are, and whom the job therefore hides and whom it shows.

Photos stay in the bucket until they expire, so a job could use those of somebody else, or of people
who have withdrawn. Therefore nobody is taken from there without a word and without a choice.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.config import ENV_PREFIX
from app.errors import UsageError
from app.system_files import is_system_path
from scripts.aws.cloud import Cloud
from scripts.aws.objects import S3Object, S3Uri, list_objects

TAG = "face-blur:people"
"""Key of the tag of a job that has the fingerprint of its photos."""
_BLUR, _SELECT = ENV_PREFIX + "BLUR", ENV_PREFIX + "SELECT"
_MOST_NAMED = 20
"""People that a line names; further ones are counted."""
_ROOT = "people"
"""The folder in the archive."""


@dataclass(frozen=True, slots=True)
class People:
    """The people whose photos are at a place in S3.

    Args:
        place: the archive, or the prefix of the photos.
        names: names of people, sorted.
        photos: number of photos.
        fingerprint: changes with every photo.
    """

    place: S3Uri
    names: tuple[str, ...]
    photos: int
    fingerprint: str

    def __str__(self) -> str:
        named = ", ".join(self.names[:_MOST_NAMED])
        more = len(self.names) - _MOST_NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"{named}{rest} ({self.photos} photos in {self.place})"

    @property
    def tags(self) -> list[dict[str, str]]:
        """The tag of a job that uses these photos."""
        return [{"Key": TAG, "Value": self.fingerprint}]


def people_in_prefix(cloud: Cloud) -> People | None:
    """Return the people of ``PEOPLE_PREFIX``; None if there are no photos.

    Raises:
        CloudError: the photos cannot be listed.
    """
    place = S3Uri(cloud.bucket, cloud.variables.people_prefix)
    if cloud.blind:
        return None
    items = [one for one in list_objects(cloud, place) if one.size]
    names = [one.key.removeprefix(place.key) for one in items]
    return _people(place, names, _fingerprint(items))


def people_in_archive(cloud: Cloud, place: S3Uri, etag: str) -> People:
    """Return the people of the archive for transform jobs.

    Raises:
        CloudError: it cannot be read.
        UsageError: it is not an archive of photos.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.tar.gz"
        cloud.read("s3", "download_file", Bucket=place.bucket, Key=place.key, Filename=str(path))
        try:
            with tarfile.open(path) as tar:
                files = [one.name for one in tar if one.isfile()]
        except (tarfile.TarError, OSError, EOFError) as error:
            raise UsageError(
                f"{place}: is not an archive of photos; create it with scripts/upload.py"
            ) from error
    names = [name.removeprefix(f"{_ROOT}/") for name in files if name.startswith(f"{_ROOT}/")]
    found = _people(place, names, _fingerprint([S3Object(place.key, 0, etag)]))
    if found is None:
        raise UsageError(f"{place}: has no photos; create it with scripts/upload.py")
    return found


def _people(place: S3Uri, names: Iterable[str], fingerprint: str) -> People | None:
    """Return the people of files ``NAME.jpg`` and ``NAME/x.jpg``; None without files."""
    paths = [PurePosixPath(name) for name in names if not _passed_over(name)]
    people = {path.parts[0] if len(path.parts) > 1 else path.stem for path in paths}
    return People(place, tuple(sorted(people)), len(paths), fingerprint) if paths else None


def _passed_over(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/")) or is_system_path(name)


def _fingerprint(items: Iterable[S3Object]) -> str:
    text = "".join(f"{one.key} {one.etag}\n" for one in sorted(items, key=lambda one: one.key))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def check_choice(people: People | None, environment: Mapping[str, str]) -> None:
    """Check that somebody has said what the photos are for.

    Raises:
        UsageError: there are photos, and the settings do not say whom to hide.
    """
    if people is not None and not environment.get(_BLUR):
        raise UsageError(
            f"there are photos of {people}; say what they are for: --blur listed hides these "
            "people and shows everybody else, --blur others hides everybody else and shows these "
            "people, --blur everyone hides all"
        )


def hides_everyone(environment: Mapping[str, str]) -> bool:
    """Return whether the settings say that everyone is hidden, so that no photo is needed."""
    return environment.get(_BLUR) == "everyone"


def whom(people: People | None, environment: Mapping[str, str]) -> str:
    """Say whom a job hides and whom it shows.

    >>> whom(None, {})
    'hides everyone'
    >>> bob = People(S3Uri("videos", "people/"), ("bob",), 2, "")
    >>> whom(bob, {"FACE_BLUR_BLUR": "others"})
    'hides everybody except bob (2 photos in s3://videos/people/), who stay visible'
    """
    blur, select = environment.get(_BLUR), environment.get(_SELECT)
    if select and blur != "everyone":
        return f"hides {'all but ' if blur == 'others' else ''}the faces at the points of select"
    if people is None or blur == "everyone":
        return "hides everyone"
    if blur == "others":
        return f"hides everybody except {people}, who stay visible"
    return f"hides {people}; everybody else stays visible"


def check_unchanged(
    name: str,
    tags: Iterable[Mapping[str, str]],
    people: People | None,
    therefore: str = "resuming it would hide other people; start a new job for the files that are "
    "left (--new, --keys)",
) -> None:
    """Check that the photos that are in the bucket now are those of a job.

    ``therefore`` ends the message: what they cannot be used for.

    Raises:
        UsageError: they are other ones.
    """
    before = next((tag["Value"] for tag in tags if tag["Key"] == TAG), None)
    now = None if people is None else people.fingerprint
    if before is not None and before != now:
        raise UsageError(f"the photos of people have changed since {name} started, so {therefore}")
