"""The folders of a job, and the files in them."""

from pathlib import Path

import pytest

from app.batch.inputs import find_files
from app.errors import UsageError
from app.job.folders import Folders, find_folders, make_parser
from tests.job.job_process import Mounts


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def folders(mounts: Mounts, *arguments: str, **environment: str) -> Folders:
    named = [one.format(root=mounts.root) for one in arguments]
    return find_folders(make_parser().parse_args(["--root", str(mounts.root), *named]), environment)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--inputs", "x"), "there is no option --inputs"),
        (("--input", "nowhere"), "the input folder is missing"),
        (("--output", "{root}/processing/input/hidden"), "input and output overlap"),
        (("--output", "{root}/processing"), "input and output overlap"),
        (("--people", "{root}/processing/input"), "the folder of people is inside the input"),
        (("--input", "{root}/" + "n" * 300), "a folder of the job cannot be read"),
    ],
)
def test_invalid_folders_are_refused(
    mounts: Mounts, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        folders(mounts, *arguments)


@pytest.mark.parametrize(
    "config", ["", "[]", "{}", '{"current_host": "../x"}', '{"current_host": 1}']
)
def test_an_invalid_host_name_is_refused(mounts: Mounts, config: str) -> None:
    assert folders(mounts).host == "local"
    mounts.set_host("algo-2")
    assert folders(mounts).host == "algo-2"
    (mounts.root / "config" / "resourceconfig.json").write_text(config)
    with pytest.raises(UsageError, match="current_host"):
        folders(mounts)


def test_people_come_from_the_first_folder_with_photos(mounts: Mounts) -> None:
    model = mounts.root / "model" / "people"
    for folder in (mounts.people, model):
        folder.mkdir(parents=True)
        (folder / ".DS_Store").touch()
    assert folders(mounts).people is None
    (model / "alice.jpg").touch()
    assert folders(mounts).people == str(model)
    (mounts.people / "bob.jpg").touch()
    assert folders(mounts).people == str(mounts.people)
    bucket = "s3://bucket/people"
    assert folders(mounts, FACE_BLUR_PEOPLE=bucket).people == bucket
    assert folders(mounts, "--people", "here", FACE_BLUR_PEOPLE=bucket).people == "here"


def test_all_files_are_listed_in_order(mounts: Mounts) -> None:
    system = ("@eaDir/a/thumb.jpg", "Desktop.ini", "__MACOSX/b/z", "b/THUMBS.DB")
    names = ("b/z", "a", "b.c", ".hidden", "b/.x/y", "empty folder/", "b/a", "b/._a", "b/thumbs")
    for name in (*names, *system):
        path = mounts.input / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    (mounts.input / "loop").symlink_to(mounts.input)
    found = find_files(mounts.input)
    assert tuple(found.files) == ("a", "b.c", "b/a", "b/thumbs", "b/z", "loop")
    assert found.hidden == (".hidden", "b/._a", "b/.x/y")
    assert found.system == system
    assert found.unreadable == ()
