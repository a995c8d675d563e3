"""A Batch Transform job of Face blur with the SageMaker SDK for Python, version 3.

    python run_transform.py IMAGE_URI ROLE_ARN s3://BUCKET/input/ s3://BUCKET/output/ [TYPE]

It needs a separate environment (see README.md). The scripts of Face blur do more: they check
settings and limits first, stop a job on Ctrl-C, and check its results.
"""

import sys
import time

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.transformer import Transformer

TAGS = [{"Key": "face-blur:project", "Value": "face-blur"}]
# Parts of the SDK report calls to its makers, unless this is set.
QUIET = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}


def run(image: str, role: str, source: str, target: str, kind: str = "ml.g4dn.xlarge") -> str:
    """Hide every face in all videos below ``source``; return the name of the job."""
    # Without a bucket, the session would create one to upload code to.
    session = Session(boto3.Session(), default_bucket=target.split("/")[2], sagemaker_config=QUIET)
    name = f"face-blur-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
    session.sagemaker_client.create_model(
        ModelName=name,
        PrimaryContainer={"Image": image, "Environment": {}},
        ExecutionRoleArn=role,
        EnableNetworkIsolation=True,
        Tags=TAGS,
    )
    gpu = kind.startswith(("ml.g", "ml.p"))
    transformer = Transformer(
        name, 1, kind, output_path=target, assemble_with="None",
        max_payload=0,  # any size, sent in chunks; the default is 6 MB
        env={"FACE_BLUR_EFFECT": "solid"} | ({"FACE_BLUR_DEVICE": "cuda"} if gpu else {}),
        tags=TAGS, base_transform_job_name="face-blur", sagemaker_session=session,
        # The default host has a driver for CUDA 11, which is too old for the models.
        transform_ami_version="al2-ami-sagemaker-batch-gpu-535" if gpu else None,
    )  # fmt: skip
    # No `strategy`: it is for split inputs. A dictionary, because the SDK drops the zeros of a
    # ModelClientConfig, and SageMaker would retry an hour of work three times.
    once = {"InvocationsTimeoutInSeconds": 3600, "InvocationsMaxRetries": 0}
    transformer.transform(
        source, content_type="application/octet-stream", split_type="None",
        compression_type="None", model_client_config=once, job_name=name, wait=True, logs=False,
    )  # fmt: skip
    return name


if __name__ == "__main__":
    print(run(*sys.argv[1:]))  # noqa: T201
