"""An AWS account: calls, their errors, and the tag that marks resources of this project.

In a dry run, calls that change something are printed instead of made.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from textwrap import shorten
from typing import Any, TextIO

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from app.errors import FaceBlurError, UsageError
from scripts.aws.variables import Variables

PROJECT_TAG = "face-blur:project"
"""Key of the tag of every resource that these commands create; only tagged ones are changed."""
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60
)
_PATIENCE = 3600.0


class CloudError(FaceBlurError):
    """AWS refused, failed, or could not be reached.

    Args:
        message: one line for the user.
        reason: the code of AWS, such as ``NoSuchBucket``; empty where it has told none.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class JobFailed(FaceBlurError):
    """A job ended without having done everything."""


class LimitError(UsageError):
    """A request would be beyond a limit of the API, or is not of the form that it wants."""


class UntaggedError(UsageError):
    """Something would have to be changed or deleted that does not carry our tag."""


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Errors of boto3 as ours: what was tried, and the code and message of AWS.

    Raises:
        CloudError: in place of those.
    """
    try:
        yield
    except ClientError as error:
        told = error.response.get("Error", {})
        text = f"{what}: {told.get('Code', 'unknown')}: {told.get('Message', '')}"
        raise CloudError(" ".join(text.split()), told.get("Code", "")) from error
    # Neither an answer that is not understood nor a transfer that fails is a BotoCoreError.
    except (BotoCoreError, Boto3Error, ResponseParserError) as error:
        raise CloudError(f"{what}: {shorten(str(error), 300, placeholder=' ...')}") from error


def project_tags(project: str) -> list[dict[str, str]]:
    """The tags of something new, as most services want them.

    >>> project_tags("news")
    [{'Key': 'face-blur:project', 'Value': 'news'}]
    """
    return [{"Key": PROJECT_TAG, "Value": project}]


def has_project_tag(tags: Iterable[Mapping[str, str]], project: str) -> bool:
    """Whether tags, as most services list them, are those of something of this project.

    >>> has_project_tag([{"Key": "face-blur:project", "Value": "other"}], "news")
    False
    """
    return any(tag.get("Key") == PROJECT_TAG and tag.get("Value") == project for tag in tags)


class Cloud:
    """An account, in a region, as one of our commands sees it.

    Args:
        variables: where and how.
        dry_run: make no call that changes anything, but print it.
        out: where to print to.
    """

    def __init__(
        self, variables: Variables, *, dry_run: bool = False, out: TextIO | None = None
    ) -> None:
        self.variables = variables
        self.dry_run = dry_run
        self._out = sys.stdout if out is None else out
        self._session = boto3.Session(region_name=variables.region)
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """The boto3 client of a service; only to read, or for what ``change`` cannot do."""
        if service not in self._clients:
            with translate_errors(service):
                self._clients[service] = self._session.client(service, config=_CONFIG)  # type: ignore[call-overload]
        return self._clients[service]

    def read(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Make a call that changes nothing, in dry runs too.

        Args:
            service: its name in boto3, such as ``sagemaker``.
            operation: the method of its client, such as ``describe_model``.
            request: what is passed to it.

        Raises:
            CloudError: it failed.
        """
        with translate_errors(f"{service} {operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Iterator[Any]:
        """The items under ``key`` of all pages of a listing.

        Raises:
            CloudError: it failed.
        """
        with translate_errors(f"{service} {operation}"):
            for page in self.client(service).get_paginator(operation).paginate(**request):
                yield from page.get(key, ())

    def change(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Make a call that changes something; in a dry run print it, and answer nothing.

        Raises:
            CloudError: it failed.
        """
        if self.dry_run:
            self.show(service, operation, request)
            return {}
        with translate_errors(f"{service} {operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def wait(self, service: str, waiter: str, seconds: float = 5, **request: Any) -> None:
        """Wait until a waiter of boto3 is content, asking every so many seconds; not in dry runs.

        Raises:
            CloudError: it has failed, or it took longer than an hour.
        """
        if self.dry_run:
            return
        config = {"Delay": seconds, "MaxAttempts": int(_PATIENCE / seconds)}
        with translate_errors(f"{service} {waiter}"):
            self.client(service).get_waiter(waiter).wait(WaiterConfig=config, **request)

    def show(self, service: str, operation: str, request: Mapping[str, Any]) -> None:
        """Print a request as a line of JSON: exactly what would be sent."""
        line = {"service": service, "operation": operation, "request": request}
        print(json.dumps(line, default=str, ensure_ascii=False), file=self._out)

    def say(self, text: str) -> None:
        """Tell the user something, on stderr: stdout is for results."""
        print(text, file=sys.stderr, flush=True)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Outputs of our stack: ``Bucket``, ``Repository``, ``RepositoryUri``, ``RoleArn``.

        Raises:
            CloudError: there is no such stack, or it is not ours.
        """
        name = self.variables.project
        (stack,) = self.read("cloudformation", "describe_stacks", StackName=name)["Stacks"]
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
        if tags.get(PROJECT_TAG) != name:
            raise CloudError(f"the stack {name} does not carry our tag; choose another PROJECT")
        return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}

    @property
    def bucket(self) -> str:
        """The bucket of the variables, else that of the stack."""
        return self.variables.bucket or self._output("Bucket", "BUCKET")

    @property
    def repository(self) -> str:
        """The repository of the variables, else that of the stack."""
        return self.variables.repository or self._output("Repository", "REPOSITORY")

    @property
    def role_arn(self) -> str:
        """The execution role of the variables, else that of the stack."""
        return self.variables.role_arn or self._output("RoleArn", "ROLE_ARN")

    def _output(self, key: str, variable: str) -> str:
        try:
            return self.outputs[key]
        except (CloudError, KeyError) as error:
            reason = f": {error}" if isinstance(error, CloudError) else ""
            raise CloudError(
                f"{variable} is not given, and the stack {self.variables.project} does not tell it"
                f"{reason}; run scripts/infrastructure.py, or set it"
            ) from error
