"""The project's files agree with each other: locks, Makefile, README, docs, settings."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.config import ENV_PREFIX, ServiceSettings, Settings

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
}
"""The text of each page of the documentation, by its path."""
README = PAGES["README.md"]
README_LINES = 170
COMMAND_PAGES = "\n".join(
    PAGES[page]
    for page in (
        *("README.md", "CONTRIBUTING.md", "docs/usage.md", "docs/settings.md"),
        *("docs/models.md", "docs/aws.md", "docs/aws-jobs.md", "docs/async.md"),
        *("docs/first-run.md", "docs/collecting.md", "docs/measuring.md", "docs/service.md"),
    )
)
"""The pages whose commands and options are compared with the program."""
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKS = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-dev.txt": PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"],
}


def read_lock(file: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each locked package."""
    text = (ROOT / file).read_text("utf-8").replace("\\\n", " ")
    out: dict[str, tuple[str, int]] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            package, *hashes = line.split()
            project, _, version = package.partition("==")
            assert all(part.startswith("--hash=sha256:") for part in hashes), line
            out[canonicalize_name(project)] = (version, len(hashes))
    return out


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_has_all_dependencies_of_the_project(file: str) -> None:
    locked = read_lock(file)
    for text in LOCKS[file]:
        wanted = Requirement(text)
        version, hashes = locked[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version), text
        assert hashes > 0


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_is_closed(file: str) -> None:
    """Every dependency of a locked package is locked too, in a version that it accepts."""
    locked = read_lock(file)
    environment = {key: str(value) for key, value in default_environment().items()}
    environment["extra"] = ""
    for package in locked:
        for text in metadata.requires(package) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate(environment):
                version, hashes = locked[canonicalize_name(needed.name)]
                assert needed.specifier.contains(version, prereleases=True), f"{package}: {text}"
                assert hashes > 0


def test_both_locks_agree() -> None:
    runtime, develop = (read_lock(file) for file in LOCKS)
    assert {name: develop.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("file", LOCKS)
def test_the_lock_names_no_index(file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_machine_and_no_registry_is_named() -> None:
    places = ("/" + "work", "/" + "root", "/" + "home")
    own = "|".join(rf"(?<![\w.:/}}]){place}/\w" for place in places)
    registries = ("pypi", "pythonhosted", "registry.npmjs", "deb" + ".debian")
    hosts = "|".join(rf"{host}\.org" for host in registries)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        for match in re.finditer(f"{own}|{hosts}", path.read_text("utf-8", errors="replace"))
    ]
    assert found == []


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= README_LINES


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    named = {
        target
        for text in PAGES.values()
        for pair in re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)(?: \w+=\w+)?$", text, re.MULTILINE)
        for target in filter(None, pair)
    }
    assert {"demo", "test"} <= set(re.findall(r"^make ([a-z-]+)$", README, re.MULTILINE))
    assert named <= targets


def test_every_command_and_option_in_the_docs_exists() -> None:
    helps = _help()
    for command in set(re.findall(r"^face-blur ([a-z]+)", COMMAND_PAGES, re.MULTILINE)):
        assert re.search(rf"\b{command}\b", helps), command
    ours = "\n".join(
        line
        for line in COMMAND_PAGES.splitlines()
        if not re.search(r"bench|\bcurl\b|--remove-on-error|aws iam", line)
    )
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)):
        assert option in helps, option


def _help() -> str:
    """The help texts of all commands that the pages name."""
    names = (
        *("blur", "analyse", "render", "review", "edits", "verify", "people", "models", "report"),
        *("doctor", "serve", "completion"),
    )
    ours: tuple[list[str], ...] = ([], *([name] for name in names))
    commands = [["-m", "app.cli", *command] for command in ours]
    scripts = sorted(set(re.findall(r"\bscripts\.[a-z_]+", COMMAND_PAGES)))
    commands += [["-m", script] for script in scripts]
    texts = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command, "--help"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        texts.append(done.stdout)
    return "\n".join(texts)


def test_the_page_of_settings_lists_every_setting() -> None:
    rows = {
        match[1]: (match[2], match[3])
        for match in re.finditer(
            r"^\| `(\w+)` \| `(\w+)` \| (.*?) \|", PAGES["docs/settings.md"], re.MULTILINE
        )
    }
    expected = {
        name: (ENV_PREFIX + name.upper(), _shown(field.default))
        for name, field in (Settings.model_fields | ServiceSettings.model_fields).items()
    }
    assert rows == expected


def test_every_link_between_pages_leads_somewhere() -> None:
    """Relative links name a file or a folder, and fragments name a heading of its page."""
    broken = [
        f"{page}: {target}"
        for page, text in PAGES.items()
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)
        if not _leads_somewhere(ROOT / page, target)
    ]
    assert broken == []


def test_every_file_that_the_docs_name_exists() -> None:
    """Paths in backticks, from the root of the project."""
    named = re.compile(r"`((?:app|bench|models|scripts|testmedia|tests)/[\w./-]+)`")
    missing = {
        f"{page}: {path}"
        for page, text in PAGES.items()
        for path in named.findall(text)
        if not (ROOT / path).exists() and path != "scripts/variables.py"  # made by its user
    }
    assert missing == set()


def _leads_somewhere(page: Path, target: str) -> bool:
    path, _, fragment = target.partition("#")
    linked = page.parent / path if path else page
    return linked.exists() and (not fragment or fragment in _anchors(linked.read_text("utf-8")))


def _anchors(text: str) -> set[str]:
    """The fragments of the headings of a page, as the host of the repository makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8"))
        waiting += [(page.parent / link).resolve() for link in links]
    assert {ROOT / page for page in PAGES} <= reached


def _shown(default: object) -> str:
    return "" if default in {None, ()} else f"`{str(default).lower()}`"


def test_a_wheel_has_the_code_and_the_packs_and_no_weights(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for part in ("app", "models"):
        shutil.copytree(ROOT / part, source / part)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    (source / "models" / "open" / "made-up.onnx").write_bytes(b"weights")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--disable-pip-version-check", "-w", str(tmp_path)]
    subprocess.run([*command, str(source)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        points = next(name for name in names if name.endswith("entry_points.txt"))
        assert "face-blur = app.cli:process" in archive.read(points).decode()
    code = {path.relative_to(ROOT).as_posix() for path in (ROOT / "app").rglob("*.py")}
    packs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "models").glob("*/pack.toml")}
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "models").glob("*/*.json")}
    assert code | packs | data <= names
    assert "models/open/pack.toml" in packs
    assert not [name for name in names if name.endswith(".onnx") or name.startswith("tests")]


def test_the_licence_is_the_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License\n                           Version 2.0, January 2004" in text
    assert text.rstrip().endswith("limitations under the License.")
    assert PROJECT["license"] == "Apache-2.0"


def test_the_changelog_knows_the_version_or_has_unreleased_work() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert "## [Unreleased]" in changelog or f"## [{PROJECT['version']}]" in changelog


def test_the_script_of_continuous_integration_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
