"""The example for the SageMaker SDK, in a separate environment kept in the cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.packs.download import cache_folder
from tests.aws_jobs import BUCKET, IMAGE, REGION, ROLE, backend

EXAMPLE = Path(__file__).parents[2] / "examples" / "sagemaker_sdk"
LOCK = EXAMPLE / "requirements.txt"
BUILD_SECONDS = 600
"""Downloads 450 MB, once for each lock; it took 95 s on two shared cores."""


@pytest.fixture(scope="session")
def sdk() -> Path:
    """The interpreter of an environment with the packages of the lock only."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()[:16]
    home = cache_folder() / "sagemaker-sdk"
    python = home / key / "bin" / "python"
    if not python.exists():
        made = home / f"{key}.{os.getpid()}"
        try:
            _build(made)
            made.replace(home / key)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return python


def _build(place: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    pip = [str(place / "bin" / "python"), "-m", "pip", "install", "-qq"]
    options = ["--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, *options, "-r", str(LOCK)], check=True, timeout=BUILD_SECONDS)


def run(sdk: Path, *args: str) -> subprocess.CompletedProcess[str]:
    folders = (f"s3://{BUCKET}/input/", f"s3://{BUCKET}/output/")
    return subprocess.run(
        [str(sdk), str(EXAMPLE / "run_transform.py"), IMAGE, ROLE, *folders, *args],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=dict(os.environ, AWS_DEFAULT_REGION=REGION),
    )


def test_the_example_creates_the_same_job_as_the_scripts(moto: str, sdk: Path) -> None:
    ran = run(sdk)
    assert ran.returncode == 0, ran.stderr
    (job,) = backend().transform_jobs.values()
    assert ran.stdout == f"{job.transform_job_name}\n"
    assert job.max_payload_in_mb == 0
    assert vars(job)["max_concurrent_transforms"] is None
    assert job.model_client_config == {
        "InvocationsTimeoutInSeconds": 3600,
        "InvocationsMaxRetries": 0,
    }
    assert job.batch_strategy is None
    assert job.transform_input == {
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/input/"}
        },
        "ContentType": "application/octet-stream",
        "CompressionType": "None",
        "SplitType": "None",
    }
    assert job.transform_output == {
        "S3OutputPath": f"s3://{BUCKET}/output/",
        "AssembleWith": "None",
    }
    assert job.transform_resources == {
        "InstanceType": "ml.g4dn.xlarge",
        "InstanceCount": 1,
        "TransformAmiVersion": "al2-ami-sagemaker-batch-gpu-535",
    }
    tags = [{"Key": "face-blur:project", "Value": "face-blur"}]
    model = backend()._models[job.model_name]
    assert job.tags == model.tags == tags
    assert model.primary_container == {"Image": IMAGE, "Environment": {}}
    assert model.execution_role_arn == ROLE


def test_the_example_calls_only_the_account(
    moto: str, sdk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All network requests of the SDK use sockets, which are recorded."""
    hook = tmp_path / "sitecustomize.py"
    hook.write_text(
        "import socket\n"
        "ask = socket.getaddrinfo\n"
        "def getaddrinfo(host, *args, **kwargs):\n"
        f"    with open({os.fspath(tmp_path / 'asked')!r}, 'a') as file:\n"
        "        print(host, file=file)\n"
        "    return ask(host, *args, **kwargs)\n"
        "socket.getaddrinfo = getaddrinfo\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    ran = run(sdk, "ml.c6i.xlarge")
    assert ran.returncode == 0, ran.stderr
    assert set((tmp_path / "asked").read_text().split()) == {"127.0.0.1"}
    (job,) = backend().transform_jobs.values()
    assert job.transform_resources == {"InstanceType": "ml.c6i.xlarge", "InstanceCount": 1}
    assert job.environment == {"FACE_BLUR_EFFECT": "solid"}


def test_the_example_is_short() -> None:
    assert len((EXAMPLE / "run_transform.py").read_text().splitlines()) < 60
