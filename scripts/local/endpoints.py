"""Asynchronous endpoints in front of moto, which knows them by name and runs nothing.

Each endpoint has a queue and at most one instance. moto does not play Application Auto Scaling, so
``scale`` takes its place.
"""

import io
import json
import queue
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker.models import sagemaker_backends
from werkzeug.wrappers import Response

from scripts.aws.endpoints import CHANGING
from scripts.aws.objects import S3Uri
from scripts.local.async_instance import Account, Instance, Invocation, Version
from scripts.local.job import Refused, Request, parse_s3_uri
from scripts.local.transformer import Timeouts
from scripts.local.wire import answer, refusal, region_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

    from scripts.local.sagemaker import SageMaker

Action = Callable[[Request, "WSGIEnvironment"], Response]
_INVOCATION = re.compile(r"/endpoints/([^/]+)/async-invocations")
_KNOWN_TYPE = "ml.m5.large"
"""An instance type that moto knows: its list ends years ago."""
_HEADER = "HTTP_X_AMZN_SAGEMAKER_"
_PASSED = {
    "CONTENT_TYPE": "Content-Type",
    "ACCEPT": "Accept",
    "CUSTOM_ATTRIBUTES": "X-Amzn-SageMaker-Custom-Attributes",
}
"""Headers that SageMaker gives to the container, of those that it gets."""
_TTL, _TIMEOUT = 21600, 900
"""The defaults of a request, in seconds."""


@dataclass(slots=True)
class Played:
    """An endpoint: its queue, its instance, all that were started, and the change under way."""

    account: Account
    waiting: "queue.Queue[Invocation]" = field(default_factory=queue.Queue)
    version: Version | None = None
    instance: Instance | None = None
    started: list[Instance] = field(default_factory=list)
    change: threading.Thread | None = None

    def end(self) -> None:
        """Stop all instances, and wait for them."""
        for one in self.started:
            one.stop()
        if self.change is not None:
            self.change.join()
        for one in self.started:
            one.join()


