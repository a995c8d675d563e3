"""docs/architecture.md names the layers of the import rule and all packages of ``app``."""

import re
from pathlib import Path

from tests.test_layers import LAYERS, OPEN

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_table_of_layers_is_the_import_rule() -> None:
    section = PAGE.split("| layer |")[1].split("\n\n")[0]
    rows = [re.split(r" ?\| ?", line)[1:-1] for line in section.splitlines()[2:]]
    assert [set(re.findall(r"`(\w+)`", names)) for _, names, _ in rows] == list(LAYERS)
    assert tuple(number for number, row in enumerate(rows) if row[2] == "yes") == OPEN


def test_every_package_is_described() -> None:
    packages = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    described = set(re.findall(r"`app/(\w+)`", PAGE.split("| package |")[1].split("\n\n")[0]))
    assert described == packages
