"""Jobs: the environment of the container, its objects, and the places of results."""

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local.containers import GROUP
from tests.local_sagemaker import BUCKET, Local, MakeLocal, request

MANIFEST = {"S3DataType": "ManifestFile", "S3Uri": f"s3://{BUCKET}/lists/manifest"}


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def test_a_job_created_by_the_scripts(
    make_local: MakeLocal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_BLUR_EFFECT", "pixelate")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the user")
    local = make_local()
    local.put(**{"a.mp4": bytes(3_000_000), "monday/b.mp4": b"b"})
    local.model(container={"Environment": {"FACE_BLUR_BLUR": "everyone", "BOTH": "model"}})
    ended = local.run_job(Environment={"FACE_BLUR_EFFECT": "solid", "BOTH": "job"})
    assert (ended.state, [one.state for one in ended.outcomes]) == ("Completed", ["done"] * 2)
    assert set(local.results()) == {"out/a.mp4.out", "out/monday/b.mp4.out"}
    told = local.report("out/a.mp4.out")
    assert told["size"] == 3_000_000
    headers, environment = told["headers"], told["environment"]
    assert headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in headers
    assert (headers["Content-Type"], headers["Accept"]) == ("video/mp4", "video/mp4")
    assert "a.mp4" not in json.dumps(headers), "SageMaker does not tell names"
    assert environment["FACE_BLUR_BLUR"] == "everyone"
    assert environment["FACE_BLUR_EFFECT"] == "solid"
    assert environment["BOTH"] == "job"
    assert environment["SAGEMAKER_BATCH"] == "true"
    assert environment["SAGEMAKER_MAX_PAYLOAD_IN_MB"] == "0"
    assert environment["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] == "1"
    assert "SAGEMAKER_BATCH_STRATEGY" not in environment
    assert not [name for name in environment if name.startswith("AWS_")], "it is isolated"


def test_a_job_without_values_gets_those_of_the_container(make_local: MakeLocal) -> None:
    local = make_local("wishes")
    local.put(**{"a.mp4": bytes(1 << 20), "large.mp4": bytes((1 << 20) + 1)})
    local.model(EnableNetworkIsolation=False)
    ended = local.run_job(MaxPayloadInMB=None, MaxConcurrentTransforms=None, ModelClientConfig=None)
    assert [(one.state, one.fault) for one in ended.outcomes] == [
        ("done", None),
        ("failed", "ClientError"),
    ]
    told = local.report("out/a.mp4.out")
    assert told["headers"]["Content-Length"] == str(1 << 20)
    assert "Transfer-Encoding" not in told["headers"]
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" not in told["environment"]
    assert told["environment"]["AWS_ENDPOINT_URL"] == local.sagemaker.url
    assert any("MaxConcurrentTransforms=2, MaxPayloadInMB=1" in line for line in local.data_log())


def test_values_of_the_job_override_those_of_the_container(make_local: MakeLocal) -> None:
    local = make_local("wishes")
    local.put(**{"large.mp4": bytes((1 << 20) + 1)})
    local.model()
    assert local.run_job(MaxPayloadInMB=2).state == "Completed"
    assert any("MaxConcurrentTransforms=1, MaxPayloadInMB=2" in line for line in local.data_log())


def test_the_default_payload_is_six_megabytes(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": bytes(6 << 20), "b.mp4": bytes((6 << 20) + 1)})
    local.model()
    first, second = local.run_job(MaxPayloadInMB=None).outcomes
    assert (first.state, second.state) == ("done", "failed")


def test_invalid_execution_parameters_fail_the_job(make_local: MakeLocal) -> None:
    local = make_local("bad wishes")
    local.put(**{"a.mp4": b"a"})
    local.model()
    assert local.run_job().reason.startswith("AlgorithmError: /execution-parameters")
    assert local.results() == {}


def test_a_job_can_process_objects_concurrently(make_local: MakeLocal) -> None:
    local = make_local("pair")
    local.put(**{"a.mp4": b"a", "b.mp4": b"b"})
    local.model()
    assert local.run_job(MaxConcurrentTransforms=2).state == "Completed"


def test_a_failed_object_fails_the_job_but_keeps_other_results(make_local: MakeLocal) -> None:
    local = make_local("picky")
    local.put(**{"a.mp4": b"good", "b.mp4": b"bad", "c.mp4": b"good"})
    local.model()
    ended = local.run_job()
    assert (ended.state, [one.state for one in ended.outcomes]) == (
        "Failed",
        ["done", "failed", "done"],
    )
    assert set(local.results()) == {"out/a.mp4.out", "out/c.mp4.out"}
    log = [line.split(":[sagemaker logs]: ")[1] for line in local.data_log()]
    assert "videos/in/b.mp4: ClientError: 415" in log
    assert "videos/in/b.mp4: Message: not this one" in log
    assert not [line for line in log if "a.mp4" in line or "c.mp4" in line]


def test_two_instances_share_the_objects(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{f"{name}.mp4": b"x" for name in "abc"})
    local.model()
    assert local.run_job(instances=2).state == "Completed"
    pids = {name: local.report(f"out/{name}.mp4.out")["pid"] for name in "abc"}
    assert pids["a"] == pids["c"] != pids["b"]
    streams = {stream for stream, _ in local.lines("job")}
    assert len({stream.split("/")[1] for stream in streams}) == 2
    assert all(stream.startswith("job/i-") for stream in streams)


def test_there_can_be_more_instances_than_objects(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"x"})
    local.model()
    assert local.run_job(instances=3).state == "Completed"


def test_a_manifest_lists_the_objects(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"a", "b.mp4": b"b", "monday/c.mp4": b"c"})
    listed = json.dumps([{"prefix": f"s3://{BUCKET}/in/"}, "a.mp4", "monday/c.mp4"]).encode()
    local.s3.put_object(Bucket=BUCKET, Key="lists/manifest", Body=listed)
    local.model()
    assert local.run_job(data=MANIFEST).state == "Completed"
    assert set(local.results()) == {"out/a.mp4.out", "out/monday/c.mp4.out"}


