"""What the bill of materials is made from: the image, its contents, and the locks."""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from app.errors import FaceBlurError
from app.packs.description import Description
from app.validation import StrictModel


class SbomError(FaceBlurError):
    """The contents of an image are not as expected."""


class Package(StrictModel):
    """An installed Python package."""

    name: str
    version: str
    fields: dict[str, list[str]]
    """Fields of its metadata that may tell its licence."""
    libraries: dict[str, str]
    """SHA-256 of each library that it bundles, by path."""


class Pack(StrictModel):
    """A model pack: the texts of its descriptions, and SHA-256 of its weights by file name."""

    name: str
    descriptions: list[str]
    weights: dict[str, str]


class Contents(StrictModel):
    """What ``contents`` prints."""

    system: str
    dpkg: str
    packages: list[Package]
    packs: list[Pack]


@dataclass(frozen=True, slots=True)
class Image:
    """The image: its id, the time of its build, and the revision of its source."""

    id: str
    created: datetime
    revision: str


@dataclass(frozen=True, slots=True)
class SystemPackage:
    """An installed Debian package; ``source`` is the name of the source it was built from."""

    name: str
    version: str
    architecture: str
    source: str


def parse_contents(text: str) -> Contents:
    """Return the contents out of the JSON of ``contents``.

    Raises:
        SbomError: it is something else.
    """
    try:
        return Contents.model_validate_json(text)
    except ValidationError as error:
        raise SbomError(f"the list of the image's contents is damaged: {error}") from error


def parse_image(text: str) -> Image:
    """Return the image that ``docker image inspect`` describes.

    Raises:
        SbomError: it describes no image, or several.
    """
    try:
        (found,) = json.loads(text)
        labels = found["Config"].get("Labels") or {}
        revision = labels.get("org.opencontainers.image.revision", "unknown")
        return Image(found["Id"], datetime.fromisoformat(found["Created"]), revision)
    except (ValueError, KeyError, TypeError) as error:
        raise SbomError(f"the engine's description of the image is damaged: {error!r}") from error


def describe_weights(pack: Pack) -> dict[str, Description]:
    """Return the description that names each file of weights in a pack, by file name.

    Raises:
        SbomError: a description is invalid, a file is not the one that it names, or none is there.
    """
    if not pack.weights:
        raise SbomError(f"the model pack {pack.name} has no weights")
    try:
        known = [Description.model_validate(tomllib.loads(text)) for text in pack.descriptions]
    except ValueError as error:
        raise SbomError(f"a description of the model pack {pack.name} is invalid") from error
    found = {}
    for name, sha256 in sorted(pack.weights.items()):
        naming = [one for one in known if one.files.get(name) == sha256]
        if not naming:
            raise SbomError(f"{pack.name}/{name} is not a file that the pack describes")
        found[name] = naming[0]
    return found


def read_system_packages(status: str) -> list[SystemPackage]:
    """Return the installed packages of a status file of dpkg, by name.

    Packages that were removed, of which only settings are left, are not among them.

    Raises:
        SbomError: a package has no version, or none is installed.
    """
    found = [
        _system_package(fields)
        for fields in (_fields(paragraph) for paragraph in re.split(r"\n\s*\n", status))
        if fields.get("Status", "").endswith(" installed")
    ]
    if not found:
        raise SbomError("dpkg lists no installed package")
    return sorted(found, key=lambda one: (one.name, one.architecture))


def _system_package(fields: dict[str, str]) -> SystemPackage:
    try:
        name, version = fields["Package"], fields["Version"]
        # "Source: name (version)" if the source has another version.
        source = fields.get("Source", name).split()[0]
        return SystemPackage(name, version, fields["Architecture"], source)
    except (KeyError, IndexError) as error:
        raise SbomError(f"dpkg: a package has no {error}") from error


def _fields(paragraph: str) -> dict[str, str]:
    """Return the first line of each field."""
    lines = (line for line in paragraph.splitlines() if line[:1].strip())
    pairs = (line.partition(":") for line in lines)
    return {name: value.strip() for name, _, value in pairs}


def system_release(text: str) -> str:
    """Return name and version out of an os-release file, such as ``debian-12``."""
    fields = {
        name: value.strip("\"'")
        for name, _, value in (line.partition("=") for line in text.splitlines())
    }
    return f"{fields.get('ID', 'linux')}-{fields.get('VERSION_ID', 'unknown')}"


def read_hashes(locks: Sequence[Path]) -> dict[tuple[str, str], list[str]]:
    """Return the SHA-256 hashes that the locks allow for each package and version."""
    return {key: hashes for lock in locks for key, hashes in _hashes(lock.read_text("utf-8"))}


def _hashes(lock: str) -> Iterator[tuple[tuple[str, str], list[str]]]:
    for line in lock.replace("\\\n", " ").splitlines():
        if pin := re.match(r"([a-z0-9][a-z0-9._-]*)==(\S+)", line):
            yield (normalise(pin[1]), pin[2]), re.findall(r"--hash=sha256:([0-9a-f]{64})", line)


def normalise(name: str) -> str:
    """Return the name of a Python package as indexes compare it.

    >>> normalise("Prometheus_Client")
    'prometheus-client'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
