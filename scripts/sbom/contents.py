"""List what the image holds, as JSON on stdout.

It runs inside the image, from stdin, and needs no package:

    docker run --rm -i --network none --entrypoint python3 IMAGE -I - <scripts/sbom/contents.py
"""

import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

FIELDS = ("License-Expression", "License", "Classifier")
"""The fields of a package's metadata that may tell its licence."""


def list_contents(root: Path) -> dict[str, Any]:
    """Return the contents of the image whose file system is at ``root``.

    The packages are those of the running interpreter. Hashes are hexadecimal SHA-256 of the files
    themselves, not copies of what some list says.
    """
    return {
        "system": (root / "etc/os-release").read_text("utf-8"),
        "dpkg": (root / "var/lib/dpkg/status").read_text("utf-8"),
        "packages": [_package(one) for one in metadata.distributions()],
        "packs": [_pack(path.parent) for path in sorted(root.glob("opt/models/*/pack.toml"))],
    }


def _package(package: metadata.Distribution) -> dict[str, Any]:
    fields = {field: package.metadata.get_all(field) or [] for field in FIELDS}
    # Wheels keep the libraries that they bundle in folders of this name.
    bundled = [file for file in package.files or () if file.parts[0].endswith(".libs")]
    libraries = {str(file): _sha256(Path(str(file.locate()))) for file in bundled}
    return {
        "name": package.metadata["Name"],
        "version": package.version,
        "fields": fields,
        "libraries": libraries,
    }


def _pack(folder: Path) -> dict[str, Any]:
    """Return the name of a model pack, the texts of its descriptions, and its weights."""
    return {
        "name": folder.name,
        "descriptions": [path.read_text("utf-8") for path in sorted(folder.glob("*.toml"))],
        "weights": {path.name: _sha256(path) for path in sorted(folder.glob("*.onnx"))},
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    json.dump(list_contents(Path("/")), sys.stdout)
