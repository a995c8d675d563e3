"""Make a bill of materials in the CycloneDX format, and validate it."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from app.packs.description import Description, Source
from scripts.licences import licence_in
from scripts.sbom.records import (
    Contents,
    Image,
    Pack,
    Package,
    SbomError,
    SystemPackage,
    describe_weights,
    normalise,
    read_system_packages,
    system_release,
)

VERSION: Final = SchemaVersion.V1_6
"""More scanners read this version than the newest one; nothing here needs 1.7."""

Hashes = Mapping[tuple[str, str], Sequence[str]]
"""The SHA-256 hashes that the locks allow, by name and version of a package."""


def make_bom(image: Image, contents: Contents, version: str, hashes: Hashes) -> Bom:
    """Return the bill of materials of an image; the same image has always the same one.

    Args:
        image: the image.
        contents: what it holds.
        version: version of Face blur.
        hashes: the hashes of the locks.

    Raises:
        SbomError: weights are not the described ones, or something is missing altogether.
        LicenceError: the licence of a Python package is not known.
    """
    if not contents.packages or not contents.packs:
        raise SbomError("the image has no Python packages, or no model pack")
    container = _container(image, version)
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, image.id),
        metadata=BomMetaData(component=container, timestamp=image.created),
    )
    release = system_release(contents.system)
    parts = [_program(version)]
    parts += [_python_package(one, hashes) for one in contents.packages]
    parts += [_system_package(one, release) for one in read_system_packages(contents.dpkg)]
    parts += [part for pack in contents.packs for part in _weights(pack)]
    bom.components.update(parts)
    bom.register_dependency(container, parts)
    return bom


def validated_json(bom: Bom) -> str:
    """Return a bill of materials as JSON.

    Raises:
        SbomError: it does not follow the schema of CycloneDX.
    """
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    check_schema(text)
    return text


def check_schema(text: str) -> None:
    """Check a bill of materials against the schema of CycloneDX; unknown keys are errors.

    Raises:
        SbomError: it does not follow the schema.
    """
    if error := JsonStrictValidator(VERSION).validate_str(text):
        raise SbomError(f"the bill of materials does not follow the schema: {error}")


def _container(image: Image, version: str) -> Component:
    return Component(
        type=ComponentType.CONTAINER,
        name="face-blur",
        version=version,
        bom_ref="image",
        properties=[
            Property(name="face-blur:image", value=image.id),
            Property(name="face-blur:revision", value=image.revision),
        ],
    )


def _program(version: str) -> Component:
    return Component(
        type=ComponentType.APPLICATION,
        name="face-blur",
        version=version,
        bom_ref="program",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
    )


def _python_package(package: Package, hashes: Hashes) -> Component:
    name = normalise(package.name)
    purl = PackageURL("pypi", None, name, package.version)
    licence, _ = licence_in(name, package.version, package.fields)
    return Component(
        name=name,
        version=package.version,
        bom_ref=purl.to_string(),
        purl=purl,
        licenses=[LicenseFactory().make_from_string(licence)],
        external_references=_distribution(purl, hashes.get((name, package.version), ())),
        components=[
            _file(path, sha256, f"{purl}#{path}") for path, sha256 in package.libraries.items()
        ],
    )


def _distribution(purl: PackageURL, hashes: Sequence[str]) -> Iterable[ExternalReference]:
    """Return a reference to the files of a package that its lock allows, if it is locked.

    One of them was installed. A hash of the component itself would say more than is known.
    """
    if not hashes:
        return
    yield ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(purl.to_string()),
        comment="the files that the lock allows; one of them is installed",
        hashes=[_sha256(one) for one in hashes],
    )


def _system_package(package: SystemPackage, release: str) -> Component:
    # Scanners look for vulnerabilities by the name of the source, which they call upstream.
    qualifiers = {"arch": package.architecture, "distro": release}
    if package.source != package.name:
        qualifiers["upstream"] = package.source
    system = release.partition("-")[0]
    purl = PackageURL("deb", system, package.name, package.version, qualifiers)
    return Component(
        name=package.name, version=package.version, bom_ref=purl.to_string(), purl=purl
    )


def _weights(pack: Pack) -> Iterable[Component]:
    for name, description in describe_weights(pack).items():
        yield Component(
            type=ComponentType.MACHINE_LEARNING_MODEL,
            group=pack.name,
            name=name,
            bom_ref=f"model:{pack.name}/{name}",
            description=description.summary,
            hashes=[_sha256(pack.weights[name])],
            licenses=[
                LicenseFactory().make_from_string(one) for one in _licences(name, description)
            ],
            external_references=[
                _origin(one) for one in description.sources if one.produces == name
            ],
        )


def _licences(name: str, description: Description) -> set[str]:
    """Return the licences of the parts that use a file of weights."""
    return {
        description.licences[part].name
        for part, used in description.parts.items()
        if any(name in files for files in used.files.values())
    }


def _origin(source: Source) -> ExternalReference:
    """Return a reference to the published file that weights were made from."""
    package, _, version = source.requirement.partition("==")
    url = source.url or PackageURL("pypi", None, normalise(package), version).to_string()
    comment = "the published file that the weights were made from"
    return ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(url),
        comment=comment,
        hashes=[_sha256(source.sha256)],
    )


def _file(path: str, sha256: str, reference: str) -> Component:
    """Return a library that a wheel bundles; its version is at most in its name."""
    return Component(
        type=ComponentType.FILE, name=path, bom_ref=reference, hashes=[_sha256(sha256)]
    )


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
