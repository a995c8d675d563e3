import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts import run_processing
from scripts.aws.cloud import Cloud
from tests.aws_jobs import (
    BUCKET,
    IMAGE,
    ROLE,
    WHERE,
    Commands,
    backend,
    body,
    fill,
    keys,
    log,
    make_unending,
    processing_job,
    requests,
    with_environment,
)

TAGS = [{"Key": "face-blur:project", "Value": "face-blur"}]
GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    fill(cloud, {"input/a.mp4": b"a", "input/more/b.mp4": b"b"})
    return cloud


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


def source(name: str, uri: str, distribution: str, kind: str = "S3Prefix") -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3DataType": kind,
            "S3Uri": uri,
            "LocalPath": f"/opt/ml/processing/{name}",
            "S3InputMode": "File",
            "S3DataDistributionType": distribution,
            "S3CompressionType": "None",
        },
    }


def test_a_dry_run_prints_the_exact_request(filled: Cloud, run: Commands) -> None:
    fill(filled, {"people/alice.jpg": b"photo"})
    ran = run(
        run_processing,
        *WHERE,
        "--name",
        "one",
        "--dry-run",
        "--blur",
        "others",
        "--effect",
        "solid",
        "--processing-instance-count",
        "9",
        "--kms-key",
        "alias/videos",
        "--subnets",
        "subnet-1",
        "--security-groups",
        "sg-1",
        "--volume-gb",
        "500",
        "--max-runtime-seconds",
        "7200",
    )
    assert ran.code == 0, ran.err
    target = {
        "S3Uri": f"s3://{BUCKET}/output/one/",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "Continuous",
    }
    request = {
        "ProcessingJobName": "one",
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["process"]},
        "ProcessingInputs": [
            source(
                "input",
                f"s3://{BUCKET}/output/one.manifest.json",
                "ShardedByS3Key",
                "ManifestFile",
            ),
            source("people", f"s3://{BUCKET}/people/", "FullyReplicated"),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [{"OutputName": "output", "S3Output": target}],
            "KmsKeyId": "alias/videos",
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.c6i.2xlarge",
                "InstanceCount": 2,
                "VolumeSizeInGB": 500,
                "VolumeKmsKeyId": "alias/videos",
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 7200},
        "NetworkConfig": {
            "EnableNetworkIsolation": True,
            "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        },
        "Environment": {"FACE_BLUR_BLUR": "others", "FACE_BLUR_EFFECT": "solid"},
        "Tags": TAGS,
    }
    said = f"hides everybody except alice (1 photos in s3://{BUCKET}/people/), who stay visible\n"
    assert said in ran.err
    (wrote, manifest), asked = requests(ran.out)
    assert asked[1]["Tags"].pop()["Key"] == "face-blur:people"
    assert asked == ("sagemaker create_processing_job", request)
    assert (wrote, manifest["Key"]) == ("s3 put_object", "output/one.manifest.json")
    assert json.loads(manifest["Body"])[1:] == ["a.mp4", "more/b.mp4"]
    assert not backend().processing_jobs


def test_a_job_without_people_hides_everyone(filled: Cloud, run: Commands) -> None:
    fill(filled, {"people/": b""})
    ran = run(run_processing, *WHERE, "--dry-run")
    _, (_, request) = requests(ran.out)
    assert [one["InputName"] for one in request["ProcessingInputs"]] == ["input"]
    ran = run(run_processing, *WHERE, "--dry-run", "--blur", "listed")
    assert (ran.code, ran.out) == (2, "")
    assert "blur=listed needs people or select" in ran.err


def test_every_photo_ever_uploaded_needs_a_choice(filled: Cloud, run: Commands) -> None:
    fill(filled, {"people/alice/1.jpg": b"a", "people/bob.jpg": b"b", "people/Thumbs.db": b"x"})
    refused = run(run_processing, *WHERE)
    assert (refused.code, refused.out) == (2, "")
    assert "there are photos of alice, bob (2 photos in s3://videos/people/)" in refused.err
    assert not backend().processing_jobs
    ran = run(run_processing, *WHERE, "--dry-run", "--blur", "everyone")
    assert "hides everyone\n" in ran.err
    assert len(requests(ran.out)[1][1]["ProcessingInputs"]) == 1, "no photo is needed"
    ran = run(run_processing, *WHERE, "--dry-run", "--no-people")
    assert (ran.code, "hides everyone\n" in ran.err) == (0, True)


