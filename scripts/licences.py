"""Write the tables of docs/licences.md: packages, models and system packages with their licences.

    python -m scripts.licences            rewrite the tables
    python -m scripts.licences --check    exit with 1 if a table is out of date

The versions are those of the locks. Licences are read from the metadata of the installed packages;
those of packages that a development environment may lack, or whose metadata is ambiguous, were read
once and are in ``READ``. Models come from ``models/*/*.toml``, system packages from the Dockerfile.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from app.errors import FaceBlurError
from app.packs.catalogue import find_packs, load_pack
from scripts.sbom.contents import FIELDS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "licences.md"

READ: Mapping[str, tuple[str, str]] = {
    "imageio": ("BSD-2-Clause", "metadata of 2.38.1"),
    "insightface": ("MIT", "description in the metadata of 2.1; its models have other licences"),
    "itsdangerous": ("BSD-3-Clause", "licence file of 2.2.0"),
    "jinja2": ("BSD-3-Clause", "licence file of 3.1.6"),
    "lazy-loader": ("BSD-3-Clause", "metadata of 0.6"),
    "nvidia-cublas-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 12.9.3.13"),
    "nvidia-cuda-nvrtc-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 12.9.86"),
    "nvidia-cuda-runtime-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 12.9.79"),
    "nvidia-cudnn-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 9.28.0.42"),
    "nvidia-cufft-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 11.4.1.4"),
    "nvidia-curand-cu12": ("NVIDIA Proprietary Software", "metadata of 10.3.10.19"),
    "nvidia-nvjitlink-cu12": ("LicenseRef-NVIDIA-Proprietary", "metadata of 12.9.86"),
    "onnxruntime-gpu": ("MIT", "metadata of 1.26.0"),
    "python-dateutil": (
        "BSD-3-Clause; contributions after 2017-12-01 also Apache-2.0",
        "licence file of 2.9.0.post0",
    ),
    "scikit-image": ("BSD-3-Clause, parts BSD-2-Clause or MIT", "licence file of 0.26.0"),
    "scipy": ("BSD-3-Clause", "licence file of 1.17.1"),
    "tifffile": ("BSD-3-Clause", "metadata of 2026.3.3"),
}
"""Licence and source of packages whose metadata cannot be used: see the module's docstring."""

_SPDX: Mapping[str, str] = {
    "Apache 2.0": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD-3-Clause": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MPL-2.0": "MPL-2.0",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
    "License :: OSI Approved :: MIT License": "MIT",
}
"""SPDX expressions of the unambiguous words in the fields ``License`` and ``Classifier``."""


class LicenceError(FaceBlurError):
    """The licence of a package is not known."""


def read_lock(path: Path) -> dict[str, str]:
    """Return the version of each package of a lock, by name."""
    pins = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", path.read_text("utf-8"), re.MULTILINE)
    return dict(sorted(pins))


def licence_of(name: str, version: str) -> tuple[str, str]:
    """Return the licence of a package, and where it was read.

    Raises:
        LicenceError: the package is not installed in this version, or its metadata is ambiguous.
    """
    if name in READ:
        return READ[name]
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        raise LicenceError(
            f"{name} {version} is not installed; run make setup, or add it to READ"
        ) from None
    if found["Version"] != version:
        raise LicenceError(f"{name}: {found['Version']} is installed, {version} is locked")
    return licence_in(name, version, {field: found.get_all(field) or [] for field in FIELDS})


def licence_in(name: str, version: str, fields: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return the licence of a package, and where it was read.

    Args:
        name: name of the package, as in the locks.
        version: its version.
        fields: the values of each of ``FIELDS`` in its metadata.

    Raises:
        LicenceError: the metadata is ambiguous, and the licence was not read elsewhere.
    """
    if name in READ:
        return READ[name]
    for expression in fields["License-Expression"]:
        return expression, "expression"
    for field, source in (("License", "licence field"), ("Classifier", "classifier")):
        for words in fields[field]:
            if licence := _SPDX.get(words.strip()):
                return licence, source
    raise LicenceError(f"{name} {version}: read its licence file and add it to READ")


def package_table(versions: Mapping[str, str]) -> str:
    """Return the table of some locked packages."""
    rows = [(name, version, *licence_of(name, version)) for name, version in versions.items()]
    return _table(("package", "version", "licence", "read from"), rows)


def model_table() -> str:
    """Return the table of all packs and their parts."""
    rows = []
    for name in find_packs():
        for part, licence in load_pack(name).licences.items():
            use = "yes" if licence.commercial else "no"
            rows.append((f"`{name}`", part, f"[{licence.name}]({licence.url})", use, licence.note))
    return _table(("pack", "part", "licence", "commercial use", "note"), rows)


def system_table(dockerfile: str) -> str:
    """Return the table of the system packages that a Dockerfile installs, and of its base."""
    base = re.search(r"^ARG BASE_IMAGE=(\S+)", dockerfile, re.MULTILINE)
    if base is None:
        raise LicenceError("the Dockerfile has no BASE_IMAGE")
    rows = [(f"`{base[1]}`", "base of all stages", "yes")]
    parents: dict[str, str] = {}
    installed: dict[str, list[str]] = {}
    stage = ""
    for line in dockerfile.replace("\\\n", " ").splitlines():
        if begun := re.match(r"FROM (\S+) AS (\S+)", line):
            stage = begun[2]
            parents[stage] = begun[1].replace("${VARIANT}", "cpu")
        for packages in re.findall(r"apt-get install ([^&]*)", line):
            installed.setdefault(stage, []).extend(
                word for word in packages.split() if not word.startswith("-")
            )
    final = set(_ancestors(parents, stage))
    rows += [
        (f"`{package}`", f"stage `{place}`", "yes" if place in final else "no")
        for place, packages in installed.items()
        for package in packages
    ]
    return _table(("package", "named in", "in the image"), rows)


def _ancestors(parents: Mapping[str, str], stage: str) -> Iterable[str]:
    while stage in parents:
        yield stage
        stage = parents[stage]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables() -> dict[str, str]:
    """Return all tables of the page by name."""
    runtime, gpu, insightface = (
        read_lock(ROOT / f"requirements{variant}.txt") for variant in ("", "-gpu", "-insightface")
    )
    return {
        "packages": package_table(runtime),
        "insightface": package_table(_without(insightface, runtime)),
        "gpu": package_table(_without(gpu, runtime)),
        "system": system_table((ROOT / "Dockerfile").read_text("utf-8")),
        "models": model_table(),
    }


def _without(versions: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    return {name: version for name, version in versions.items() if name not in others}


def filled(page: str) -> str:
    """Return a page with each table between its two marks replaced by the current one.

    Raises:
        LicenceError: a licence is not known, or the page lacks a mark.
    """
    for name, table in tables().items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise LicenceError(f"{PAGE.name}: expected one place for the table {name!r}")
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        page = f"{before}{begin}\n{table}\n\n{end}{after}"
    return page


def main() -> int:
    """Rewrite or check the page; 0 if it is up to date now."""
    parser = argparse.ArgumentParser(description="Write the tables of docs/licences.md.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if stale")
    check: bool = parser.parse_args().check
    page = PAGE.read_text("utf-8")
    try:
        current = filled(page)
    except FaceBlurError as error:
        print(f"licences: error: {error}", file=sys.stderr)
        return error.exit_code
    if check and current != page:
        print(f"{PAGE.name} is out of date; run python -m scripts.licences", file=sys.stderr)
        return 1
    PAGE.write_text(current, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