class Endpoints:
    """The endpoints of a server; ``actions`` are the requests that it answers."""

    def __init__(self, server: "SageMaker") -> None:
        self._server = server
        self._versions: dict[tuple[str, str], Version] = {}
        self._played: dict[tuple[str, str], Played] = {}
        self._lock = threading.Lock()
        self.actions: dict[str, Action] = {
            "SageMaker.CreateEndpointConfig": self._create_config,
            "SageMaker.CreateEndpoint": self._create,
            "SageMaker.UpdateEndpoint": self._update,
            "SageMaker.DeleteEndpoint": self._delete,
        }

    def reset(self) -> None:
        """Stop and forget all endpoints."""
        with self._lock:
            ended = list(self._played.values())
            self._played.clear()
            self._versions.clear()
        for one in ended:
            one.end()

    def scale(self, region: str, name: str, count: int) -> None:
        """Give an endpoint no instance or one, as its policies would; wait until it has it."""
        played = self._played[region, name]
        if count == 0 and played.instance is not None:
            played.instance.retire()
            played.instance.join()
            played.instance = None
        elif count and played.instance is None and played.version is not None:
            played.instance = self._start(played, played.version)
            played.instance.ready.wait()

    def waiting(self, region: str, name: str) -> list[Invocation]:
        """Return the requests in the queue, without those in work."""
        return list(self._played[region, name].waiting.queue)

    def _start(self, played: Played, version: Version) -> Instance:
        server = self._server
        timeouts = server.timeouts or Timeouts()
        instance = Instance(version, played.waiting, played.account, server.launcher, timeouts)
        played.started.append(instance)
        instance.start()
        return instance

    def _create_config(self, request: Request, environ: "WSGIEnvironment") -> Response:
        region, name = region_of(environ), request["EndpointConfigName"]
        try:
            version = self._parse(region, request)
        except Refused as error:
            return refusal("ValidationException", str(error))
        kind = request["ProductionVariants"][0]["InstanceType"]
        known = dict(request["ProductionVariants"][0]) | {"InstanceType": _KNOWN_TYPE}
        body = json.dumps({**request, "ProductionVariants": [known]}).encode()
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        response = self._server.pass_on(environ)
        if response.status_code == 200:
            record = sagemaker_backends[DEFAULT_ACCOUNT_ID][region].endpoint_configs[name]
            record.production_variants[0]["InstanceType"] = kind
            self._versions[region, name] = version
        return response

    def _parse(self, region: str, request: Request) -> Version:
        """Return what an instance needs of a configuration and its model.

        Raises:
            Refused: a value is unsupported or missing.
        """
        try:
            _refuse_unsupported(request)
            model = self._server.model(region, request["ProductionVariants"][0]["ModelName"])
            if model is None:
                raise Refused("Could not find the model of the configuration")
            return self._parsed(region, request, model)
        except KeyError as error:
            raise Refused(f"the request lacks {error.args[0]}") from error

    def _parsed(self, region: str, request: Request, model: Request) -> Version:
        container = model["PrimaryContainer"]
        archive, output = (
            container.get("ModelDataUrl"),
            request["AsyncInferenceConfig"]["OutputConfig"],
        )
        network = {} if model.get("EnableNetworkIsolation") else self._server.network(region)
        topics = output.get("NotificationConfig", {})
        return Version(
            config=request["EndpointConfigName"],
            environment={**network, **container.get("Environment", {})},
            model_data=parse_s3_uri(archive) if archive else None,
            output=parse_s3_uri(output["S3OutputPath"]),
            failure=parse_s3_uri(output["S3FailurePath"]),
            kms_key=output.get("KmsKeyId", ""),
            success_topic=topics.get("SuccessTopic", ""),
            error_topic=topics.get("ErrorTopic", ""),
        )

    def _create(self, request: Request, environ: "WSGIEnvironment") -> Response:
        key = region_of(environ), request["EndpointName"]
        with self._lock:
            if key in self._played:
                return refusal("ValidationException", f"the endpoint {key[1]} already exists")
            response = self._server.pass_on(environ)
            if response.status_code == 200:
                clients = (self._server.client(one, key[0]) for one in ("s3", "sns", "logs"))
                self._played[key] = Played(Account(key[1], key[0], *clients))
                self._begin(key, request["EndpointConfigName"], "Creating")
            return response

    def _update(self, request: Request, environ: "WSGIEnvironment") -> Response:
        key = region_of(environ), request["EndpointName"]
        with self._lock:
            if (why := self._not_changeable(key)) is not None:
                return why
            if (key[0], request["EndpointConfigName"]) not in self._versions:
                return refusal("ValidationException", "Could not find the configuration")
            self._begin(key, request["EndpointConfigName"], "Updating")
            return answer({"EndpointArn": _record(key).arn})

    def _delete(self, request: Request, environ: "WSGIEnvironment") -> Response:
        key = region_of(environ), request["EndpointName"]
        with self._lock:
            if (why := self._not_changeable(key)) is not None:
                return why
            self._played.pop(key).end()
            return self._server.pass_on(environ)

    def _not_changeable(self, key: tuple[str, str]) -> Response | None:
        if key not in self._played:
            return refusal("ValidationException", f"Could not find the endpoint {key[1]}")
        if _record(key).endpoint_status in CHANGING:
            return refusal("ValidationException", "Cannot update in-progress endpoint")
        return None

    def _begin(self, key: tuple[str, str], config: str, state: str) -> None:
        """Change an endpoint to a configuration, in a thread of its own."""
        played, version = self._played[key], self._versions[key[0], config]
        _record(key).endpoint_status = state
        arguments = (_record(key), played, version)
        played.change = threading.Thread(target=self._switch, args=arguments, name=f"{key[1]}")
        played.change.start()

    def _switch(self, record: Any, played: Played, version: Version) -> None:
        """Start an instance; if it becomes ready, it replaces the one before."""
        before = played.instance
        instance = self._start(played, version)
        instance.ready.wait()
        record.failure_reason = instance.failure or None
        if not instance.failure:
            played.instance, played.version = instance, version
            record.endpoint_config_name = version.config
            if before is not None:
                before.retire()
        record.endpoint_status = "InService" if played.version else "Failed"

    def asked(self, environ: "WSGIEnvironment") -> Response | None:
        """Queue an asynchronous invocation; None for any other request."""
        found = _INVOCATION.fullmatch(environ["PATH_INFO"])
        if found is None:
            return None
        played = self._played.get((region_of(environ), found[1]))
        if played is None or played.version is None:
            return refusal("ValidationError", f"Endpoint {found[1]} not found")
        one = _invocation(environ, played.version)
        played.waiting.put(one)
        response = answer({"InferenceId": one.name}, 202)
        response.headers["X-Amzn-SageMaker-OutputLocation"] = str(one.output)
        response.headers["X-Amzn-SageMaker-FailureLocation"] = str(one.failure)
        return response


def _record(key: tuple[str, str]) -> Any:
    return sagemaker_backends[DEFAULT_ACCOUNT_ID][key[0]].endpoints[key[1]]


def _invocation(environ: "WSGIEnvironment", version: Version) -> Invocation:
    def header(name: str, default: str = "") -> str:
        return str(environ.get(_HEADER + name, default))

    name = header("INFERENCE_ID") or str(uuid4())
    return Invocation(
        name=name,
        source=parse_s3_uri(header("INPUTLOCATION")),
        output=_in(version.output, f"{name}.out"),
        failure=_in(version.failure, f"{name}-error.out"),
        headers={ours: value for theirs, ours in _PASSED.items() if (value := header(theirs))},
        timeout=float(header("INVOCATIONTIMEOUTSECONDS", str(_TIMEOUT))),
        ttl=float(header("REQUESTTTLSECONDS", str(_TTL))),
    )


def _in(folder: S3Uri, name: str) -> S3Uri:
    return S3Uri(folder.bucket, folder.key + name)


def _refuse_unsupported(request: Request) -> None:
    variants = request["ProductionVariants"]
    client = request["AsyncInferenceConfig"].get("ClientConfig", {})
    output = request["AsyncInferenceConfig"]["OutputConfig"]
    reasons = {
        "several variants": len(variants) != 1,
        "several instances": variants[0].get("InitialInstanceCount") != 1,
        "several requests at a time": client.get("MaxConcurrentInvocationsPerInstance") != 1,
        "responses in messages": "IncludeInferenceResponseIn"
        in output.get("NotificationConfig", {}),
        "DataCaptureConfig": bool(request.get("DataCaptureConfig")),
    }
    if found := [reason for reason, applies in reasons.items() if applies]:
        raise Refused(f"not supported here: {', '.join(found)}")
