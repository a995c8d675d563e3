"""The import rule, and the limits of size, of everything that is shipped."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = (
    {"types", "errors", "geometry", "logs", "files", "validation", "memory", "temporary"}
    | {"control_groups", "machine", "system_files", "version", "workers"}
    | {"process", "isolation"},
    {"networks"},
    {"packs"},
    {"video", "shots", "faces", "tracking", "identity", "effects", "storage", "config"},
    {"edits", "pipeline", "plan", "contact_sheet", "reporting", "pieces", "verification"}
    | {"devices", "doctor"},
    {"batch", "review"},
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
    """Yield the full names of all imported modules, also inside functions."""
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
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_imports_go_down_only() -> None:
    modules = {path: module_of(path) for path in sources() if module_of(path).startswith("app")}
    wrong = {
        module: found
        for path, module in modules.items()
        if (found := forbidden(path.read_text("utf-8"), module))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("module", "source", "allowed"),
    [
        ("app.geometry", "from app.types import Boxes", True),
        ("app.types", "from app.video import open_source", False),
        ("app.video.source", "from app.video import frame", True),
        ("app.video.source", "from app.errors import MediaError", True),
        ("app.video.source", "import app.faces", False),
        ("app.shots", "from app.networks import open_session", True),
        ("app.networks", "from app.faces import packs", False),
        ("app.packs.catalogue", "from app import video", False),
        ("app.packs.catalogue", "from app.config import Settings", False),
        ("app.packs.catalogue", "def f():\n    from app.config import Settings", False),
        ("app.packs.catalogue", "from ..video import frame", False),
        ("app.packs.catalogue", "from . import archives", True),
        ("app.config", "from app.plan import Plan", False),
        ("app.pipeline", "from app.config import Settings\nimport app.faces", True),
        ("app.reporting.html", "from app.plan import Plan", True),
        ("app.reporting.html", "from app.cli import main", False),
        ("app.cli.main", "from app.pipeline import analyse", True),
        ("app.web.server", "from app.cli import main", False),
        ("app.video.source", "import testmedia.fetch", False),
        ("app.cli.main", "from scripts.aws.cloud import Cloud", False),
    ],
)
def test_the_rule(module: str, source: str, *, allowed: bool) -> None:
    assert (forbidden(source, module) == []) is allowed


def prints(tree: ast.Module) -> bool:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def test_only_the_edges_print() -> None:
    inside = (path for path in sources() if not name(path).startswith(PRINTING))
    assert [name(path) for path in inside if prints(ast.parse(path.read_text("utf-8")))] == []


def long_functions(text: str) -> list[str]:
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    ]


def test_modules_and_functions_are_short() -> None:
    texts = {name(path): path.read_text("utf-8") for path in sources()}
    assert [one for one, text in texts.items() if len(text.splitlines()) > MODULE_LINES] == []
    assert {one: found for one, text in texts.items() if (found := long_functions(text))} == {}
