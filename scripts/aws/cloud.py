"""An AWS account: calls, their errors, and the tag that marks resources of this project.

In a dry run, calls that change something are printed instead of made. Without credentials, a dry
run asks nothing, and shows the requests for an account that has nothing yet.
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
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from app.errors import FaceBlurError, UsageError
from app.logs import printable
from scripts.aws.variables import Variables

PROJECT_TAG = "face-blur:project"
"""Key of the tag of every resource that these commands create; only tagged ones are changed."""
_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60
)
_MAX_WAIT_SECONDS = 3600.0
NO_CREDENTIALS = "NoCredentials"
"""Reason of a ``CloudError``: there is no account to ask."""
_NO_CREDENTIALS = (
    "this needs credentials, and there are none; run aws configure, or set AWS_PROFILE"
)
_UNASKED = "no credentials: nothing is asked; the requests are those for an empty account"


class CloudError(FaceBlurError):
    """AWS refused a call, failed, or could not be reached.

    Args:
        message: one line for the user.
        reason: the error code of AWS, such as ``NoSuchBucket``; may be empty.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class JobFailed(FaceBlurError):
    """A job ended before all its files were processed."""


class LimitError(UsageError):
    """A request violates a limit or a pattern of the API."""


class UntaggedError(UsageError):
    """A resource that would be changed or deleted does not have the tag of this project."""


@contextmanager
def translate_errors(what: str) -> Iterator[None]:
    """Translate errors of boto3, naming the call and the error code and message of AWS.

    Raises:
        CloudError: boto3 raised an error.
    """
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CloudError(f"{what}: {_NO_CREDENTIALS}", NO_CREDENTIALS) from error
    except ClientError as error:
        details = error.response.get("Error", {})
        text = f"{what}: {details.get('Code', 'unknown')}: {details.get('Message', '')}"
        raise CloudError(" ".join(text.split()), details.get("Code", "")) from error
    # Responses that cannot be parsed and failed transfers are no BotoCoreError.
    except (BotoCoreError, Boto3Error, ResponseParserError) as error:
        raise CloudError(f"{what}: {shorten(str(error), 300, placeholder=' ...')}") from error


def project_tags(project: str) -> list[dict[str, str]]:
    """Return the tags of a new resource, in the form that most services accept.

    >>> project_tags("news")
    [{'Key': 'face-blur:project', 'Value': 'news'}]
    """
    return [{"Key": PROJECT_TAG, "Value": project}]


def has_project_tag(tags: Iterable[Mapping[str, str]], project: str) -> bool:
    """Return whether tags, in the form that most services list them, contain that of the project.

    >>> has_project_tag([{"Key": "face-blur:project", "Value": "other"}], "news")
    False
    """
    return any(tag.get("Key") == PROJECT_TAG and tag.get("Value") == project for tag in tags)


class Cloud:
    """An AWS account in one region.

    Args:
        variables: region, names and settings.
        dry_run: print calls that change something instead of making them.
        out: stream for the printed calls (default: stdout).
    """

    def __init__(
        self, variables: Variables, *, dry_run: bool = False, out: TextIO | None = None
    ) -> None:
        self.variables = variables
        self.dry_run = dry_run
        self._out = sys.stdout if out is None else out
        self._session = boto3.Session(region_name=variables.region)
        self._clients: dict[str, Any] = {}

    @cached_property
    def blind(self) -> bool:
        """Whether nothing can be asked: a dry run without credentials. The user is told once."""
        if not self.dry_run or self._session.get_credentials() is not None:
            return False
        self.say(_UNASKED)
        return True

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service, if ``read`` and ``change`` do not suffice."""
        if service not in self._clients:
            with translate_errors(service):
                self._clients[service] = self._session.client(service, config=_CONFIG)  # type: ignore[call-overload]
        return self._clients[service]

    def read(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Make a call that changes nothing; it is made in a dry run too.

        Args:
            service: name of the service in boto3, such as ``sagemaker``.
            operation: method of its client, such as ``describe_model``.
            request: arguments of the method.

        Raises:
            CloudError: the call failed.
        """
        with translate_errors(f"{service} {operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Iterator[Any]:
        """Yield the items under ``key`` from all pages of a listing.

        Raises:
            CloudError: the call failed.
        """
        with translate_errors(f"{service} {operation}"):
            for page in self.client(service).get_paginator(operation).paginate(**request):
                yield from page.get(key, ())

    def change(self, service: str, operation: str, **request: Any) -> dict[str, Any]:
        """Make a call that changes something; in a dry run print it, and return an empty response.

        Raises:
            CloudError: the call failed.
        """
        if self.dry_run:
            self.show(service, operation, request)
            return {}
        with translate_errors(f"{service} {operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def wait(self, service: str, waiter: str, seconds: float = 5, **request: Any) -> None:
        """Wait for a boto3 waiter, polling every ``seconds``; return at once in a dry run.

        Raises:
            CloudError: the waiter failed, or took longer than an hour.
        """
        if self.dry_run:
            return
        config = {"Delay": seconds, "MaxAttempts": int(_MAX_WAIT_SECONDS / seconds)}
        with translate_errors(f"{service} {waiter}"):
            self.client(service).get_waiter(waiter).wait(WaiterConfig=config, **request)

    def show(self, service: str, operation: str, request: Mapping[str, Any]) -> None:
        """Print a request as one line of JSON."""
        line = {"service": service, "operation": operation, "request": request}
        print(printable(json.dumps(line, default=str, ensure_ascii=False)), file=self._out)

    def say(self, text: str) -> None:
        """Print a message for the user on stderr; stdout is for results."""
        print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs of the stack: ``Bucket``, ``Repository``, ``RepositoryUri``, ``RoleArn``.

        Raises:
            CloudError: the stack does not exist, or does not have the tag of the project.
        """
        name = self.variables.project
        (stack,) = self.read("cloudformation", "describe_stacks", StackName=name)["Stacks"]
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
        if tags.get(PROJECT_TAG) != name:
            raise CloudError(
                f"the stack {name} does not have the tag of this project; choose another PROJECT"
            )
        return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}

    @property
    def bucket(self) -> str:
        """The bucket from the variables, or else from the stack."""
        return self.variables.bucket or self._output("Bucket", "BUCKET")

    @property
    def repository(self) -> str:
        """The repository from the variables, or else from the stack."""
        return self.variables.repository or self._output("Repository", "REPOSITORY")

    @property
    def role_arn(self) -> str:
        """The execution role from the variables, or else from the stack."""
        return self.variables.role_arn or self._output("RoleArn", "ROLE_ARN")

    def _output(self, key: str, variable: str) -> str:
        stack = f"{variable} is not set, and cannot be read from the stack {self.variables.project}"
        try:
            return self.outputs[key]
        except KeyError as error:
            raise CloudError(f"{stack}; run scripts/infrastructure.py, or set it") from error
        except CloudError as error:
            # Wrong credentials or a missing network are not mended by another stack.
            absent = is_missing_stack(error)
            advice = "; run scripts/infrastructure.py, or set it" if absent else ""
            raise CloudError(f"{stack}: {error}{advice}", error.reason) from error


def is_missing_stack(error: CloudError) -> bool:
    """Return whether an error of CloudFormation says that there is no such stack."""
    return error.reason == "ValidationError" and "does not exist" in str(error)
