"""Where a job reads and writes, and what its files become."""

from pathlib import Path

import pytest

from app.errors import UsageError
from app.files import remove_leftovers
from app.job.folders import Folders, find_folders, make_parser
from app.job.inputs import find_files
from tests.job.starting import Mounts


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def places(mounts: Mounts, *arguments: str, **environment: str) -> Folders:
    named = [one.format(root=mounts.root) for one in arguments]
    return find_folders(make_parser().parse_args(["--root", str(mounts.root), *named]), environment)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--inputs", "x"), "unrecognized arguments: --inputs"),
        (("--input", "nowhere"), "the folder of the input is missing"),
        (("--output", "{root}/processing/input/hidden"), "input and output overlap"),
        (("--output", "{root}/processing"), "input and output overlap"),
        (("--people", "{root}/processing/input"), "the people lie in the input"),
        (("--input", "{root}/" + "n" * 300), "a folder of the job cannot be looked at"),
    ],
)
def test_places_that_cannot_be(mounts: Mounts, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        places(mounts, *arguments)


@pytest.mark.parametrize(
    "config", ["", "[]", "{}", '{"current_host": "../x"}', '{"current_host": 1}']
)
def test_a_host_without_a_name_is_refused(mounts: Mounts, config: str) -> None:
    assert places(mounts).host == "local"
    mounts.be("algo-2")
    assert places(mounts).host == "algo-2"
    (mounts.root / "config" / "resourceconfig.json").write_text(config)
    with pytest.raises(UsageError, match="current_host"):
        places(mounts)


def test_people_come_from_the_first_place_that_has_some(mounts: Mounts) -> None:
    model = mounts.root / "model" / "people"
    for folder in (mounts.people, model):
        folder.mkdir(parents=True)
        (folder / ".DS_Store").touch()
    assert places(mounts).people is None
    (model / "alice.jpg").touch()
    assert places(mounts).people == str(model)
    (mounts.people / "bob.jpg").touch()
    assert places(mounts).people == str(mounts.people)
    bucket = "s3://bucket/people"
    assert places(mounts, FACE_BLUR_PEOPLE=bucket).people == bucket
    assert places(mounts, "--people", "here", FACE_BLUR_PEOPLE=bucket).people == "here"


def test_files_are_found_in_order_and_none_is_passed_over(mounts: Mounts) -> None:
    for name in ("b/z", "a", "b.c", ".hidden", "b/.x/y", "empty folder/", "b/a"):
        place = mounts.input / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir() if name.endswith("/") else place.touch()
    (mounts.input / "loop").symlink_to(mounts.input)
    found = find_files(mounts.input)
    assert found.files == ("a", "b.c", "b/a", "b/z", "loop")
    assert found.hidden == (".hidden", "b/.x/y")
    assert found.unreadable == ()


def test_only_what_a_killed_process_left_of_a_file_is_cleared(tmp_path: Path) -> None:
    ours = {f".a.mp4.{'0' * 32}.part", f".a.mp4.{'f' * 32}.part"}
    others = {"a.mp4", f".b.mp4.{'0' * 32}.part", ".a.mp4.part", f".aXmp4.{'0' * 32}.part"}
    for name in ours | others:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a.mp4")
    remove_leftovers(tmp_path / "nowhere" / "a.mp4")
    assert {path.name for path in tmp_path.iterdir()} == others
