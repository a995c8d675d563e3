"""Damaged files go through the job: each is refused, or its face is hidden."""

import re
from pathlib import Path

import pytest

from bench import hostile
from bench.hostile import BAD, GOOD, Run, run
from testmedia.faces import NAMES
from testmedia.mutants import MUTATIONS, corpus

COUNT = 300
MOST_PARTS = 0.02
"""Part of the files in which a damaged face may be left: more would mean that faces are missed."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(list(corpus(COUNT)), tmp_path_factory.mktemp("corpus") / "job")


def test_no_damaged_file_leaves_a_face_or_breaks_the_job(done: Run) -> None:
    bad = [(one.file.name, one.result, one.detail) for one in done.outcomes if one.result in BAD]
    assert bad == []
    assert (done.litter, done.noise) == ((), ())
    parts = [one for one in done.outcomes if one.result == "part left"]
    assert len(parts) <= COUNT * MOST_PARTS


def test_many_damaged_files_of_each_kind_come_through(done: Run) -> None:
    """Otherwise the mutants would only try the recognition of the kind."""
    for name in NAMES:
        results = [one.result for one in done.outcomes if one.file.seed.name == name]
        assert {"hidden", "refused"} <= set(results), name
        assert results.count("hidden") >= len(results) / 10, name


def test_the_page_has_all_outcomes_of_this_program() -> None:
    """The page is written by ``make hostile`` and has more files than this test."""
    text = (hostile.ROOT / "docs" / "robustness.md").read_text("utf-8")
    command = re.search(r"`python -m bench\.hostile --count (\d+) --start \d+`", text)
    assert command
    assert int(command[1]) > COUNT
    heads = re.findall(r"^\| (seed|mutation) \| files \| (.*) \|$", text, re.MULTILINE)
    assert [head for head, _ in heads] == ["seed", "mutation"]
    assert {columns for _, columns in heads} == {" | ".join((*GOOD, *BAD))}
    rows = re.findall(r"^\| ([\w. ]+) \| \d+ \|", text, re.MULTILINE)
    assert rows == [*NAMES, "all", *MUTATIONS, "all"]


def test_the_page_is_made_of_the_outcomes(done: Run, tmp_path: Path) -> None:
    text = hostile.page(done, 0)
    assert f"--count {COUNT} --start 0" in text
    for head in ("seed", "mutation"):
        table = text[text.index(f"| {head} | files") :].split("\n\n")[0].splitlines()
        cells = [[int(cell.strip() or 0) for cell in row.split("|")[2:-1]] for row in table[2:]]
        *rows, total = cells
        assert [sum(column) for column in zip(*rows, strict=True)] == total
        assert total[0] == sum(total[1:]) == COUNT