@pytest.mark.parametrize(
    "content", [b"[", b"{}", b"[]", b'[{"prefix": "s3://videos/in/"}, "missing.mp4"]']
)
def test_an_invalid_manifest_fails_the_job(make_local: MakeLocal, content: bytes) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"a"})
    local.s3.put_object(Bucket=BUCKET, Key="lists/manifest", Body=content)
    local.model()
    assert local.run_job(data=MANIFEST).reason.startswith(
        "ClientError: the input s3://videos/lists"
    )
    assert local.results() == {}


def test_a_prefix_is_not_a_folder(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a1.mp4": b"1", "a2/b.mp4": b"2", "c.mp4": b"3"})
    local.model()
    data = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/a"}
    assert local.run_job(data=data).state == "Completed"
    assert set(local.results()) == {"out/a1.mp4.out", "out/a2/b.mp4.out"}


def test_no_objects_fail_the_job(make_local: MakeLocal) -> None:
    local = make_local()
    local.model()
    assert local.run_job().reason.startswith("ClientError: no objects")
    assert local.describe()["TransformJobStatus"] == "Failed"


def test_the_model_archive_is_unpacked(make_local: MakeLocal) -> None:
    local = make_local()
    content = archive(**{"people/obama/1.jpg": b"photo", "mine/pack.toml": b""})
    local.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=content)
    local.put(**{"a.mp4": b"a"})
    local.model(f"s3://{BUCKET}/model.tar.gz")
    assert local.run_job().state == "Completed"
    environment = local.report("out/a.mp4.out")["environment"]
    folder = Path(environment["FACE_BLUR_MODELS_ROOT"])
    assert environment["FACE_BLUR_PEOPLE"] == str(folder / "people")
    assert not folder.exists(), "it is gone with the instance"


@pytest.mark.parametrize("content", [None, b"no archive", archive(**{"../out.jpg": b"x"})])
def test_an_unusable_archive_fails_the_job(make_local: MakeLocal, content: bytes | None) -> None:
    local = make_local()
    if content is not None:
        local.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=content)
    local.put(**{"a.mp4": b"a"})
    local.model(f"s3://{BUCKET}/model.tar.gz")
    ended = local.run_job()
    assert ended.state == "Failed"
    assert ended.reason.startswith("ClientError: the model archive cannot be unpacked: ")
    assert local.results() == {}


