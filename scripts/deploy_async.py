"""Create, change or delete an asynchronous endpoint of SageMaker that hides faces.

    python -m scripts.deploy_async --blur everyone          create it, or change it
    python -m scripts.deploy_async --blur listed --effect solid
    python -m scripts.deploy_async --delete

scripts/invoke_async.py sends it files. Without requests it has no instance. The command waits until
the endpoint is in service; if it does not start, or on Ctrl-C, nothing of it is left.
"""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from app.errors import FaceBlurError, Interrupted, UsageError
from scripts.aws.bill import endpoint_bill
from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.command import add_job_options, main, make_parser, settings_given
from scripts.aws.endpoints import (
    CHANGING,
    POLL_SECONDS,
    check_serves,
    delete_endpoint,
    find_endpoint,
    parts_of,
    settle,
)
from scripts.aws.images import check_image
from scripts.aws.limits import check
from scripts.aws.people import whom
from scripts.aws.scaling import check_alarm, remove_scaling, set_scaling
from scripts.aws.variables import Variables
from scripts.aws.versions import (
    Version,
    delete_versions,
    environment_of,
    find_photos,
    plan_version,
)

_NO_TOPIC = frozenset({"NotFound", "NotFoundException", "InvalidParameter"})


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Create, change or delete an asynchronous endpoint that hides faces.")
    add_endpoint_option(out)
    out.add_argument("--delete", action="store_true", help="delete it, with requests that wait")
    out.add_argument(
        "--people",
        choices=("model", "none"),
        help="source of photos: the archive next to PEOPLE_PREFIX (default, if it exists), or none",
    )
    out.add_argument(
        "--poll", type=float, default=POLL_SECONDS, metavar="SECONDS", help="time between polls"
    )
    add_job_options(out)
    return out


def add_endpoint_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the name of the endpoint."""
    parser.add_argument("--name", help="name of the endpoint (default: PROJECT-async)")


def endpoint_name(variables: Variables, given: str | None) -> str:
    """Return the name of the endpoint.

    Raises:
        UsageError: it does not begin with that of the project, as the rights of operators demand.
    """
    name = given or f"{variables.project}-async"
    if not name.startswith(f"{variables.project}-"):
        raise UsageError(f"--name {name}: must begin with {variables.project}-")
    return name


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Create, change or delete the endpoint.

    Raises:
        FaceBlurError: it could not be done.
    """
    name = endpoint_name(cloud.variables, args.name)
    existing = find_endpoint(cloud, name)
    if args.delete:
        _delete(cloud, name, existing, args)
        return
    version = _plan(cloud, name, args)
    cloud.say(_whom(version))
    cloud.say(endpoint_bill(cloud.variables))
    if existing is not None and not cloud.dry_run:
        # It may be changing, or even be gone after that.
        existing = settle(cloud, name, args.poll)
    if existing is None:
        _create(cloud, name, version, args.poll)
    else:
        _update(cloud, name, version, existing, args.poll)
    if not cloud.dry_run:
        print(name, flush=True)
        cloud.say(f"{name} is in service; send it files with scripts/invoke_async.py")


def _plan(cloud: Cloud, name: str, args: argparse.Namespace) -> Version:
    """Check everything that can be checked before anything exists."""
    environment = environment_of(cloud, settings_given(args))
    photos = find_photos(cloud, environment, args.people)
    version = plan_version(cloud, name, environment, photos)
    check("CreateEndpoint", _endpoint(cloud, name, version))
    check_image(cloud, version.model["PrimaryContainer"]["Image"], cloud.variables.transform_type)
    _check_topics(cloud)
    check_alarm(cloud, name)
    return version


def _whom(version: Version) -> str:
    people = None if version.photos is None else version.photos.people
    return whom(people, version.environment)


def _check_topics(cloud: Cloud) -> None:
    """Check that the topics exist; one that cannot be looked at is only mentioned."""
    topics = (cloud.variables.success_topic, cloud.variables.error_topic)
    for topic in filter(None, dict.fromkeys(topics)):
        if cloud.blind:
            return
        try:
            cloud.read("sns", "get_topic_attributes", TopicArn=topic)
        except CloudError as error:
            if error.reason in _NO_TOPIC:
                raise UsageError(f"{topic}: there is no such topic") from error
            cloud.say(f"the topic could not be checked: {error}")


def _endpoint(cloud: Cloud, name: str, version: Version) -> dict[str, Any]:
    return {
        "EndpointName": name,
        "EndpointConfigName": version.name,
        "Tags": project_tags(cloud.variables.project),
    }


