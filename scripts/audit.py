"""Look for known vulnerabilities of the locked Python packages, with pip-audit.

    python -m scripts.audit            exit with 1 if a package has a known vulnerability
    python -m scripts.audit --strict   and also if something could not be checked

pip-audit is installed from its own lock into the cache, and asks OSV. It reports success for
packages that its source does not know, so a source is used only if it knows an old package to be
vulnerable, and packages without an answer are named.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.packs.download import cache_folder

ROOT: Final = Path(__file__).parents[1]
LOCK: Final = ROOT / "scripts" / "requirements-audit.txt"
AUDITED: Final = ("requirements.txt", "requirements-gpu.txt", "requirements-insightface.txt")
"""The locks of the packages in the images."""
OSV: Final = "https://api.osv.dev/v1/query"
CANARY: Final = ("jinja2", "2.11.2")
"""A package and a version with published vulnerabilities, such as CVE-2020-28493."""
_PROBE_SECONDS: Final = 5.0
"""A source that can be reached answers within one."""
_INSTALL_SECONDS: Final = 120.0
"""pip-audit is installed in 10 s."""
_AUDIT_SECONDS: Final = 120.0
"""Each package is one request of 0.1 s."""

_BAR: Final = "=" * 69
"""So that the notice between two of them is not overlooked."""


class NotChecked(Exception):
    """Something could not be checked, for the reason in the message."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Lines about known vulnerabilities, and the packages without an answer."""

    vulnerable: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()


def check_source(url: str) -> None:
    """Check that OSV, or a copy of it, knows the vulnerabilities of ``CANARY``.

    Raises:
        NotChecked: it cannot be reached, or knows none.
    """
    name, version = CANARY
    question = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(question).encode(), headers)  # noqa: S310 - our constant or an option
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_SECONDS) as answer:  # noqa: S310 - as above
            found = json.load(answer)
    except (OSError, ValueError) as error:
        raise NotChecked(f"{url}: {error}") from error
    if not isinstance(found, dict) or not found.get("vulns"):
        raise NotChecked(f"{url} knows no vulnerabilities")


def install() -> Path:
    """Install pip-audit into the cache, unless it is there; return its command.

    Raises:
        NotChecked: the installation failed.
    """
    version = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"audit-{sys.version_info.major}{sys.version_info.minor}-{version}"
    if not (folder / "ready").exists():
        python = str(folder / "bin" / "python")
        packages = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        packages += ["--require-hashes", "-r", str(LOCK)]
        for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], packages):
            if _run(command, _INSTALL_SECONDS).returncode:
                raise NotChecked("pip-audit cannot be installed")
        (folder / "ready").touch()
    return folder / "bin" / "pip-audit"


def audit(command: Path, url: str, lock: Path) -> Findings:
    """Return what pip-audit finds in a lock.

    Raises:
        NotChecked: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        # --disable-pip: exactly the packages of the lock; nothing is resolved.
        options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off"]
        options += ["--vulnerability-service", "osv", "--osv-url", url]
        options += ["--format", "json", "--output", str(report), "--requirement", str(lock)]
        done = _run([str(command), *options], _AUDIT_SECONDS)
        if not report.exists():
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise NotChecked(f"pip-audit failed: {lines[-1]}")
        return read_report(report.read_text("utf-8"), packages_of(lock.read_text("utf-8")))


def _run(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotChecked(f"{Path(command[0]).name} took longer than {seconds:g} s") from error


def packages_of(lock: str) -> set[str]:
    """Return the names of the packages of a lock."""
    return set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", lock, re.MULTILINE))


def read_report(text: str, packages: set[str]) -> Findings:
    """Return the findings in a report of pip-audit about some packages.

    Packages that it skipped, and those that it does not mention, are unanswered.

    Raises:
        NotChecked: it is not such a report.
    """
    try:
        rows = json.loads(text)["dependencies"]
        answered = {row["name"] for row in rows if "vulns" in row}
        vulnerable = [_line(row, found) for row in rows for found in row.get("vulns", ())]
    except (ValueError, KeyError, TypeError) as error:
        raise NotChecked(f"the report of pip-audit is damaged: {error!r}") from error
    return Findings(tuple(vulnerable), tuple(sorted(packages - answered)))


def _line(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = " ".join([found["id"], *found.get("aliases", ())])
    fixed = ", ".join(found.get("fix_versions") or ["no version"])
    return f"{row['name']} {row['version']}: {names}; fixed in {fixed}"


def audit_all(url: str) -> Findings:
    """Audit all locks; a lock without an answer, or everything, is one line of ``unanswered``.

    Args:
        url: the address of OSV, or of a copy of it.
    """
    try:
        check_source(url)
        command = install()
    except NotChecked as reason:
        return Findings(unanswered=(f"{', '.join(AUDITED)}: {reason}",))
    vulnerable: set[str] = set()
    unanswered: list[str] = []
    for name in AUDITED:
        try:
            found = audit(command, url, ROOT / name)
        except NotChecked as reason:
            unanswered.append(f"{name}: {reason}")
            continue
        print(f"audit: {name}: {len(found.vulnerable)} known vulnerabilities")
        vulnerable.update(found.vulnerable)
        unanswered += [f"{package} of {name}" for package in found.unanswered]
    return Findings(tuple(sorted(vulnerable)), tuple(unanswered))


def main() -> int:
    """Audit the locks; 0 if nothing is found, or nothing can be."""
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities of the packages.")
    parser.add_argument("--strict", action="store_true", help="fail if something is not checked")
    parser.add_argument("--osv-url", default=OSV, help="a copy of OSV (default: the public one)")
    options = parser.parse_args()
    found = audit_all(options.osv_url)
    for line in found.vulnerable:
        print(f"audit: VULNERABLE: {line}", file=sys.stderr)
    if found.unanswered:
        lines = [f"NOT CHECKED: {line}" for line in found.unanswered]
        print(_BAR, *lines, _BAR, sep="\n", file=sys.stderr)
    return 1 if found.vulnerable or (found.unanswered and options.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
