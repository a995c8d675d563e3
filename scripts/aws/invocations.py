"""Requests to an asynchronous endpoint: sending files, remembering that, and awaiting answers.

SageMaker gives each answer a name of its own and forgets the request. So a record in the bucket
says which answer belongs to which file, and keeps a file from being sent twice.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from app.config import ENV_PREFIX
from app.errors import UsageError
from app.logs import printable
from app.web.options import parse_attributes
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.limits import check
from scripts.aws.objects import S3Object, S3Uri, read_object

MOST_BYTES = 10**9
"""The largest input of Asynchronous Inference:
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html (1 GB)."""
MOST_TTL = 21600
"""The longest time, in seconds, that a request may wait in the queue."""
_MEDIA_TYPE = "application/octet-stream"
"""Content type of all inputs; the service detects their format from the bytes."""
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_GRACE_SECONDS = 900
"""Time beyond that of the queue and that of the work, for an answer to be stored."""
_FIRST_PAUSE, _LAST_PAUSE, _GROWTH = 2.0, 60.0, 1.5
"""Seconds between looks for answers: short files are answered soon, and an instance takes
minutes to start."""
_REASON_BYTES = 2000
"""As much of a failure as a line of the terminal can show."""
State: TypeAlias = Literal["waiting", "done", "failed", "expired"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent.

    Args:
        name: name of the file, without ``INPUT_PREFIX``.
        key: its key.
        etag: its content.
        attempt: how often this content has been sent to this version of the endpoint.
        output: where the result will be.
        failure: where the reason will be if there is no result.
        until: time after which there will be no answer, in seconds since 1970.
    """

    name: str
    key: str
    etag: str
    attempt: int
    output: str
    failure: str
    until: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The state of a request; ``text`` is the place of the result, or a reason."""

    sent: Sent
    state: State
    text: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as its requests see it.

    Args:
        cloud: the account.
        name: name of the endpoint.
        version: name of its configuration.
        kind: its instance type.
        attributes: options of the requests, as ``attributes_of`` returns them.
        ttl: seconds that a request may wait.
    """

    cloud: Cloud
    name: str
    version: str
    kind: str
    attributes: str
    ttl: int

    def identify(self, item: S3Object) -> str:
        """Return the identity of a file's request: the same for the same content and settings."""
        parts = (self.version, self.cloud.bucket, item.key, item.etag, self.attributes)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def find(self, item: S3Object) -> Sent | None:
        """Return the last request for a file; None if there was none.

        Raises:
            CloudError: the record cannot be read.
        """
        if self.cloud.blind:
            return None
        place = self._record(item)
        try:
            return Sent(**json.loads(read_object(self.cloud, place)))
        except CloudError as error:
            if error.reason not in _NOT_FOUND:
                raise
            return None
        except (ValueError, TypeError) as error:
            raise CloudError(f"{place}: is damaged; delete it") from error

    def send(self, item: S3Object, attempt: int) -> Sent:
        """Send a file and write the record.

        Raises:
            CloudError: AWS refuses.
            LimitError: the request violates a limit of the API.
        """
        cloud, timeout = self.cloud, self.cloud.variables.timeout_seconds
        request = self.request(item, attempt)
        check("InvokeEndpointAsync", request)
        answer = cloud.change("sagemaker-runtime", "invoke_endpoint_async", **request)
        sent = Sent(
            name=item.key.removeprefix(cloud.variables.input_prefix),
            key=item.key,
            etag=item.etag,
            attempt=attempt,
            output=answer.get("OutputLocation", ""),
            failure=answer.get("FailureLocation", ""),
            until=time.time() + self.ttl + timeout + _GRACE_SECONDS,
        )
        place = self._record(item)
        cloud.change(
            "s3", "put_object", Bucket=place.bucket, Key=place.key, Body=json.dumps(asdict(sent))
        )
        return sent

    def request(self, item: S3Object, attempt: int) -> dict[str, Any]:
        """Return the request for a file."""
        return {
            "EndpointName": self.name,
            "InputLocation": str(S3Uri(self.cloud.bucket, item.key)),
            "ContentType": _MEDIA_TYPE,
            # Another attempt must not find the failure of the last one in its place.
            "InferenceId": f"{self.identify(item)}-{attempt}",
            "InvocationTimeoutSeconds": self.cloud.variables.timeout_seconds,
            "RequestTTLSeconds": self.ttl,
            **({"CustomAttributes": self.attributes} if self.attributes else {}),
        }

    def _record(self, item: S3Object) -> S3Uri:
        folder = f"{self.cloud.variables.output_prefix}{self.name}/requests/"
        return S3Uri(self.cloud.bucket, f"{folder}{self.identify(item)}.json")