def _create(cloud: Cloud, name: str, version: Version, poll: float) -> None:
    with _removed_on_failure(cloud, name, poll):
        version.make(cloud)
        cloud.change("sagemaker", "create_endpoint", **_endpoint(cloud, name, version))
        if not cloud.dry_run:
            check_serves(settle(cloud, name, poll), name, version.name)
        # Not before: Application Auto Scaling refuses an endpoint that is being created.
        set_scaling(cloud, name, cloud.variables.async_max_instances)
    if not cloud.blind:
        delete_versions(cloud, name, keep=version.name)


@contextmanager
def _removed_on_failure(cloud: Cloud, name: str, poll: float) -> Iterator[None]:
    """Delete an endpoint if it cannot be created, or if that is interrupted.

    Raises:
        Interrupted: it was interrupted.
    """
    try:
        yield
    except Exception:
        # Whatever it is: an endpoint costs.
        _remove(cloud, name, poll)
        raise
    except KeyboardInterrupt:
        cloud.say(f"deleting {name}; press Ctrl-C again to leave without waiting")
        try:
            _remove(cloud, name, poll)
        except KeyboardInterrupt:
            raise Interrupted(f"left {name}: delete it with --delete, or it may cost") from None
        raise Interrupted(f"{name} was not created") from None


def _remove(cloud: Cloud, name: str, poll: float) -> None:
    if cloud.dry_run:
        return
    try:
        delete_endpoint(cloud, name, poll)
        delete_versions(cloud, name)
    except FaceBlurError as error:
        cloud.say(f"{name} may still exist, and cost; delete it with --delete: {error}")


def _update(
    cloud: Cloud, name: str, version: Version, existing: dict[str, Any], poll: float
) -> None:
    """Switch to a version, if it is another one; set the scaling in any case."""
    if existing["EndpointStatus"] != "InService":
        raise UsageError(f"{name} is {existing['EndpointStatus']}; delete it first (--delete)")
    if existing["EndpointConfigName"] == version.name:
        cloud.say(f"{name} has this version already")
    else:
        _switch(cloud, name, version, existing, poll)
    set_scaling(cloud, name, cloud.variables.async_max_instances)
    delete_versions(cloud, name, keep=version.name)


def _switch(
    cloud: Cloud, name: str, version: Version, existing: dict[str, Any], poll: float
) -> None:
    try:
        version.make(cloud)
        config, _ = parts_of(cloud, existing)
        if config["ProductionVariants"][0]["InstanceType"] != cloud.variables.transform_type:
            # Otherwise AWS refuses the update:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html
            remove_scaling(cloud, name)
        place = {"EndpointName": name, "EndpointConfigName": version.name}
        cloud.change("sagemaker", "update_endpoint", **place)
        if not cloud.dry_run:
            check_serves(settle(cloud, name, poll), name, version.name)
    except FaceBlurError:
        _keep_present(cloud, name, poll)
        raise
    except KeyboardInterrupt:
        _leave(cloud, name, poll)


def _keep_present(cloud: Cloud, name: str, poll: float) -> None:
    """Set the scaling of the version that an endpoint has, and delete the parts of others."""
    try:
        found = settle(cloud, name, poll)
        if found is not None and not cloud.dry_run:
            set_scaling(cloud, name, cloud.variables.async_max_instances)
            delete_versions(cloud, name, keep=found["EndpointConfigName"])
    except FaceBlurError as error:
        cloud.say(f"{name} may have parts of two versions; run the command again: {error}")


def _leave(cloud: Cloud, name: str, poll: float) -> NoReturn:
    """Tidy up after an interruption, unless the update has begun: it cannot be stopped."""
    found = find_endpoint(cloud, name)
    if found is not None and found["EndpointStatus"] in CHANGING:
        raise Interrupted(
            f"left {name}, which is still changing, as an update cannot be stopped; run the "
            "command again to finish it, or with --delete"
        )
    _keep_present(cloud, name, poll)
    raise Interrupted(f"{name} was not changed")


def _delete(
    cloud: Cloud, name: str, existing: dict[str, Any] | None, args: argparse.Namespace
) -> None:
    if existing is None:
        cloud.say(f"there is no endpoint {name}; parts that are left of it are deleted")
    delete_endpoint(cloud, name, args.poll)
    delete_versions(cloud, name)
    cloud.say(f"{name} is deleted; its results stay in {cloud.variables.output_prefix}{name}/")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