def test_a_job_is_not_resumed_with_other_photos(filled: Cloud, run: Commands) -> None:
    fill(filled, {"people/alice.jpg": b"a"})
    assert run(run_processing, *WHERE, "--name", "one", "--blur", "others").code == 0
    processing_job("one").processing_job_status = "Failed"
    fill(filled, {"people/alice.jpg": b"somebody else"})
    ran = run(run_processing, *WHERE, "--resume", "one")
    assert (ran.code, len(backend().processing_jobs)) == (2, 1)
    assert "the photos of people have changed since one started" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--processing-instance-type", "ml.nothing.large"), "not an allowed value"),
        (("--set", "select=" + ";".join(["0,100,100"] * 40)), "characters, not 0 to 256"),
        (("--keys", "gone.mp4"), "input/gone.mp4: does not exist"),
        (("--resume", "gone"), "gone: no such job"),
    ],
)
def test_a_refused_request_creates_nothing(
    filled: Cloud, run: Commands, options: tuple[str, ...], message: str
) -> None:
    ran = run(run_processing, *WHERE, *options)
    assert ran.code in {1, 2}
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not backend().processing_jobs
    assert not keys(filled, "output/")


@pytest.mark.parametrize("place", ["a.mp4", "input/a.mp4"])
def test_only_new_files_and_only_those_of_the_start(
    filled: Cloud, run: Commands, place: str
) -> None:
    etag = filled.client("s3").head_object(Bucket=BUCKET, Key="input/a.mp4")["ETag"].strip('"')
    fill(filled, {"input/c.mp4": b"c"})
    filled.client("s3").put_object(
        Bucket=BUCKET, Key=f"output/old/{place}", Body=b"x", Metadata={"face-blur-source": etag}
    )
    ran = run(run_processing, *WHERE, "--new", "--name", "one")
    assert ran.code == 0, ran.err
    fill(filled, {"input/later.mp4": b"d"})
    assert json.loads(body(filled, "output/one.manifest.json"))[1:] == ["c.mp4", "more/b.mp4"]
    processing_job("one").processing_job_status = "Failed"
    ran = run(run_processing, *WHERE, "--watch", "one")
    assert ran.err.splitlines()[-1].endswith("unfinished: c.mp4, more/b.mp4")


def report(cloud: Cloud, job: str, host: str, *lines: dict[str, str], tail: str = "") -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines) + tail
    fill(cloud, {f"output/{job}/reports/{host}.jsonl": text.encode()})


def done(cloud: Cloud, job: str, name: str) -> dict[str, str]:
    plan = f"plans/{name}.plan.json"
    fill(cloud, {f"output/{job}/{name}": b"hidden", f"output/{job}/{plan}": b"{}"})
    return {"file": name, "status": "done", "code": "ok", "output": name, "plan": plan}


def test_waiting_for_a_job_that_fails(filled: Cloud, run: Commands) -> None:
    assert run(run_processing, *WHERE, "--name", "one").out == "one\n"
    failed = {"file": "more/b.mp4", "status": "failed", "code": "broken_media"}
    report(filled, "one", "algo-1", done(filled, "one", "a.mp4"), failed, tail='{"file": "cut')
    log(filled, GROUP, "one/algo-1", "working")
    processing_job("one").processing_job_status = "Failed"
    processing_job("one").__dict__["exit_message"] = "1 of 2 files failed: broken_media 1"
    ran = run(run_processing, *WHERE, "--watch", "one")
    assert ran.code == 1
    assert "[algo-1] working\nFailed: 1 of 2 done" in ran.err
    assert ran.err.splitlines()[-1].endswith(
        "one failed: 1 of 2 files failed: broken_media 1; unfinished: more/b.mp4"
    )


def test_a_job_that_completes_without_its_results_has_failed(filled: Cloud, run: Commands) -> None:
    ran = run(run_processing, *WHERE, "--name", "one", "--wait")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].endswith(
        "one completed, but has 0 of 2 results; unfinished: a.mp4, more/b.mp4"
    )


