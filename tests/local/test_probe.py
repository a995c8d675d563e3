"""The first run, with the real service and the real job."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from scripts import probe
from scripts.aws import probe_facts, probing
from scripts.aws.probe_requests import Probe
from scripts.aws.probe_video import Drawing
from scripts.local.containers import ProgramLauncher
from tests.aws_jobs import IMAGE, ROLE, Commands, Ran
from tests.local_sagemaker import BUCKET, REGION, Local

pytestmark = pytest.mark.slow
WHERE = ("--region", REGION, "--bucket", BUCKET, "--role-arn", ROLE, "--image-uri", IMAGE)
CPU = (*WHERE, "--instance-type", "ml.c6i.2xlarge", "--poll", "0.2")
STUBBORN = Path(__file__).with_name("stubborn.py")
QUOTA = "ml.c6i.2xlarge for transform job usage"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_facts, "_LOG_SECONDS", 5.0)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., tuple[Ran, Any]]:
    """Runs the command; returns how it ended, and the facts that it wrote."""
    commands = Commands(capsys, tmp_path / "variables.py")

    def play(*options: str) -> tuple[Ran, Any]:
        output = tmp_path / "facts.json"
        ran = commands(probe, *CPU, "--output", str(output), *options)
        return ran, json.loads(output.read_text()) if output.exists() else None

    return play


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which the results are kept before the run deletes them."""
    folder = tmp_path / "kept"

    def keep(run_of: Probe) -> list[str]:
        client, place = run_of.cloud.client("s3"), run_of.folder
        listed = client.list_objects_v2(Bucket=place.bucket, Prefix=place.key)["Contents"]
        for one in listed:
            path = folder / one["Key"].removeprefix(place.key)
            path.parent.mkdir(parents=True, exist_ok=True)
            client.download_file(place.bucket, one["Key"], str(path))
        return probing.clean(run_of)

    monkeypatch.setattr(probe, "clean", keep)
    return folder


def left(local: Local) -> list[str]:
    listed = local.s3.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    models = local.api.list_models()["Models"]
    return [*(one["Key"] for one in listed), *(one["ModelName"] for one in models)]


def read(path: Path) -> tuple[list[Any], list[float | None], bytes]:
    """Return pictures, times, and the packets of the sound."""
    with av.open(str(path)) as container:
        frames = [(one.to_ndarray(format="gray"), one.time) for one in container.decode(video=0)]
    with av.open(str(path)) as container:
        sound = b"".join(bytes(packet) for packet in container.demux(audio=0))
    return [one for one, _ in frames], [time for _, time in frames], sound


def detail(picture: Any) -> float:
    """The contrast between neighbours in the middle of the face, which moves by 30 pixels."""
    return float(np.abs(np.diff(picture[120:230, 260:380].astype(float))).mean())


def test_both_jobs_tell_their_facts_and_leave_nothing(
    account: Local, run: Callable[..., tuple[Ran, Any]], kept: Path
) -> None:
    account.sagemaker.quotas = {QUOTA: 0.0, "ml.c6i.2xlarge for processing job usage": 8.0}
    ran, facts = run()
    assert ran.code == 0, ran.err
    assert left(account) == []
    # The bill comes before the jobs.
    assert ran.err.index("worst case: 0.2 hours") < ran.err.index("the transform job")
    assert ran.err.index("worst case: 0.5 hours") < ran.err.index("the transform job")
    transform, processing = facts["transform"], facts["processing"]
    for job in (transform, processing):
        assert (job["fault"], job["status"]) == ("", "Completed")
        assert (job["instance_type"], job["instances"]) == ("ml.c6i.2xlarge", 1)
        assert job["seconds_to_start"] >= 0 < job["seconds_running"]
        known = {"uid", "spool", "free_bytes", "cpus", "memory_bytes"}
        known |= {"device", "provider", "driver", "encoder"}
        assert known <= job["ready"].keys()
        assert (job["work"]["frames"], job["work"]["hidden"]) == (50, 1)
    assert transform["result"]["name"] == "transform/folder/probe.mp4.out"
    assert processing["result"]["name"] == "processing/folder/probe.mp4"
    assert processing["layout"] == ["without the prefix"]
    assert processing["doctor"]["folders"]["input"]["names"] == ["folder/probe.mp4"]
    assert processing["doctor"]["encoders"]["libx264"] == "works"
    assert facts["quotas"][QUOTA] == 0
    assert f"the quota of {QUOTA} is 0, and the variables ask for 1" in facts["surprises"]
    assert "processing: NVENC: " in ran.out
    text = json.dumps(facts) + ran.out
    assert BUCKET not in text
    assert "123456789012" not in text
    before = read(kept / "input/folder/probe.mp4")
    for name in ("transform/folder/probe.mp4.out", "processing/folder/probe.mp4"):
        after = read(kept / name)
        assert len(after[0]) == len(before[0]) == Drawing().frames
        assert after[1:] == before[1:]
        for one, other in zip(before[0], after[0], strict=True):
            assert detail(other) < 0.5 * detail(one)


