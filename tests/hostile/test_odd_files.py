"""Files that are built to trouble a reader go through the job."""

import pytest

from bench.hostile import Run, run
from testmedia.odd_files import odd_files

TOO_LARGE = {"png-bomb", "huge-png", "huge-jpeg"}
REFUSED = {
    *("empty", "one-byte", "only-a-name", "only-packets", "deep-nest", "compressed-header"),
    *("animation", "profile-bomb", "text-bomb"),
}
"""Files that must have no result; any other may have one without a face."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(list(odd_files()), tmp_path_factory.mktemp("odd") / "job")


def test_odd_files_are_refused_or_their_faces_are_hidden(done: Run) -> None:
    bad = [
        (one.file.name, one.result, one.detail)
        for one in done.outcomes
        if one.result not in {"hidden", "refused"}
    ]
    assert bad == []
    assert (done.litter, done.noise) == ((), ())


def test_bombs_and_fragments_have_no_result(done: Run) -> None:
    refused = {}
    for one, file in zip(done.outcomes, odd_files(), strict=True):
        if one.result == "refused":
            refused[file.title] = one.code
    assert refused.keys() >= TOO_LARGE | REFUSED
    assert {refused[title] for title in TOO_LARGE} == {"too_large"}
    assert {refused[title] for title in REFUSED} <= {"broken_media", "unsupported_media"}