def test_a_job_of_others_is_refused_in_a_line(filled: Cloud, run: Commands) -> None:
    cluster = {"InstanceType": "ml.c6i.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 9}
    filled.client("sagemaker").create_processing_job(
        ProcessingJobName="other",
        ProcessingResources={"ClusterConfig": cluster},
        AppSpecification={"ImageUri": IMAGE},
        RoleArn=ROLE,
        Tags=TAGS,
    )
    for option in ("--watch", "--resume"):
        ran = run(run_processing, *WHERE, option, "other")
        assert ran.code == 2
        assert "other: does not have the inputs and outputs of a job of scripts/run_proc" in ran.err


def test_resuming_unfinished_files(
    filled: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(filled, {"people/alice.jpg": b"photo", "input/c.mp4": b"c", "input/d.mp4": b"d"})
    run(run_processing, *WHERE, "--name", "one", "--blur", "listed")
    without_result = {"file": "c.mp4", "status": "done", "output": "c.mp4", "plan": "p"}
    report(filled, "one", "algo-1", done(filled, "one", "a.mp4"), without_result)
    report(filled, "one", "algo-2", done(filled, "one", "d.mp4"))
    processing_job("one").processing_job_status = "InProgress"
    ran = run(run_processing, *WHERE, "--resume", "one")
    assert "one is InProgress" in ran.err
    processing_job("one").processing_job_status = "Stopped"
    ran = run(run_processing, *WHERE, "--resume", "one")
    assert (ran.code, ran.out) == (1, "")
    assert "the settings of one are no longer known" in ran.err
    with_environment(monkeypatch, FACE_BLUR_EFFECT="solid")
    ran = run(run_processing, *WHERE, "--resume", "one", "--name", "two", "--dry-run")
    _, (_, request) = requests(ran.out)
    assert request["Environment"] == {"FACE_BLUR_EFFECT": "solid"}
    assert [one["InputName"] for one in request["ProcessingInputs"]] == ["input", "people"]
    ran = run(run_processing, *WHERE, "--resume", "one", "--name", "two")
    assert ran.code == 0, ran.err
    names = json.loads(body(filled, "output/two.manifest.json"))
    assert names == [{"prefix": f"s3://{BUCKET}/input/"}, "c.mp4", "more/b.mp4"]
    manifest = f"s3://{BUCKET}/output/two.manifest.json"
    assert processing_job("two").processing_inputs[0] == source(
        "input", manifest, "ShardedByS3Key", "ManifestFile"
    )
    report(filled, "two", "algo-1", *(done(filled, "two", name) for name in names[1:]))
    ran = run(run_processing, *WHERE, "--resume", "one", "two")
    assert ran.code == 2
    assert "one, two: all files are finished" in ran.err
    ran = run(run_processing, *WHERE, "--resume", "one", "--effect", "blur")
    assert "--resume takes settings and people from the job" in ran.err


@pytest.mark.parametrize("layout", ["", "input/"])
def test_names_in_the_container_may_have_the_prefix(
    filled: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Whether a manifest keeps whole keys as names is not documented."""
    run(run_processing, *WHERE, "--name", "one")
    lines = [done(filled, "one", f"{layout}a.mp4")]
    lines.append({"file": f"{layout}more/b.mp4", "status": "failed", "code": "broken_media"})
    report(filled, "one", "algo-1", *lines)
    processing_job("one").processing_job_status = "Failed"
    ran = run(run_processing, *WHERE, "--watch", "one")
    assert "Failed: 1 of 2 done" in ran.err
    assert ran.err.splitlines()[-1].endswith("unfinished: more/b.mp4")
    with_environment(monkeypatch)
    assert run(run_processing, *WHERE, "--resume", "one", "--name", "two").code == 0
    assert json.loads(body(filled, "output/two.manifest.json"))[1:] == ["more/b.mp4"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_job(
    filled: Cloud, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    make_unending(monkeypatch)
    command = [
        sys.executable,
        "-m",
        "scripts.run_processing",
        *WHERE,
        "--name",
        "one",
        "--wait",
        "--poll",
        "0.1",
    ]
    with subprocess.Popen(
        [*command, "--config", os.devnull], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if "InProgress: 0 of 2 done" in line)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].endswith("error: one was stopped")
    assert processing_job("one").processing_job_status == "Stopped"
