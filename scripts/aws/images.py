"""Images in the repository: whether a tag is free, and whether SageMaker takes what was pushed."""

from pathlib import Path
from tempfile import TemporaryDirectory

from app.errors import UsageError
from scripts.aws.archive import MANIFEST, unpack
from scripts.aws.cloud import Cloud
from scripts.aws.errors import CloudError
from scripts.aws.registry import Registry


def check_tag(cloud: Cloud) -> None:
    """Whether the tag is free: tags of the repository never change what they mean.

    Raises:
        UsageError: an image has it.
        CloudError: AWS does not tell.
    """
    tag = cloud.variables.image_tag
    try:
        _described(cloud, imageTag=tag)
    except CloudError as error:
        if error.reason == "ImageNotFoundException":
            return
        raise
    raise UsageError(
        f"the tag {tag} is taken, and stays with its image; give another one, such as "
        "--image-tag $(git rev-parse --short HEAD)"
    )


def log_in(cloud: Cloud) -> Registry:
    """The registry of the account, with a login for some hours.

    Raises:
        CloudError: AWS gives none.
    """
    (data,) = cloud.read("ecr", "get_authorization_token")["authorizationData"]
    return Registry(data["proxyEndpoint"], data["authorizationToken"])


def push(cloud: Cloud, archive: Path, registry: Registry) -> str:
    """Push an archive under the tag of the variables; returns its URI by digest.

    Raises:
        UsageError: the archive cannot be used.
        CloudError: the registry refuses, or has then what SageMaker would refuse.
    """
    with TemporaryDirectory() as folder:
        cloud.say("compressing layers")
        image = unpack(archive, Path(folder))
        registry.push(
            cloud.repository, cloud.variables.image_tag, image,
            lambda blob, done: cloud.say(f"{blob.digest[:19]} {blob.size / 1e6:.1f} MB {done}"),
        )  # fmt: skip
    return check_pushed(cloud, image.digest)


def check_pushed(cloud: Cloud, digest: str) -> str:
    """The URI by digest of what is under the tag, if it is that image and SageMaker takes it.

    Raises:
        CloudError: it is another one, or of another form.
    """
    tag = cloud.variables.image_tag
    found = _described(cloud, imageTag=tag)
    if found["imageDigest"] != digest:
        raise CloudError(f"under the tag {tag} is {found['imageDigest']} in place of {digest}")
    if found.get("imageManifestMediaType") != MANIFEST:
        raise CloudError(
            f"the manifest is {found.get('imageManifestMediaType')}, which SageMaker refuses; "
            f"it takes {MANIFEST}"
        )
    name = cloud.repository
    (repository,) = cloud.read("ecr", "describe_repositories", repositoryNames=[name])[
        "repositories"
    ]
    return f"{repository['repositoryUri']}@{digest}"


def _described(cloud: Cloud, **image: str) -> dict[str, str]:
    answer = cloud.read("ecr", "describe_images", repositoryName=cloud.repository, imageIds=[image])
    (found,) = answer["imageDetails"]
    return dict(found)
