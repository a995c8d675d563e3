"""An image as `docker save` writes it, in the form that SageMaker takes: Docker's version 2.2.

Engines push OCI manifests by now, and indexes of several, which SageMaker refuses.
"""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.errors import UsageError

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_PLATFORM = ("linux", "amd64")
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BLOCK = 2**20
_LEVEL = 6
_CONTENTS = "manifest.json"
_FAULTS = (OSError, EOFError, tarfile.TarError, zlib.error, KeyError, ValueError, TypeError)


@dataclass(frozen=True, slots=True)
class Blob:
    """A layer or the configuration: a file with its digest, ``sha256:...``, and size in bytes."""

    path: Path
    digest: str
    size: int
    media_type: str

    @property
    def descriptor(self) -> dict[str, Any]:
        """How a manifest refers to it."""
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Image:
    """What is pushed: layers, configuration, and the manifest that names them."""

    config: Blob
    layers: tuple[Blob, ...]

    @property
    def manifest(self) -> bytes:
        """The manifest, always in the same bytes."""
        content = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.config.descriptor,
            "layers": [layer.descriptor for layer in self.layers],
        }
        return json.dumps(content, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """What the image is called without a tag."""
        return _sha256(self.manifest)


def unpack(archive: Path, folder: Path) -> Image:
    """Unpack an image into blobs; layers are compressed, the same ones always to the same bytes.

    Args:
        archive: what ``docker save`` or ``podman save`` has written.
        folder: where the blobs go; it needs room for the compressed layers.

    Raises:
        UsageError: it is no such archive, holds not just one image, is damaged, or is not for
            Linux on x86-64.
    """
    try:
        with tarfile.open(archive) as tar:
            return _unpack(tar, folder)
    except (
        OSError,
        EOFError,
        tarfile.TarError,
        zlib.error,
        KeyError,
        ValueError,
        TypeError,
    ) as error:
        raise UsageError(f"{archive}: not an image of `docker save`: {error}") from error


def _unpack(tar: tarfile.TarFile, folder: Path) -> Image:
    try:
        images = json.load(_member(tar, _CONTENTS))
    except KeyError:
        raise ValueError(f"it has no {_CONTENTS}; OCI archives are not read") from None
    if len(images) != 1:
        raise ValueError(f"it holds {len(images)} images; save one")
    (image,) = images
    config = _member(tar, image["Config"]).read()
    content = json.loads(config)
    if (content["os"], content["architecture"]) != _PLATFORM:
        raise ValueError(
            f"it is for {content['os']}/{content['architecture']}; build with --platform "
            f"{'/'.join(_PLATFORM)}"
        )
    expected = content["rootfs"]["diff_ids"]
    layers = tuple(
        _layer(_member(tar, name), digest, folder)
        for name, digest in zip(image["Layers"], expected, strict=True)
    )
    path = folder / "config.json"
    path.write_bytes(config)
    return Image(Blob(path, _sha256(config), len(config), _CONFIG), layers)


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    found = tar.extractfile(name)
    if found is None:
        raise ValueError(f"{name} is no file")
    return found


def _layer(source: IO[bytes], expected: str, folder: Path) -> Blob:
    """A layer, compressed by us, so that what it unpacks to is known to be what was built."""
    path = folder / f"{expected.removeprefix('sha256:')}.tar.gz"
    plain = hashlib.sha256()
    with path.open("wb") as file, gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) as packed:
        for block in _plain(source):
            plain.update(block)
            packed.write(block)
    if f"sha256:{plain.hexdigest()}" != expected:
        raise ValueError(f"a layer is not {expected}")
    with path.open("rb") as made:
        digest = hashlib.file_digest(made, "sha256").hexdigest()
    return Blob(path, f"sha256:{digest}", path.stat().st_size, _LAYER)


def _plain(source: IO[bytes]) -> Iterator[bytes]:
    magic = source.read(len(_ZSTD))
    source.seek(0)
    if magic == _ZSTD:
        raise ValueError("its layers are compressed with zstd; build with compression=gzip")
    stream = gzip.GzipFile(fileobj=source) if magic.startswith(_GZIP) else source
    while block := stream.read(_BLOCK):
        yield block


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