def test_a_job_is_in_progress_until_it_is_stopped(make_local: MakeLocal) -> None:
    local = make_local("hang")
    local.put(**{"a.mp4": b"a", "b.mp4": b"b"})
    local.model()
    local.create_job()
    described = local.describe()
    assert described["TransformJobStatus"] == "InProgress"
    assert "TransformEndTime" not in described
    (listed,) = local.api.list_transform_jobs()["TransformJobSummaries"]
    assert listed["TransformJobStatus"] == "InProgress"
    _wait_for_invocation(local)
    began = time.monotonic()
    local.api.stop_transform_job(TransformJobName="job")
    assert local.describe()["TransformJobStatus"] in {"Stopping", "Stopped"}
    ended = local.wait()
    assert time.monotonic() - began < 10
    assert [one.state for one in ended.outcomes] == ["stopped", "stopped"]
    described = local.describe()
    assert described["TransformJobStatus"] == "Stopped"
    assert described["TransformEndTime"] >= described["CreationTime"]
    assert local.results() == {}
    with pytest.raises(ClientError, match="not in progress"):
        local.api.stop_transform_job(TransformJobName="job")


def _wait_for_invocation(local: Local) -> None:
    """The line about concurrency is written right before the first object is sent."""
    end = time.monotonic() + 10
    while not [line for line in local.data_log() if "MaxPayloadInMB" in line]:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_starting_job_can_be_stopped(make_local: MakeLocal) -> None:
    local = make_local("unhealthy")
    local.put(**{"a.mp4": b"a"})
    local.model()
    local.create_job()
    local.api.stop_transform_job(TransformJobName="job")
    assert local.wait().state == "Stopped"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"ModelName": "unknown"}, "Could not find the model"),
        ({"BatchStrategy": "MultiRecord"}, "a BatchStrategy"),
        ({"data": {"S3DataType": "S3Prefix", "S3Uri": "videos/in"}}, "is not an S3 URI"),
        ({"data": MANIFEST | {"S3DataType": "AugmentedManifestFile"}}, "AugmentedManifestFile"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "DataProcessing"),
    ],
)
def test_unsupported_requests_are_refused(
    make_local: MakeLocal, fields: dict[str, Any], reason: str
) -> None:
    local = make_local()
    local.model()
    with pytest.raises(ClientError, match=reason) as caught:
        local.create_job(**fields)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    with pytest.raises(ClientError, match="Could not find"):
        local.describe()


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("TransformInput", "SplitType", "Line"),
        ("TransformInput", "CompressionType", "Gzip"),
        ("TransformOutput", "AssembleWith", "Line"),
    ],
)
def test_options_that_change_objects_are_refused(
    make_local: MakeLocal, part: str, field: str, value: str
) -> None:
    local = make_local()
    local.model()
    whole = request("job")
    with pytest.raises(ClientError, match="not supported here"):
        local.api.create_transform_job(**whole | {part: whole[part] | {field: value}})


def test_names_of_jobs_are_unique(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"a"})
    local.model()
    local.run_job()
    with pytest.raises(ClientError, match="already exists") as caught:
        local.create_job()
    assert caught.value.response["Error"]["Code"] == "ResourceInUse"


def test_an_unknown_job_cannot_be_stopped(make_local: MakeLocal) -> None:
    local = make_local()
    with pytest.raises(ClientError, match="no such transform job"):
        local.api.stop_transform_job(TransformJobName="unknown")


def test_the_output_can_lack_a_slash_and_have_a_key(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"a"})
    local.model()
    output = {"S3OutputPath": f"s3://{BUCKET}/out/monday", "KmsKeyId": "alias/videos"}
    assert local.run_job(TransformOutput=output).state == "Completed"
    assert set(local.results()) == {"out/monday/a.mp4.out"}
    head = local.s3.head_object(Bucket=BUCKET, Key="out/monday/a.mp4.out")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/videos")


def test_the_waiter_of_boto3_sees_the_end(make_local: MakeLocal) -> None:
    local = make_local("picky")
    local.put(**{"a.mp4": b"good"})
    local.model()
    local.create_job()
    waiter = local.api.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName="job", WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    assert local.describe()["TransformJobStatus"] == "Completed"


def test_the_log_is_where_sagemaker_writes_it(make_local: MakeLocal) -> None:
    local = make_local()
    local.put(**{"a.mp4": b"a"})
    local.model()
    local.run_job()
    groups = local.logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
    assert [group["logGroupName"] for group in groups] == [GROUP]
    found = local.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job/")
    first, second = sorted(stream["logStreamName"] for stream in found["logStreams"])
    assert second == f"{first}/data-log"
    assert any("POST /invocations" in line for line in local.printed())
