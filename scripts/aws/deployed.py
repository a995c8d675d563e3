"""What jobs of both kinds need: the image by its digest, names, networks, and keys."""

import secrets
import time
from typing import Any

from scripts.aws.cloud import Cloud
from scripts.aws.errors import CloudError
from scripts.aws.limits import has_own_disk
from scripts.aws.variables import Variables


def image_uri(cloud: Cloud) -> str:
    """The image to run, by its digest: what a tag names can change while a job waits.

    Raises:
        CloudError: there is no image of this tag.
    """
    variables = cloud.variables
    if variables.image_uri:
        return variables.image_uri
    name, tag = cloud.repository, variables.image_tag
    try:
        (repository,) = cloud.read("ecr", "describe_repositories", repositoryNames=[name])[
            "repositories"
        ]
        (image,) = cloud.read(
            "ecr", "describe_images", repositoryName=name, imageIds=[{"imageTag": tag}]
        )["imageDetails"]
    except CloudError as error:
        raise CloudError(
            f"{error}; push an image with scripts/push_image.py, or set IMAGE_TAG or IMAGE_URI",
            error.reason,
        ) from error
    return f"{repository['repositoryUri']}@{image['imageDigest']}"


def unique_name(project: str) -> str:
    """A name for a job: no two jobs of a region may have the same, ended ones included."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{project}-{moment}-{secrets.token_hex(2)}"


def vpc(variables: Variables) -> dict[str, Any]:
    """The network of a container, if there are subnets."""
    if not variables.subnets:
        return {}
    subnets, groups = list(variables.subnets), list(variables.security_groups)
    return {"VpcConfig": {"Subnets": subnets, "SecurityGroupIds": groups}}


def volume_key(variables: Variables, instance_type: str) -> dict[str, str]:
    """The key of the disks; instances with disks of their own refuse one."""
    if not variables.kms_key or has_own_disk(instance_type):
        return {}
    return {"VolumeKmsKeyId": variables.kms_key}
