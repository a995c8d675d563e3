"""The user of an image in the registry decides whether a job may start."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.ecr.responses import ECRResponse

from scripts import deploy_async, run_processing, run_transform
from scripts.aws.cloud import Cloud
from tests.aws_endpoints import teach_moto
from tests.aws_jobs import (
    ACCOUNT,
    CPU,
    REGION,
    WHERE,
    Commands,
    backend,
    fill,
    keys,
    with_environment,
)

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYERS = "layers-of-the-registry"
COMMANDS: list[tuple[ModuleType, tuple[str, ...]]] = [
    (run_transform, CPU),
    (run_processing, WHERE),
    (deploy_async, CPU),
]
NAME = "face-blur-one"
Put = Callable[[dict[str, Any]], tuple[str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


@pytest.fixture
def put(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Put an image with a configuration into the registry; return its URI and its digest.

    The layers are objects of moto's S3, which moto's registry does not have.
    """
    teach_moto(monkeypatch)
    fill(cloud, {"input/a.mp4": b"a"})
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=LAYERS, CreateBucketConfiguration={"LocationConstraint": REGION})
    cloud.client("ecr").create_repository(repositoryName="images")

    def url(self: ECRResponse) -> ActionResult:
        digest = self._get_param("layerDigest")
        place = {"Bucket": LAYERS, "Key": digest}
        signed = s3.generate_presigned_url("get_object", Params=place)
        return ActionResult({"downloadUrl": signed, "layerDigest": digest})

    monkeypatch.setattr(ECRResponse, "get_download_url_for_layer", url)

    def make(config: dict[str, Any]) -> tuple[str, str]:
        body = json.dumps(config).encode()
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        s3.put_object(Bucket=LAYERS, Key=digest, Body=body)
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": digest}, "layers": []})
        image = cloud.client("ecr").put_image(
            repositoryName="images",
            imageManifest=manifest,
            imageManifestMediaType=MANIFEST,
            imageTag="one",
        )["image"]["imageId"]["imageDigest"]
        name = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/images@{image}"
        return name, digest

    return make


def options(given: tuple[str, ...], uri: str) -> list[str]:
    return [*given, "--image-uri", uri]


@pytest.mark.parametrize(("command", "given"), COMMANDS)
def test_a_job_does_not_start_with_an_image_that_is_not_root(
    cloud: Cloud, run: Commands, put: Put, command: ModuleType, given: tuple[str, ...]
) -> None:
    uri, _ = put({"config": {"User": "10001:10001"}})
    ran = run(command, *options(given, uri), "--name", NAME)
    assert ran.code == 2
    assert "runs as user 10001, and SageMaker's folders belong to root" in ran.err
    assert not backend().transform_jobs
    assert not backend()._models
    assert not backend().processing_jobs
    assert not backend().endpoint_configs
    assert not keys(cloud, "output/")
    ran = run(command, *options(given, uri), "--name", NAME, "--image-user", "10001")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize("user", ["0:0", "root", "", None])
@pytest.mark.parametrize(("command", "given"), COMMANDS)
def test_an_image_of_root_is_used(
    run: Commands, put: Put, command: ModuleType, given: tuple[str, ...], user: str | None
) -> None:
    uri, _ = put({"config": {} if user is None else {"User": user}})
    ran = run(command, *options(given, uri), "--name", NAME)
    assert ran.code == 0, ran.err
    assert "could not be checked" not in ran.err


def test_an_image_for_cpus_is_refused_on_a_gpu(cloud: Cloud, run: Commands, put: Put) -> None:
    uri, _ = put({"config": {"User": "0", "Env": ["PATH=/bin"]}})
    ran = run(run_transform, *options(WHERE, uri))
    assert ran.code == 2
    assert "is the image for CPUs, and ml.g4dn.xlarge has a GPU; use --compute cpu" in ran.err
    assert not backend()._models
    ran = run(deploy_async, *options(WHERE, uri))
    assert (ran.code, "ml.g4dn.xlarge has a GPU; use --compute cpu" in ran.err) == (2, True)
    assert not backend()._models
    ran = run(run_transform, *options(WHERE, uri), "--compute", "cpu", "--name", NAME)
    assert ran.code == 0, ran.err
    (job,) = backend().transform_jobs.values()
    assert job.transform_resources == {"InstanceType": "ml.c6i.2xlarge", "InstanceCount": 1}


def test_the_image_for_gpus_is_the_default_and_slower_on_cpus(run: Commands, put: Put) -> None:
    uri, _ = put({"config": {"User": "0", "Env": ["NVIDIA_VISIBLE_DEVICES=all"]}})
    ran = run(run_transform, *options(WHERE, uri))
    assert (ran.code, "is faster" in ran.err) == (0, False)
    (job,) = backend().transform_jobs.values()
    assert job.transform_resources["InstanceType"] == "ml.g4dn.xlarge"
    ran = run(run_processing, *options(WHERE, uri))
    assert (ran.code, "that of --compute cpu is faster" in ran.err) == (0, True)


def test_resuming_a_processing_job_checks_the_image_too(
    cloud: Cloud, run: Commands, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, _ = put({"config": {"User": "0"}})
    assert run(run_processing, *options(WHERE, uri), "--name", NAME).code == 0
    with_environment(monkeypatch, FACE_BLUR_EFFECT="solid")
    other, _ = put({"config": {"User": "10001"}})
    ran = run(run_processing, *options(WHERE, other), "--resume", NAME)
    assert (ran.code, len(backend().processing_jobs)) == (2, 1)
    assert "runs as user 10001" in ran.err


def test_an_image_that_cannot_be_looked_at_is_mentioned(
    cloud: Cloud, run: Commands, put: Put
) -> None:
    uri, digest = put({"config": {"User": "10001"}})
    cloud.client("s3").put_object(Bucket=LAYERS, Key=digest, Body=b"{}")
    for image in (uri, uri.replace("images", "gone"), "example.org/face-blur:one"):
        ran = run(run_processing, *WHERE, "--image-uri", image)
        assert ran.code == 0, ran.err
        assert "the user of the image could not be checked: " in ran.err
