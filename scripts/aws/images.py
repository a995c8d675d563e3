"""An image in the registry: whether it runs as root, and whether it fits the instance."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError, translate_errors
from scripts.aws.limits import has_gpu

_URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/"
    r"(?P<name>[a-z0-9._/-]+?)(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))"
)
_ROOT = "0"
_FOR_GPUS = "NVIDIA_VISIBLE_DEVICES"
"""Variable of the environment that only the image for GPUs sets."""
_CONFIG_BYTES = 1 << 20
"""More than any configuration of an image has; ours has 10 KB."""


def user_of(config: Mapping[str, Any]) -> str:
    """Return the user in an image's configuration: a number, or a name that is not root's.

    >>> user_of({"config": {"User": "10001:10001"}}), user_of({"config": {}})
    ('10001', '0')
    """
    user = str((config.get("config") or {}).get("User") or _ROOT).partition(":")[0]
    return _ROOT if user == "root" else user


def refuse_user(image: str, user: str, wanted: int) -> None:
    """Refuse an image that runs as another user than the wanted one.

    Raises:
        UsageError: it does.
    """
    if user != str(wanted):
        raise UsageError(
            f"{image}: runs as user {user}, and SageMaker's folders belong to root, so a job would "
            f"end without a result; build it with scripts/push_image.py --build, which makes it "
            f"for user {wanted}, or set IMAGE_USER={user} if that user can write there"
        )


def is_for_gpus(config: Mapping[str, Any]) -> bool:
    """Return whether an image of ours is the one for GPUs, by the variables of its environment."""
    names = {str(one).partition("=")[0] for one in (config.get("config") or {}).get("Env") or ()}
    return _FOR_GPUS in names


def check_image(cloud: Cloud, uri: str, instance_type: str) -> None:
    """Check before a job starts that its image runs as ``IMAGE_USER``, and fits the instance.

    An image that cannot be looked at, such as one of another account, is only mentioned.

    Raises:
        UsageError: the image runs as another user, or cannot use the GPU of the instance.
    """
    if cloud.blind:
        return
    try:
        config = read_config(cloud, uri)
    except CloudError as error:
        cloud.say(f"the user of the image could not be checked: {error}")
        return
    refuse_user(uri, user_of(config), cloud.variables.image_user)
    if has_gpu(instance_type) and not is_for_gpus(config):
        raise UsageError(
            f"{uri}: is the image for CPUs, and {instance_type} has a GPU; use --compute cpu, or "
            "push the image for GPUs"
        )
    if is_for_gpus(config) and not has_gpu(instance_type):
        cloud.say("the image is for GPUs; on CPUs, that of --compute cpu is faster")


def read_config(cloud: Cloud, uri: str) -> dict[str, Any]:
    """Return the configuration of an image in ECR.

    Raises:
        CloudError: the image is elsewhere, or it cannot be read.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise CloudError(f"{uri}: is not an image of ECR by digest or tag")
    place = {"registryId": match["registry"], "repositoryName": match["name"]}
    image = {"imageDigest": match["digest"]} if match["digest"] else {"imageTag": match["tag"]}
    found = cloud.read("ecr", "batch_get_image", imageIds=[image], **place)
    try:
        manifest = json.loads(found["images"][0]["imageManifest"])
        digest = str(manifest["config"]["digest"])
    except (LookupError, TypeError, ValueError) as error:
        raise CloudError(f"{uri}: the registry has no such image") from error
    layer = cloud.read("ecr", "get_download_url_for_layer", layerDigest=digest, **place)
    body = _fetch(layer["downloadUrl"])
    if f"sha256:{hashlib.sha256(body).hexdigest()}" != digest:
        raise CloudError(f"{uri}: its configuration is damaged")
    return dict(json.loads(body))


def _fetch(url: str) -> bytes:
    """Return the content of a small document that AWS has signed a URL for."""
    # boto's own HTTP: it uses the proxies and the certificates that all other calls use.
    with translate_errors("ecr layer"):
        bundle = botocore.session.get_session().get_config_variable("ca_bundle")
        session = URLLib3Session(verify=bundle or True, proxies=get_environ_proxies(url))
        answer = session.send(AWSRequest("GET", url).prepare())
        body = answer.content
    if answer.status_code != 200 or len(body) > _CONFIG_BYTES:
        raise CloudError(f"ecr layer: the registry answers {answer.status_code}")
    return bytes(body)
