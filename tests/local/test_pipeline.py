"""The pipeline of the template: videos go in, and results come out, or a reason why not."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.local.checking import check_video
from scripts.pipeline_local import CHANGES, CHOICES, check, make_media, play, stack

pytestmark = pytest.mark.slow
STUBBORN = Path(__file__).with_name("stubborn.py")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    make_media(folder)
    return folder


def objects(cloud: Any, prefix: str) -> list[str]:
    found = cloud.client("s3").list_objects_v2(Bucket=cloud.bucket, Prefix=prefix)
    return [one["Key"] for one in found.get("Contents", ())]


def upload(cloud: Any, media: Path, name: str, key: str = "") -> None:
    cloud.client("s3").upload_file(
        str(media / "input" / name), cloud.bucket, key or f"input/{name}"
    )


def upload_people(cloud: Any, media: Path) -> None:
    for photo in sorted((media / "people").rglob("*.jpg")):
        key = photo.relative_to(media).as_posix()
        cloud.client("s3").upload_file(str(photo), cloud.bucket, key)


def execution(machines: Any) -> str:
    """Start what the events ask for; return the ARN of the only execution of the pipeline."""
    for gate in machines.deliver():
        assert machines.wait(gate)["status"] == "SUCCEEDED"
    (one,) = machines.executions("PipelineMachine")
    return str(one["executionArn"])


def states(machines: Any, arn: str) -> list[str]:
    entered = (event for event in machines.history(arn) if event["type"].endswith("StateEntered"))
    return [event["stateEnteredEventDetails"]["name"] for event in entered]


def test_videos_become_results_frame_for_frame(media: Path, tmp_path: Path) -> None:
    with stack() as (_, cloud, machines):
        ended = play(cloud, machines, media)
        assert list(check(cloud, ended, media, tmp_path)) == []
        routes = {name: states(machines, one["executionArn"]) for name, one in ended.items()}
    assert "CreateTransform" in routes["long.mp4"]
    assert "CreateTransform" not in routes["short.mp4"]
    report = json.loads((tmp_path / "output/reports/long.mp4.json").read_text())
    assert (report["frames"], report["verification"]["frames"]) == (144, 144)
    failure = json.loads((tmp_path / "failed/input/broken.mp4.json").read_text())
    assert failure["step"] == "split"
    assert failure["reason"].startswith("the video")


def test_the_check_finds_faces_that_are_not_hidden_and_frames_that_are_missing(
    media: Path, tmp_path: Path
) -> None:
    truth = json.loads((media / "truth.json").read_text())
    source = media / "input" / "short.mp4"
    unhidden = tmp_path / "short.mp4"
    shutil.copyfile(source, unhidden)
    faults = list(check_video(source, unhidden, truth["videos"]["short.mp4"], "obama"))
    assert len(faults) == truth["videos"]["short.mp4"]["frames"]
    assert all("obama is not hidden" in fault for fault in faults)
    other = list(check_video(source, media / "input/long.mp4", truth["videos"]["short.mp4"], ""))
    assert other == ["long.mp4: 144 frames, but the source has 12"]


@pytest.fixture
def stubborn(tmp_path: Path) -> list[str]:
    """The command of a container that works until it is stopped."""
    return [sys.executable, str(STUBBORN), str(tmp_path)]


def test_stopping_an_execution_stops_its_job(
    media: Path, stubborn: list[str], tmp_path: Path
) -> None:
    with stack(CHANGES, CHOICES | {"Hide": "everyone"}) as (sagemaker, cloud, machines):
        sagemaker.program = stubborn
        upload(cloud, media, "short.mp4")
        time.sleep(0.2)
        arn = execution(machines)
        end = time.monotonic() + 30
        while not (tmp_path / "started").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        machines.states.stop_execution(executionArn=arn)
        clean_up(machines, arn)
        name = f"face-blur-{arn.rpartition(':')[2]}-hide-0"
        sagemaker.wait(name, cloud.variables.region, 30)
        jobs = cloud.client("sagemaker")
        assert (
            jobs.describe_processing_job(ProcessingJobName=name)["ProcessingJobStatus"] == "Stopped"
        )
        assert objects(cloud, "failed/") == ["failed/input/short.mp4.json"]
        assert objects(cloud, "output/") == []


def failure(cloud: Any, key: str) -> Any:
    return json.loads(cloud.client("s3").get_object(Bucket=cloud.bucket, Key=key)["Body"].read())


def clean_up(machines: Any, arn: str) -> None:
    """Play the end of an execution, until its cleanup has ended."""
    machines.announce_end(arn)
    (cleanup,) = machines.deliver()
    assert machines.wait(cleanup)["status"] == "SUCCEEDED"


def test_without_photos_nobody_is_shown_by_mistake(media: Path) -> None:
    with stack(CHANGES, CHOICES | {"Hide": "others"}) as (_, cloud, machines):
        upload(cloud, media, "short.mp4")
        time.sleep(0.2)
        arn = execution(machines)
        assert machines.wait(arn)["status"] == "FAILED"
        assert objects(cloud, "output/") == []
        told = failure(cloud, "failed/input/short.mp4.json")
        assert told["step"] == "hide"
        # The cleanup must not put a poorer reason in the place of this one.
        clean_up(machines, arn)
        assert failure(cloud, "failed/input/short.mp4.json") == told


def test_a_fault_of_the_definition_is_told_too(media: Path) -> None:
    """No state of an execution that ends by a fault of its own can tell the reason."""
    with stack(CHANGES, CHOICES | {"Hide": "everyone"}) as (_, cloud, machines):
        order = {"bucket": cloud.bucket, "key": "input/short.mp4", "etag": "one"}  # without a size
        arn = machines.states.start_execution(
            stateMachineArn=machines.arns["PipelineMachine"], name="odd", input=json.dumps(order)
        )["executionArn"]
        assert machines.wait(arn)["status"] == "FAILED"
        assert objects(cloud, "failed/") == []
        clean_up(machines, arn)
        told = failure(cloud, "failed/input/short.mp4.json")
        assert (told["execution"], told["input"]) == (arn, order)
        assert told["reason"] == "the execution ended as FAILED"


def test_a_job_without_an_instance_is_tried_again(
    media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scripts.local import processing
    from scripts.local.job_runner import JobResult

    run, calls = processing.ProcessingRun.run, []

    def scarce(self: processing.ProcessingRun) -> JobResult:
        calls.append(1)
        if len(calls) < 3:
            reason = "CapacityError: Unable to provision requested ML compute capacity."
            return JobResult("Failed", reason, ())
        return run(self)

    monkeypatch.setattr(processing.ProcessingRun, "run", scarce)
    with stack(CHANGES, CHOICES | {"Hide": "everyone"}) as (_, cloud, machines):
        upload(cloud, media, "short.mp4")
        time.sleep(0.2)
        arn = execution(machines)
        assert machines.wait(arn)["status"] == "SUCCEEDED"
        assert states(machines, arn).count("WaitForCapacity") == 2
        assert "output/short.mp4" in objects(cloud, "output/")


def test_hidden_files_and_other_prefixes_start_nothing(media: Path) -> None:
    with stack() as (_, cloud, machines):
        upload(cloud, media, "short.mp4", "input/.short.mp4")
        upload(cloud, media, "short.mp4", "other/short.mp4")
        time.sleep(0.2)
        (gate,) = machines.deliver()
        assert machines.wait(gate)["status"] == "SUCCEEDED"
        assert machines.executions("PipelineMachine") == []