def attributes_of(settings: Mapping[str, str]) -> str:
    """Return settings as the text with which a request brings them to the service.

    Raises:
        ConfigError: a request cannot bring one of them.
        UsageError: a value would be read as something else.

    >>> attributes_of({"FACE_BLUR_EFFECT": "solid", "FACE_BLUR_SELECT": "1,20,30"})
    'effect=solid select=1,20,30'
    """
    options = {key.removeprefix(ENV_PREFIX).lower(): value for key, value in settings.items()}
    text = " ".join(f"{key}={value}" for key, value in sorted(options.items()))
    if parse_attributes(text) != options:
        raise UsageError(f"{text}: cannot be sent with a request; set it for the endpoint")
    return text


def check_sizes(items: Sequence[S3Object]) -> None:
    """Check that no file is larger than Asynchronous Inference takes.

    Raises:
        UsageError: some are.
    """
    if large := [one for one in items if one.size > MOST_BYTES]:
        named = ", ".join(f"{one.key} ({one.size / 1e9:.2f} GB)" for one in large)
        raise UsageError(
            f"{named}: more than 1 GB, which asynchronous endpoints do not take; use a Processing "
            "job, or split it (scripts/split.py)"
        )


def look(cloud: Cloud, sent: Sent) -> Answer:
    """Return the state of a request.

    Raises:
        CloudError: S3 refuses.
    """
    if size := _size(cloud, sent.output):
        return Answer(sent, "done", sent.output)
    if size == 0:
        return Answer(sent, "failed", "the result is empty")
    if sent.failure and _size(cloud, sent.failure) is not None:
        return Answer(sent, "failed", _reason(cloud, sent.failure))
    if time.time() > sent.until:
        return Answer(sent, "expired", "there was no answer in time")
    return Answer(sent, "waiting")


def _size(cloud: Cloud, uri: str) -> int | None:
    place = S3Uri.parse(uri)
    try:
        head = cloud.read("s3", "head_object", Bucket=place.bucket, Key=place.key)
    except CloudError as error:
        if error.reason not in _NOT_FOUND:
            raise
        return None
    return int(head["ContentLength"])


def _reason(cloud: Cloud, uri: str) -> str:
    content = read_object(cloud, S3Uri.parse(uri))[:_REASON_BYTES]
    return printable(" ".join(content.decode(errors="replace").split()))


def wait(cloud: Cloud, waiting: Sequence[Sent], report: Callable[[Answer], None]) -> None:
    """Wait until each request has an answer or none can come, with growing pauses.

    Args:
        cloud: the account.
        waiting: the requests.
        report: is called once for each, when it has ended.

    Raises:
        CloudError: S3 refuses.
    """
    pause, left = _FIRST_PAUSE, list(waiting)
    while left:
        answers = [look(cloud, one) for one in left]
        ended = [one for one in answers if one.state != "waiting"]
        for one in ended:
            report(one)
        left = [one.sent for one in answers if one.state == "waiting"]
        # An answer shows that there is an instance, so the next one may come soon.
        pause = _FIRST_PAUSE if ended else min(pause * _GROWTH, _LAST_PAUSE)
        if left:
            time.sleep(pause)
