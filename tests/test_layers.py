"""The import rule, and the limits of size, of everything that is shipped."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    {"types", "errors", "geometry", "logs", "signals", "files", "memory"},
    {"networks"},
    {"packs"},
    {"video", "shots", "faces", "tracking", "identity", "effects", "storage", "config"},
    {"pipeline", "plan", "report", "pieces"},
    {"cli", "web", "job"},
)
"""Parts of ``app`` from the bottom up. A part imports itself and what lies below it."""
OPEN = (0, 4)
"""The layers whose parts may also import each other."""
PRINTING = ("app/cli/", "scripts/", "bench/")
MODULE_LINES = 400
FUNCTION_LINES = 60


def sources() -> list[Path]:
    return sorted(
        path
        for folder in ("app", "scripts", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "scripts" / "variables.py"
    )


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.Module, module: str) -> Iterator[str]:
    """Every module that is imported, wherever in the file, in full."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.rsplit(".", node.level)[0] + "." if node.level else ""
            whole = (base + (node.module or "")).rstrip(".")
            yield from (f"{whole}.{alias.name}" for alias in node.names)


def layer(part: str) -> int:
    found = [number for number, parts in enumerate(LAYERS) if part in parts]
    assert found, f"app.{part} is in no layer"
    return found[0]


def forbidden(source: str, module: str) -> list[str]:
    """The imports of a module of ``app`` that the rule forbids."""
    own = module.split(".")[1] if "." in module else ""
    wrong = []
    for imported in imports(ast.parse(source), module):
        top, _, rest = imported.partition(".")
        if top in {"scripts", "bench", "tests", "testmedia"}:
            wrong.append(imported)
        part = rest.split(".")[0]
        if top != "app" or part in {"", own} or not own:
            continue
        mine, other = layer(own), layer(part)
        if other > mine or (other == mine and mine not in OPEN):
            wrong.append(imported)
    return wrong


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts)


@pytest.mark.parametrize(
    "path", [p for p in sources() if p.parts[len(ROOT.parts)] == "app"], ids=name
)
def test_imports_go_down_only(path: Path) -> None:
    assert forbidden(path.read_text("utf-8"), module_of(path)) == []


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("app.geometry", "from app.types import Boxes", True),
        ("app.types", "from app.video import open_source", False),
        ("app.video.source", "from app.video import frame", True),
        ("app.video.source", "from app.errors import MediaError", True),
        ("app.video.source", "import app.faces", False),
        ("app.shots.content", "from app.networks import sessions", True),
        ("app.networks.sessions", "from app.faces import packs", False),
        ("app.packs.catalogue", "from app import video", False),
        ("app.packs.catalogue", "from app.config import Settings", False),
        ("app.packs.catalogue", "def f():\n    from app.config import Settings", False),
        ("app.packs.catalogue", "from ..video import frame", False),
        ("app.packs.catalogue", "from . import archives", True),
        ("app.config", "from app.plan import Plan", False),
        ("app.pipeline", "from app.config import Settings\nimport app.faces", True),
        ("app.report.html", "from app.plan import Plan", True),
        ("app.report.html", "from app.cli import main", False),
        ("app.cli.main", "from app.pipeline import analyse", True),
        ("app.web.server", "from app.cli import main", False),
        ("app.video.source", "import testmedia.fetch", False),
        ("app.cli.main", "from scripts.aws.cloud import Cloud", False),
    ],
)
def test_the_rule(module: str, source: str, *, allowed: bool) -> None:
    assert (forbidden(source, module) == []) is allowed


@pytest.mark.parametrize("path", sources(), ids=name)
def test_only_the_edges_print(path: Path) -> None:
    calls = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    lines = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not lines or name(path).startswith(PRINTING)


@pytest.mark.parametrize("path", sources(), ids=name)
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MODULE_LINES
    long = [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []
