import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError
from scripts import run_transform
from scripts.aws.cloud import Cloud
from scripts.aws.command import check_settings
from tests.aws_jobs import (
    BUCKET,
    CPU,
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
    people_archive,
    requests,
    transform_job,
)

TAGS = [{"Key": "face-blur:project", "Value": "face-blur"}]
VIDEOS = {"input/a.mp4": b"a", "input/more/b.mp4": b"b"}
GROUP = "/aws/sagemaker/TransformJobs"


def job_named(name: str, model: str, **changes: Any) -> dict[str, Any]:
    """The expected request: objects of any size, without retries, within an hour.

    The container says how many objects at a time.
    """
    return {
        "TransformJobName": name,
        "ModelName": model,
        "MaxPayloadInMB": 0,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 3600, "InvocationsMaxRetries": 0},
        "Environment": {},
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "ManifestFile",
                    "S3Uri": f"s3://{BUCKET}/output/{name}.manifest.json",
                }
            },
            "ContentType": "application/octet-stream",
            "CompressionType": "None",
            "SplitType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/output/{name}/",
            "AssembleWith": "None",
        },
        "TransformResources": {"InstanceType": "ml.c6i.xlarge", "InstanceCount": 1},
        "Tags": TAGS,
    } | changes


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    fill(cloud, VIDEOS)
    return cloud


def test_a_dry_run_prints_the_exact_request(filled: Cloud, run: Commands) -> None:
    ran = run(run_transform, *CPU, "--name", "one", "--dry-run")
    assert ran.code == 0, ran.err
    (made, model), (wrote, manifest), (begun, job) = requests(ran.out)
    assert (made, begun) == ("sagemaker create_model", "sagemaker create_transform_job")
    assert wrote == "s3 put_object"
    assert manifest["Body"] == f'[{{"prefix": "s3://{BUCKET}/input/"}}, "a.mp4", "more/b.mp4"]'
    name = model.pop("ModelName")
    assert re.fullmatch(r"face-blur-[0-9a-f]{16}", name)
    assert model == {
        "PrimaryContainer": {"Image": IMAGE, "Environment": {}},
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": True,
        "Tags": TAGS,
    }
    assert job == job_named("one", name)
    assert not backend().transform_jobs
    assert not backend()._models


def test_gpu_keys_networks_people_and_settings(filled: Cloud, run: Commands) -> None:
    fill(filled, {"people.tar.gz": people_archive("alice/1.jpg", "alice/2.jpg", "bob.jpg")})
    ran = run(
        run_transform,
        *WHERE,
        "--name",
        "one",
        "--dry-run",
        "--keys",
        "more/b.mp4",
        "--subnets",
        "subnet-1,subnet-2",
        "--security-groups",
        "sg-1",
        "--kms-key",
        "alias/videos",
        "--options",
        "FACE_BLUR_PAD=5",
        "--blur",
        "listed",
        "--effect",
        "solid",
        "--set",
        "margin=0.3",
        "--timeout-seconds",
        "600",
        "--instance-count",
        "9",
        "--plans",
    )
    assert ran.code == 0, ran.err
    (_, model), (_, manifest), (_, job) = requests(ran.out)
    assert model["PrimaryContainer"] == {
        "Image": IMAGE,
        "Environment": {"FACE_BLUR_DEVICE": "cuda", "FACE_BLUR_PAD": "5"},
        "ModelDataUrl": f"s3://{BUCKET}/people.tar.gz",
    }
    assert model["VpcConfig"] == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert manifest == {
        "Bucket": BUCKET,
        "Key": "output/one.manifest.json",
        "Body": f'[{{"prefix": "s3://{BUCKET}/input/"}}, "more/b.mp4"]',
        "ContentType": "application/json",
    }
    source = job["TransformInput"]["DataSource"]["S3DataSource"]
    place = f"s3://{BUCKET}/output/one.manifest.json"
    assert source == {"S3DataType": "ManifestFile", "S3Uri": place}
    # A type with disks of its own takes no key for them; more instances than files are none.
    assert job["TransformResources"] == {
        "InstanceType": "ml.g4dn.xlarge",
        "InstanceCount": 1,
        "TransformAmiVersion": "al2-ami-sagemaker-batch-gpu-535",
    }
    assert job["TransformOutput"]["KmsKeyId"] == "alias/videos"
    assert job["TransformOutput"]["Accept"] == "application/json"
    assert job["Environment"] == {
        "FACE_BLUR_BLUR": "listed",
        "FACE_BLUR_EFFECT": "solid",
        "FACE_BLUR_MARGIN": "0.3",
    }
    place = f"s3://{BUCKET}/people.tar.gz"
    assert f"hides alice, bob (3 photos in {place}); everybody else stays visible\n" in ran.err
    assert job["ModelClientConfig"]["InvocationsTimeoutInSeconds"] == 600


def test_attached_disks_get_the_key(filled: Cloud, run: Commands) -> None:
    ran = run(run_transform, *CPU, "--kms-key", "alias/videos", "--dry-run")
    (_, _), _, (_, job) = requests(ran.out)
    assert job["TransformResources"]["VolumeKmsKeyId"] == "alias/videos"


def test_left_over_photos_need_a_choice(filled: Cloud, run: Commands) -> None:
    """Photos of an earlier job must neither show strangers nor keep those who withdrew visible."""
    assert "hides everyone\n" in run(run_transform, *CPU, "--dry-run").err
    fill(filled, {"people.tar.gz": people_archive("alice/1.jpg", ".DS_Store", "bob.jpg")})
    refused = run(run_transform, *CPU)
    assert (refused.code, refused.out) == (2, "")
    assert "there are photos of alice, bob (2 photos in s3://videos/people.tar.gz)" in refused.err
    assert "--blur listed hides these people and shows everybody else" in refused.err
    assert not backend()._models
    said = {
        choice: run(run_transform, *CPU, "--dry-run", "--blur", choice)
        for choice in ("listed", "others", "everyone")
    }
    assert "hides alice, bob (2 photos" in said["listed"].err
    assert "hides everybody except alice, bob (2 photos" in said["others"].err
    assert "who stay visible" in said["others"].err
    assert "hides everyone\n" in said["everyone"].err
    has_photos = {
        choice: "ModelDataUrl" in requests(ran.out)[0][1]["PrimaryContainer"]
        for choice, ran in said.items()
    }
    assert has_photos == {"listed": True, "others": True, "everyone": False}
    ran = run(run_transform, *CPU, "--people", "none", "--dry-run")
    assert (ran.code, "hides everyone\n" in ran.err) == (0, True)
    by_variable = run(run_transform, *CPU, "--options", "FACE_BLUR_BLUR=others", "--dry-run")
    assert "hides everybody except alice" in by_variable.err


def test_what_is_no_archive_of_photos_is_refused(filled: Cloud, run: Commands) -> None:
    for content, fault in ((b"photos", "is not an archive"), (people_archive(), "has no photos")):
        fill(filled, {"people.tar.gz": content})
        ran = run(run_transform, *CPU, "--blur", "listed")
        assert (ran.code, fault in ran.err) == (2, True), ran.err
    assert not backend()._models


@pytest.mark.parametrize("source", ["model", "s3"])
def test_a_job_is_not_resumed_with_other_photos(filled: Cloud, run: Commands, source: str) -> None:
    """The model names the archive by its place, so a new one would hide other people."""
    fill(filled, {"people.tar.gz": people_archive("alice.jpg"), "people/alice.jpg": b"alice"})
    options = ("--blur", "others", "--people", source)
    assert run(run_transform, *CPU, *options, "--name", "one").code == 0
    transform_job("one").transform_job_status = "Failed"
    assert run(run_transform, *CPU, "--resume", "one", "--name", "two").code == 0
    transform_job("two").transform_job_status = "Failed"
    fill(filled, {"people.tar.gz": people_archive("bob.jpg"), "people/bob.jpg": b"bob"})
    for job in ("one", "two"):
        ran = run(run_transform, *CPU, "--resume", job)
        assert (ran.code, len(backend().transform_jobs)) == (2, 2)
        assert f"the photos of people have changed since {job} started" in ran.err


def test_people_from_s3_and_tickets_need_a_network(filled: Cloud, run: Commands) -> None:
    ran = run(run_transform, *CPU, "--people", "s3", "--blur", "others", "--dry-run")
    assert ran.code == 0, ran.err
    (_, model), _, (_, job) = requests(ran.out)
    assert model["EnableNetworkIsolation"] is False
    assert job["Environment"] == {
        "FACE_BLUR_BLUR": "others",
        "FACE_BLUR_PEOPLE": f"s3://{BUCKET}/people/",
    }
    assert "gets a network" in ran.err
    ran = run(run_transform, *CPU, "--tickets", "--dry-run")
    assert ran.code == 0, ran.err
    (_, model), _, (_, job) = requests(ran.out)
    assert model["EnableNetworkIsolation"] is False
    prefixes = ",".join(f"s3://{BUCKET}/{name}/" for name in ("input", "output", "people"))
    assert job["Environment"] == {"FACE_BLUR_TICKETS": prefixes}
    assert job["TransformInput"]["ContentType"] == "application/json"


def test_markers_hidden_and_empty_objects_are_left_out(filled: Cloud, run: Commands) -> None:
    junk = {"input/": b"", "input/more/": b"", "input/.DS_Store": b"x", "input/cut.mp4": b""}
    fill(filled, junk | {"input2/other.mp4": b"x"})
    ran = run(run_transform, *CPU, "--name", "one")
    assert ran.code == 0, ran.err
    assert body(filled, "output/one.manifest.json").decode() == (
        f'[{{"prefix": "s3://{BUCKET}/input/"}}, "a.mp4", "more/b.mp4"]'
    )
    for key in junk:
        assert f"left out, because it is hidden or empty: {key}\n" in ran.err


def test_the_inputs_of_a_job_are_frozen(filled: Cloud, run: Commands) -> None:
    assert run(run_transform, *CPU, "--name", "one").code == 0
    fill(filled, {"input/later.mp4": b"c"})
    finish(filled, "one", "a.mp4")
    transform_job("one").transform_job_status = "Failed"
    ran = run(run_transform, *CPU, "--watch", "one")
    assert "Failed: 1 of 2 done" in ran.err
    assert ran.err.splitlines()[-1].endswith("; without result: more/b.mp4")
    assert run(run_transform, *CPU, "--resume", "one", "--name", "two").code == 0
    assert b"later.mp4" not in body(filled, "output/two.manifest.json")


def test_only_new_files(filled: Cloud, run: Commands) -> None:
    fill(filled, {"input/c.mpg": b"c", "input/d.mp4": b"d", "input/e.mp4": b"e"})

    def collected(key: str, name: str, *, source: bytes) -> None:
        etag = hashlib.md5(source, usedforsecurity=False).hexdigest()
        place = {"Bucket": BUCKET, "Key": key, "Body": b"hidden " + name.encode()}
        filled.client("s3").put_object(**place, Metadata={"face-blur-source": etag})

    collected("output/one/a.mp4", "a.mp4", source=b"a")
    collected("output/two/c.mpg.mkv", "c.mpg", source=b"c")
    collected("output/two/d.mp4", "d.mp4", source=b"what it was before")
    collected("output/two/e.mp4.json", "e.mp4", source=b"e")  # a plan hides nobody
    fill(filled, {"output/three/more/b.mp4.out": b"not collected", "output/x/more/b.mp4": b"?"})
    ran = run(run_transform, *CPU, "--new", "--name", "four")
    assert ran.code == 0, ran.err
    assert "2 of 5 files have a result" in ran.err
    names = json.loads(body(filled, "output/four.manifest.json"))[1:]
    assert names == ["d.mp4", "e.mp4", "more/b.mp4"]
    for name, source in (("d.mp4", b"d"), ("e.mp4", b"e"), ("more/b.mp4", b"b")):
        collected(f"output/four/{name}", name, source=source)
    ran = run(run_transform, *CPU, "--new")
    assert ran.code == 2
    assert "all files have a collected result; nothing is new" in ran.err
    ran = run(run_transform, *CPU, "--new", "--keys", "a.mp4")
    assert (ran.code, "exclude each other" in ran.err) == (2, True)


def test_a_job_is_created_and_its_model_only_once(filled: Cloud, run: Commands) -> None:
    first = run(run_transform, *CPU)
    second = run(run_transform, *CPU, "--effect", "solid")
    other = run(run_transform, *CPU, "--options", "FACE_BLUR_PAD=9")
    jobs = [transform_job(ran.out.strip()) for ran in (first, second, other)]
    assert re.fullmatch(r"face-blur-\d{8}-\d{6}-[0-9a-f]{4}\n", first.out)
    assert jobs[0].model_name == jobs[1].model_name != jobs[2].model_name
    assert len(backend()._models) == 2
    assert backend()._models[jobs[0].model_name].tags == TAGS
    told = filled.read(
        "sagemaker", "describe_transform_job", TransformJobName=jobs[0].transform_job_name
    )
    wanted = job_named(told["TransformJobName"], jobs[0].model_name)
    del wanted["Tags"]
    assert {key: told[key] for key in wanted if key != "Environment"} == {
        key: wanted[key] for key in wanted if key != "Environment"
    }
    assert jobs[1].environment == {"FACE_BLUR_EFFECT": "solid"}
    assert f"--watch {told['TransformJobName']}" in first.err


def test_an_archive_with_other_people_makes_another_model(filled: Cloud, run: Commands) -> None:
    names = set()
    for name in ("alice.jpg", "bob.jpg"):
        fill(filled, {"people.tar.gz": people_archive(name)})
        ran = run(run_transform, *CPU, "--dry-run", "--blur", "listed")
        names.add(requests(ran.out)[0][1]["ModelName"])
    ran = run(run_transform, *CPU, "--dry-run", "--people", "none")
    model = requests(ran.out)[0][1]
    assert "ModelDataUrl" not in model["PrimaryContainer"]
    assert len(names | {model["ModelName"]}) == 3


def test_the_image_is_named_by_its_digest(filled: Cloud, run: Commands) -> None:
    ecr = filled.client("ecr")
    uri = ecr.create_repository(repositoryName="face-blur")["repository"]["repositoryUri"]
    manifest = '{"schemaVersion": 2, "config": {"digest": "sha256:1"}, "layers": []}'
    image = ecr.put_image(
        repositoryName="face-blur",
        imageManifest=manifest,
        imageManifestMediaType="application/vnd.docker.distribution.manifest.v2+json",
        imageTag="v1",
    )
    digest = image["image"]["imageId"]["imageDigest"]
    where = (*WHERE[:-2], "--repository", "face-blur")
    ran = run(run_transform, *where, "--image-tag", "v1", "--dry-run")
    assert requests(ran.out)[0][1]["PrimaryContainer"]["Image"] == f"{uri}@{digest}"
    ran = run(run_transform, *where, "--image-tag", "v2", "--dry-run")
    assert ran.code == 1
    assert "push an image with scripts/push_image.py" in ran.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--effect", "glitter"), "effect: must be"),
        (("--set", "glitter=1"), "unknown key"),
        (("--set", "margin"), "must be NAME=VALUE"),
        (("--set", "effect=solid", "--effect", "blur"), "effect is given twice"),
        (("--blur", "listed"), "needs people or select"),
        (("--people", "model"), "there is no archive of photos"),
        (("--keys", "gone.mp4"), "s3://videos/input/gone.mp4: does not exist"),
        (("--input-prefix", "nothing/"), "s3://videos/nothing/: no videos found"),
        (("--name", "bad_name"), "TransformJobName: 'bad_name' does not match"),
        (("--instance-type", "ml.t3.large"), "'ml.t3.large' is not an allowed value"),
        (("--options", "FACE_BLUR_QUEUE=999"), "queue: must be at most 64"),
        (("--resume", "gone"), "gone: no such job"),
        (("--watch", "gone"), "gone: no such job"),
    ],
)
def test_a_refused_request_creates_nothing(
    filled: Cloud, run: Commands, options: tuple[str, ...], message: str
) -> None:
    ran = run(run_transform, *CPU, *options)
    assert ran.code in {1, 2}
    assert message in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not backend().transform_jobs
    assert not backend()._models
    assert not keys(filled, "output/")


def test_a_foreign_model_is_not_used(filled: Cloud, run: Commands) -> None:
    ran = run(run_transform, *CPU, "--dry-run")
    model = requests(ran.out)[0][1] | {"Tags": []}
    filled.client("sagemaker").create_model(**model)
    ran = run(run_transform, *CPU)
    assert (ran.code, backend().transform_jobs) == (2, {})
    assert "is not ours" in ran.err


def finish(cloud: Cloud, job: str, *names: str) -> None:
    fill(cloud, {f"output/{job}/{name}.out": b"hidden" for name in names})


def test_waiting_for_a_job_that_succeeds(filled: Cloud, run: Commands) -> None:
    finish(filled, "one", "a.mp4", "more/b.mp4")
    log(filled, GROUP, "one/algo-1", "loading", "ready")
    log(filled, GROUP, "one/algo-1/data-log", "MaxPayloadInMB=0")
    log(filled, GROUP, "one-more/algo-1", "of another job")
    ran = run(run_transform, *CPU, "--name", "one", "--wait")
    assert ran.code == 0, ran.err
    assert "[algo-1] loading\n[algo-1] ready\n" in ran.err
    assert "[algo-1/data-log] MaxPayloadInMB=0\n" in ran.err
    assert "of another job" not in ran.err
    assert "Completed: 2 of 2 done" in ran.err


def test_waiting_for_a_job_that_fails(filled: Cloud, run: Commands) -> None:
    assert run(run_transform, *CPU, "--name", "one").code == 0
    finish(filled, "one", "more/b.mp4")
    transform_job("one").transform_job_status = "Failed"
    transform_job("one").failure_reason = "ClientError: See job logs for more information"
    ran = run(run_transform, *CPU, "--watch", "one")
    assert ran.code == 1
    last = ran.err.splitlines()[-1]
    assert "one failed: ClientError: See job logs" in last
    assert last.endswith("; without result: a.mp4")


def test_a_job_that_completes_without_its_results_has_failed(filled: Cloud, run: Commands) -> None:
    finish(filled, "one", "a.mp4")
    ran = run(run_transform, *CPU, "--name", "one", "--wait")
    assert ran.code == 1
    assert "Completed: 1 of 2 done" in ran.err
    assert ran.err.splitlines()[-1].endswith(
        "one completed, but has 1 of 2 results; without result: more/b.mp4"
    )


def test_a_job_that_others_started_can_be_resumed(filled: Cloud, run: Commands) -> None:
    """Its request may lack what the API does not require; AWS leaves that out."""
    assert run(run_transform, *CPU, "--name", "ours").code == 0
    job = job_named("one", transform_job("ours").model_name)
    for optional in ("ModelClientConfig", "MaxPayloadInMB"):
        del job[optional]
    job["TransformInput"]["DataSource"] = {
        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/input/"}
    }
    filled.client("sagemaker").create_transform_job(**job)
    finish(filled, "one", "a.mp4")
    ran = run(run_transform, *CPU, "--resume", "one", "--name", "two", "--dry-run")
    assert ran.code == 0, ran.err
    request = requests(ran.out)[-1][1]
    assert not {"ModelClientConfig", "MaxPayloadInMB"} & {
        key for key, value in request.items() if value is not None
    }
    assert "1 file of at most 600 s" in ran.err


def test_resuming_inputs_without_a_result(filled: Cloud, run: Commands) -> None:
    run(run_transform, *CPU, "--name", "one", "--effect", "solid")
    finish(filled, "one", "a.mp4")
    transform_job("one").transform_job_status = "Failed"
    ran = run(run_transform, *CPU, "--resume", "one", "--name", "two")
    assert ran.code == 0, ran.err
    one, two = transform_job("one"), transform_job("two")
    assert two.environment == one.environment == {"FACE_BLUR_EFFECT": "solid"}
    assert (two.model_name, two.transform_output) == (one.model_name, one.transform_output)
    assert two.model_client_config == one.model_client_config
    assert b'"more/b.mp4"]' in body(filled, "output/two.manifest.json")
    assert b"a.mp4" not in body(filled, "output/two.manifest.json")
    finish(filled, "one", "more/b.mp4")
    ran = run(run_transform, *CPU, "--resume", "one")
    assert (ran.code, len(backend().transform_jobs)) == (2, 2)
    assert "one: all files are finished" in ran.err
    transform_job("two").transform_job_status = "InProgress"
    ran = run(run_transform, *CPU, "--resume", "two")
    assert "two is InProgress; wait until it ends" in ran.err
    ran = run(run_transform, *CPU, "--resume", "one", "--effect", "blur")
    assert "--resume takes settings and people from the job" in ran.err


def test_a_job_without_our_tag_is_left_alone(filled: Cloud, run: Commands) -> None:
    job = job_named("other", "model", Tags=[])
    filled.client("sagemaker").create_transform_job(**job)
    for option in ("--watch", "--resume"):
        ran = run(run_transform, *CPU, option, "other")
        assert ran.code == 2
        assert "does not have the tag" in ran.err


def started(*args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.run_transform", *args, "--config", os.devnull],
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"{text} was not said")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_stops_the_job(
    filled: Cloud, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    make_unending(monkeypatch)
    process = started(*CPU, "--name", "one", "--wait", "--poll", "0.1")
    read_until(process, "InProgress: 0 of 2 done")
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopping one; press Ctrl-C again" in err
    assert err.splitlines()[-1].endswith("error: one was stopped")
    assert transform_job("one").transform_job_status == "Stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_leaves(
    filled: Cloud, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    make_unending(monkeypatch, stoppable=False)
    process = started(*CPU, "--name", "one", "--wait", "--poll", "0.1")
    read_until(process, "InProgress")
    process.send_signal(number)
    read_until(process, "stopping one")
    time.sleep(0.5)
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "left one, which may not have stopped yet" in err


def test_settings_are_checked_as_in_the_container() -> None:
    check_settings({"FACE_BLUR_BLUR": "listed"}, people=True)
    check_settings({"FACE_BLUR_BLUR": "listed", "FACE_BLUR_SELECT": "0,1,2"}, people=False)
    with pytest.raises(ConfigError):
        check_settings({"FACE_BLUR_BLUR": "listed"}, people=False)
