"""Calls of AWS: those that change something are printed instead of made in a dry run."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, TextIO

import boto3
from botocore.config import Config

from scripts.aws.errors import CloudError, translated
from scripts.aws.tags import PROJECT_TAG
from scripts.aws.variables import Variables

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5}, connect_timeout=10, read_timeout=60
)
_PATIENCE = 3600.0


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
            with translated(service):
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
        with translated(f"{service} {operation}"):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**request)
        return answer

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Iterator[Any]:
        """The items under ``key`` of all pages of a listing.

        Raises:
            CloudError: it failed.
        """
        with translated(f"{service} {operation}"):
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
        with translated(f"{service} {operation}"):
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
        with translated(f"{service} {waiter}"):
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