def test_names_of_whole_keys_are_a_surprise(
    account: Local, run: Callable[..., tuple[Ran, Any]]
) -> None:
    account.sagemaker.whole_keys = True
    ran, facts = run("--only", "processing")
    assert ran.code == 0, ran.err
    assert "transform" not in facts
    job = facts["processing"]
    assert job["layout"] == ["whole key"]
    assert job["names_of_inputs"] == ["PREFIX/input/folder/probe.mp4"]
    assert job["result"]["frames"] == 50
    (line,) = [one for one in facts["surprises"] if "named by whole key" in one]
    assert line in ran.out
    assert facts["quotas"][QUOTA].startswith("unknown: service-quotas list_aws_default")
    assert left(account) == []


def test_a_failed_job_fails_the_run_with_its_reason_and_log(
    account: Local, run: Callable[..., tuple[Ran, Any]]
) -> None:
    fails = "import sys; print('the disk of videos is full'); sys.exit(3)"
    account.sagemaker.program = [sys.executable, "-c", fails]
    account.sagemaker.launcher = ProgramLauncher(Path("unused"), [sys.executable, "-c", fails])
    ran, facts = run()
    assert ran.code == 1
    for kind in ("transform", "processing"):
        assert facts[kind]["status"] == "Failed"
        assert facts[kind]["log"][0] == "the disk of BUCKET is full"
        assert f"{kind}: the disk of BUCKET is full" in ran.err
    last = ran.err.splitlines()[-1]
    assert "Model container exited with code 3 before it was ready" in last
    assert "AlgorithmError: exit code: 3" in last
    assert facts["surprises"] == []
    assert left(account) == []


def test_an_interrupted_run_stops_its_job_and_leaves_nothing(
    account: Local,
    run: Callable[..., tuple[Ran, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account.sagemaker.program = [sys.executable, str(STUBBORN), str(tmp_path / "spool")]

    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(probing, "_results", interrupt)
    ran, facts = run("--only", "processing")
    assert ran.code == 130
    assert "was stopped" in ran.err
    (job,) = account.api.list_processing_jobs()["ProcessingJobSummaries"]
    assert job["ProcessingJobStatus"] == "Stopped"
    assert left(account) == []
    assert "processing" not in facts


def test_a_job_that_does_not_end_is_stopped(
    account: Local,
    run: Callable[..., tuple[Ran, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account.sagemaker.program = [sys.executable, str(STUBBORN), str(tmp_path / "spool")]
    monkeypatch.setattr(probe, "_LEAST_MINUTES", 0.0)
    monkeypatch.setattr(probe_facts, "_LOG_SECONDS", 0.0)
    ran, facts = run("--only", "processing", "--minutes", "0.01")
    assert ran.code == 1
    assert "has not ended after 0:00:00" in ran.err
    assert facts["processing"]["status"] == "Stopped"
    assert left(account) == []


def test_a_refused_job_is_a_fault_and_the_other_one_runs(
    account: Local,
    run: Callable[..., tuple[Ran, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from scripts.aws.cloud import CloudError

    def refuse(*_: object) -> None:
        raise CloudError("ResourceLimitExceeded: the quota is 0", "ResourceLimitExceeded")

    monkeypatch.setattr(probe, "create_transform", refuse)
    ran, facts = run()
    assert ran.code == 1
    assert ran.err.splitlines()[-1].endswith("transform: ResourceLimitExceeded: the quota is 0")
    assert facts["transform"]["status"] == "never created"
    assert facts["processing"]["result"]["frames"] == 50
    assert left(account) == []


def test_what_cannot_be_deleted_is_said(
    account: Local,
    run: Callable[..., tuple[Ran, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from scripts.aws.cloud import CloudError

    def refuse(_: object) -> None:
        raise CloudError("s3 delete_object: AccessDenied: no")

    account.sagemaker.program = [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(probing, "_delete_objects", refuse)
    monkeypatch.setattr(probe_facts, "_LOG_SECONDS", 0.0)
    ran, _ = run("--only", "processing")
    assert ran.code == 1
    assert "some of the run is left: s3 delete_object: AccessDenied: no" in ran.err
