"""Verification in the region, by the real job: good results are collected, and no others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts import collect, run_processing, run_transform
from scripts.aws import region
from scripts.aws.probe_video import Drawing
from testmedia.clip import write_clip
from testmedia.smoke_media import scene
from tests.aws_jobs import IMAGE, ROLE, Commands, Ran
from tests.local.test_real_service import people_archive
from tests.local_sagemaker import BUCKET, REGION, Local
from tests.verification.test_source_match import remux

pytestmark = pytest.mark.slow
WHERE = ("--region", REGION, "--bucket", BUCKET, "--role-arn", ROLE, "--image-uri", IMAGE)
CPU = (*WHERE, "--instance-type", "ml.c6i.2xlarge")
ONE = Drawing(frames=30)
OTHER = Drawing(frames=30, background=(190, 180, 60), beats=(0.1, 0.6))
POLL = ("--poll", "0.2")
Rows = dict[str, tuple[str, str]]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("videos")
    return ONE.write(folder / "one.mp4"), OTHER.write(folder / "other.mp4")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


@pytest.fixture
def gather(run: Commands) -> Callable[..., tuple[Ran, Rows]]:
    """Runs ``collect one``; returns how it ended, and its rows."""

    def play(*options: str) -> tuple[Ran, Rows]:
        ran = run(collect, "one", *WHERE, "--json", *options)
        rows = json.loads(ran.out) if ran.out else []
        return ran, {row["file"]: (row["status"], row["result"] or row["message"]) for row in rows}

    return play


def put(local: Local, key: str, path: Path) -> None:
    local.s3.upload_file(str(path), BUCKET, key)


def fetch(local: Local, key: str, path: Path) -> Path:
    local.s3.download_file(BUCKET, key, str(path))
    return path


def keys(local: Local, prefix: str) -> list[str]:
    listed = local.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in listed.get("Contents", ())]


def jobs(local: Local) -> list[str]:
    listed = local.api.list_processing_jobs()["ProcessingJobSummaries"]
    return [one["ProcessingJobName"] for one in listed]


def transform(local: Local, run: Commands, inputs: dict[str, Path], *options: str) -> None:
    for name, path in inputs.items():
        put(local, f"input/{name}", path)
    ran = run(run_transform, *CPU, "--name", "one", "--wait", *POLL, *options)
    assert ran.code == 0, ran.err


def test_region_and_local_say_the_same_about_each_fault(
    account: Local,
    run: Commands,
    gather: Callable[..., tuple[Ran, Rows]],
    videos: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    one, other = videos
    names = ("bare.mp4", "cut.mp4", "good.mp4", "mute.mp4", "swapped.mp4")
    transform(account, run, {**dict.fromkeys(names, one), "more/swapped.mp4": other})
    results = {name: fetch(account, f"output/one/{name}.out", tmp_path / "good") for name in names}
    good = results["good.mp4"]
    put(account, "output/one/cut.mp4.out", remux(good, tmp_path / "cut.mp4", skip=29))
    mute = remux(good, tmp_path / "mute.mp4", codec="none")
    put(account, "output/one/mute.mp4.out", mute)
    # Encoded again, with every face to be seen.
    bare = remux(one, tmp_path / "bare.mkv")
    put(account, "output/one/bare.mp4.out", bare)
    theirs = fetch(account, "output/one/more/swapped.mp4.out", tmp_path / "theirs")
    put(account, "output/one/swapped.mp4.out", theirs)
    put(account, "output/one/more/swapped.mp4.out", good)

    ran, rows = gather("--verify", "region", *POLL, "--download", str(tmp_path / "here"))
    assert ran.code == 1
    assert ran.err.index("worst case: 24.0 hours of ml.c6i.2xlarge") < ran.err.index("InProgress")
    assert rows["good.mp4"] == ("done", "output/one/good.mp4")
    assert {name for name, (status, _) in rows.items() if status == "done"} == {"good.mp4"}
    assert rows["cut.mp4"][1] == "frames: 29, not 30 as in its source"
    assert rows["mute.mp4"][1] == "sound: 0 streams, not 1 as in its source"
    for name in ("swapped.mp4", "more/swapped.mp4"):
        assert rows[name][1] == "its pictures are not those of its source"
    assert rows["bare.mp4"][1].startswith("frames 0 to 29 (0:00): a face that the plan does")
    assert (tmp_path / "here" / "good.mp4").read_bytes() == good.read_bytes()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["good.mp4"]
    assert "output/one/good.mp4" in keys(account, "output/one/")
    (job,) = jobs(account)

    # Reports are read again; no other job is started.
    again, same = gather("--verify", "region", *POLL)
    assert (again.code, same) == (1, rows)
    assert jobs(account) == [job]

    _, here = gather("--verify", "local")
    faults = ("cut.mp4", "mute.mp4", "swapped.mp4", "more/swapped.mp4", "good.mp4")
    assert {name: here[name] for name in faults} == {name: rows[name] for name in faults}


def test_a_result_that_changes_after_its_verification_is_not_collected(
    account: Local,
    run: Commands,
    gather: Callable[..., tuple[Ran, Rows]],
    videos: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = videos
    transform(account, run, {"a.mp4": one, "b.mp4": one})
    verify = region.verify_in_region

    def change(*args: Any) -> Any:
        judge = verify(*args)
        put(account, "output/one/a.mp4.out", other)
        return judge

    monkeypatch.setattr(collect, "verify_in_region", change)
    ran, rows = gather("--verify", "region", *POLL)
    assert ran.code == 1
    assert rows == {
        "a.mp4": ("failed", "not verified: no report speaks of it"),
        "b.mp4": ("done", "output/one/b.mp4"),
    }
    assert "output/one/a.mp4.out" in keys(account, "output/one/")
    # The next run looks at the new content, and at nothing else.
    monkeypatch.setattr(collect, "verify_in_region", verify)
    ran, rows = gather("--verify", "region", *POLL)
    assert rows["a.mp4"] == ("failed", "its pictures are not those of its source")
    assert "1 results of one are verified" in ran.err
    # Another source under the same name: what is known is about another file.
    put(account, "input/b.mp4", other)
    ran, rows = gather("--verify", "region", *POLL)
    assert rows["b.mp4"][0] == "missing"


def test_without_a_report_nothing_is_collected(
    account: Local,
    run: Commands,
    gather: Callable[..., tuple[Ran, Rows]],
    videos: tuple[Path, Path],
) -> None:
    transform(account, run, {"a.mp4": videos[0]})
    account.sagemaker.program = ["false"]
    ran, rows = gather("--verify", "region", *POLL)
    assert ran.code == 1
    status, message = rows["a.mp4"]
    assert status == "failed"
    assert message.startswith("not verified: face-blur-")
    assert message.endswith("failed: AlgorithmError: exit code: 1")
    assert keys(account, "output/one/") == ["output/one/a.mp4.out"]
    dry = run(collect, "one", *WHERE, "--verify", "region", "--dry-run")
    assert dry.code == 1
    operations = [json.loads(line)["operation"] for line in dry.out.splitlines()]
    assert operations == ["put_object"] * 3 + ["create_processing_job"]
    request = json.loads(dry.out.splitlines()[-1])["request"]
    cluster = request["ProcessingResources"]["ClusterConfig"]
    assert (cluster["InstanceType"], cluster["InstanceCount"]) == ("ml.c6i.2xlarge", 1)
    assert request["AppSpecification"]["ContainerArguments"] == ["step", "verify-results"]


@pytest.mark.parametrize("whole_keys", [False, True])
def test_results_of_a_processing_job_are_verified_with_their_plans(
    whole_keys: bool,
    account: Local,
    run: Commands,
    gather: Callable[..., tuple[Ran, Rows]],
    videos: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    account.sagemaker.whole_keys = whole_keys
    for name in ("a.mp4", "more/b.mp4"):
        put(account, f"input/{name}", videos[0])
    ran = run(run_processing, *WHERE, "--name", "one", "--wait", *POLL)
    assert ran.code == 0, ran.err
    root = "output/one/input/" if whole_keys else "output/one/"
    expected = {name: ("done", f"{root}{name}") for name in ("a.mp4", "more/b.mp4")}
    for _ in range(2):
        ran, rows = gather("--verify", "region", *POLL)
        assert (ran.code, rows) == (0, expected), ran.err
    assert len(jobs(account)) == 2
    # A result that is not the one that the job has reported, however good it is.
    result = fetch(account, f"{root}a.mp4", tmp_path / "a.mp4")
    put(account, f"{root}a.mp4", remux(result, tmp_path / "again.mp4"))
    ran, rows = gather("--verify", "region", *POLL)
    assert ran.code == 1
    assert rows["a.mp4"] == ("failed", "it is not the file that the report describes")
    assert rows["more/b.mp4"] == expected["more/b.mp4"]


def test_people_who_may_be_seen_are_no_finding(
    account: Local,
    run: Commands,
    gather: Callable[..., tuple[Ran, Rows]],
    tmp_path: Path,
) -> None:
    clip = write_clip(scene(), tmp_path / "clip.mp4")
    account.s3.put_object(Bucket=BUCKET, Key="people.tar.gz", Body=people_archive())
    transform(account, run, {"a.mp4": clip.path}, "--blur", "listed")
    ran, rows = gather("--verify", "region", *POLL)
    assert (ran.code, rows) == (0, {"a.mp4": ("done", "output/one/a.mp4")}), ran.err
    # Shown to everybody: only the listed person is a finding.
    put(account, "output/one/a.mp4", remux(clip.path, tmp_path / "bare.mkv"))
    account.s3.copy_object(
        Bucket=BUCKET, Key="output/one/a.mp4.out", CopySource=f"{BUCKET}/output/one/a.mp4"
    )
    account.s3.delete_object(Bucket=BUCKET, Key="output/one/a.mp4")
    ran, rows = gather("--verify", "region", *POLL)
    assert ran.code == 1
    assert "obama is recognised" in rows["a.mp4"][1]
    assert "a face that the plan does not have" not in rows["a.mp4"][1]
    # Other photos say something else about the same results.
    account.s3.put_object(Bucket=BUCKET, Key="people.tar.gz", Body=people_archive() + b"\0")
    put(account, "output/one/a.mp4.out", clip.path)
    ran, _ = gather("--verify", "region", *POLL)
    assert ran.code == 2
    assert "the photos of people have changed since one started" in ran.err
