"""Send files in S3 to an asynchronous endpoint, and await their results.

    python -m scripts.invoke_async interview.mp4 monday/talk.mp4
    python -m scripts.invoke_async interview.mp4 --wait      the same request, not a second one
    python -m scripts.invoke_async interview.mp4 --effect solid --wait

A file that was sent before, with the same content and settings, is not sent again unless it failed.
A line with the name of the file and the place of its result is printed for each.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from app.errors import Interrupted, UsageError
from app.logs import printable
from scripts.aws.bill import requests_bill
from scripts.aws.cloud import Cloud, JobFailed
from scripts.aws.command import add_job_options, check_settings, main, make_parser, settings_given
from scripts.aws.endpoints import find_endpoint, parts_of, tags_of
from scripts.aws.invocations import (
    MOST_TTL,
    Answer,
    Endpoint,
    Sent,
    attributes_of,
    check_sizes,
    look,
    wait,
)
from scripts.aws.objects import S3Object, S3Uri, choose_inputs, list_objects
from scripts.aws.people import TAG, People, people_in_archive, whom
from scripts.aws.transform import find_people_archive
from scripts.deploy_async import add_endpoint_option, endpoint_name

_READY = ("InService", "Updating")
"""States in which an endpoint takes requests."""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Send files in S3 to an asynchronous endpoint.")
    out.add_argument("files", nargs="+", metavar="NAME", help="files of INPUT_PREFIX")
    add_endpoint_option(out)
    out.add_argument("--wait", action="store_true", help="wait for all results")
    out.add_argument(
        "--again", action="store_true", help="also send files that have a result, or wait for one"
    )
    out.add_argument(
        "--queue-seconds",
        type=int,
        default=MOST_TTL,
        metavar="SECONDS",
        help=f"how long a request may wait for an instance (default: {MOST_TTL}, the most)",
    )
    add_job_options(out)
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Send the files; wait for their results if that is asked for.

    Raises:
        FaceBlurError: a file could not be sent, or has no result.
    """
    endpoint, said = _endpoint(cloud, args)
    items = _items(cloud, args.files)
    check_sizes(items)
    cloud.say(said)
    known = {item.key: endpoint.find(item) for item in items}
    answers = {key: look(cloud, sent) for key, sent in known.items() if sent is not None}
    to_send = [
        item
        for item in items
        if args.again or item.key not in answers or answers[item.key].state in {"failed", "expired"}
    ]
    _say_what_is_sent(endpoint, answers, to_send)
    sent = _send(endpoint, items, to_send, known)
    if args.wait and not cloud.dry_run:
        _wait(cloud, sent)


def _endpoint(cloud: Cloud, args: argparse.Namespace) -> tuple[Endpoint, str]:
    """Return the endpoint, and whom it hides.

    Raises:
        UsageError: it does not exist, does not take requests, or has photos of an earlier upload.
    """
    name, settings = endpoint_name(cloud.variables, args.name), settings_given(args)
    attributes, ttl = attributes_of(settings), args.queue_seconds
    if cloud.blind:
        unknown = Endpoint(cloud, name, "", cloud.variables.transform_type, attributes, ttl)
        return unknown, "hides whom it was told to hide when it was deployed"
    description = find_endpoint(cloud, name)
    if description is None:
        raise UsageError(f"there is no endpoint {name}; create it with scripts/deploy_async.py")
    if description["EndpointStatus"] not in _READY:
        raise UsageError(f"{name} is {description['EndpointStatus']} and takes no requests")
    config, container = parts_of(cloud, description)
    people = _people(cloud, name, config, container)
    environment = {**(container.get("Environment") or {}), **settings}
    check_settings(environment, people=people is not None)
    version, kind = config["EndpointConfigName"], config["ProductionVariants"][0]["InstanceType"]
    return Endpoint(cloud, name, version, kind, attributes, ttl), whom(people, environment)


def _people(
    cloud: Cloud, name: str, config: dict[str, Any], container: dict[str, Any]
) -> People | None:
    """Return the people of the endpoint, who must be those of the last upload.

    Raises:
        UsageError: they are not: the endpoint would show or hide others than the photos say.
    """
    archive = container.get("ModelDataUrl")
    if not archive:
        return None
    tags = tags_of(cloud, config["EndpointConfigArn"])
    before = next((one["Value"] for one in tags if one["Key"] == TAG), None)
    found = find_people_archive(cloud)
    now = None if found is None else people_in_archive(cloud, *found)
    if now is None or now.fingerprint != before:
        raise UsageError(
            f"the photos of people have changed since {name} was deployed, which therefore hides "
            "others than they say; run scripts/deploy_async.py again"
        )
    return people_in_archive(cloud, S3Uri.parse(archive), "")


def _items(cloud: Cloud, names: Sequence[str]) -> list[S3Object]:
    place = S3Uri(cloud.bucket, cloud.variables.input_prefix)
    inputs = choose_inputs(cloud, place, names)
    if cloud.blind:
        return [S3Object(key, 0, "") for key in inputs.keys]
    found = {one.key: one for one in list_objects(cloud, place)}
    return [found[key] for key in inputs.keys]


def _say_what_is_sent(
    endpoint: Endpoint, answers: dict[str, Answer], to_send: Sequence[S3Object]
) -> None:
    cloud, sending = endpoint.cloud, {item.key for item in to_send}
    for key, answer in answers.items():
        then = "sent again" if key in sending else "not sent again"
        cloud.say(f"{answer.sent.name}: was sent before, is {answer.state}, and is {then}")
    if to_send:
        cloud.say(requests_bill(cloud.variables, endpoint.kind, len(to_send)))


def _send(
    endpoint: Endpoint,
    items: Sequence[S3Object],
    to_send: Sequence[S3Object],
    known: dict[str, Sent | None],
) -> list[Sent]:
    """Send files; print and return the requests for all of them, old and new."""
    out = []
    for item in items:
        sent = known[item.key]
        if item in to_send:
            sent = endpoint.send(item, 1 if sent is None else sent.attempt + 1)
        assert sent is not None
        out.append(sent)
        if not endpoint.cloud.dry_run:
            print(f"{printable(sent.name)}\t{sent.output}", flush=True)
    return out


def _wait(cloud: Cloud, sent: Sequence[Sent]) -> None:
    """Wait for the answers, and report each.

    Raises:
        Interrupted: the user does not wait any longer.
        JobFailed: a file has no result.
    """
    ended: list[Answer] = []

    def report(answer: Answer) -> None:
        ended.append(answer)
        cloud.say(f"{answer.state}: {answer.sent.name}: {answer.text}")

    try:
        wait(cloud, sent, report)
    except KeyboardInterrupt:
        raise Interrupted(
            f"{len(sent) - len(ended)} requests go on: they cannot be withdrawn; run the command "
            "again to wait for them, or delete the endpoint"
        ) from None
    done = sum(one.state == "done" for one in ended)
    if done < len(sent):
        missing = ", ".join(one.sent.name for one in ended if one.state != "done")
        raise JobFailed(f"{done} of {len(sent)} files have a result; without: {missing}")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
