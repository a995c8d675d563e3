"""A server for moto with a simulation of SageMaker's jobs and endpoints in front of it.

In moto a job is completed at once, and a transform job cannot be stopped. This server passes
requests on to moto, but runs a created job, and keeps its state in moto's record up to date.
"""

import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import boto3
from botocore.config import Config
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.utils import utcnow
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sagemaker.models import FakeProcessingJob, FakeTransformJob, sagemaker_backends
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from scripts.local.containers import Launcher
from scripts.local.endpoints import Endpoints
from scripts.local.invocation import HOST
from scripts.local.job import Job, Refused, Request, parse_job
from scripts.local.job_runner import JobResult, JobRun
from scripts.local.processing import ProcessingRun, parse_processing
from scripts.local.transformer import Timeouts
from scripts.local.wire import answer, refusal, region_of

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Key: TypeAlias = tuple[str, str]
"""Region and name of a model or a job."""

Kind: TypeAlias = Literal["transform", "processing"]

_KEY = "local"
"""Access key and secret: moto accepts any."""


@dataclass(slots=True)
class JobRecord:
    """A created job: its record in moto, and its run."""

    moto: FakeTransformJob | FakeProcessingJob
    kind: Kind
    run: JobRun | ProcessingRun
    thread: threading.Thread | None = None
    ended: JobResult | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def state(self) -> str:
        """The state of the job."""
        return str(getattr(self.moto, f"{self.kind}_job_status"))

    def set_state(self, state: str) -> None:
        """Set the state of the job, as others see it."""
        setattr(self.moto, f"{self.kind}_job_status", state)

    def set_end(self, when: datetime | None) -> None:
        """Set the time of the end; None while the job runs."""
        setattr(self.moto, f"{self.kind}_end_time", when)


class _Quiet(MotoRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - inherited
        """Do not log requests."""


class SageMaker:
    """A server at ``url`` for all services that moto simulates; use it as a context manager.

    moto keeps its accounts in this process, and they are emptied at the start. So only one server
    can run at a time. ``launcher`` and ``timeouts`` apply to jobs created later.

    Args:
        launcher: starts the containers of transform jobs.
        timeouts: the timeouts of SageMaker.

    ``program`` replaces that of Processing jobs; None is the entry point of the image. With
    ``whole_keys`` their files have the names of whole keys. ``quotas`` are those of the account by
    name; None refuses to list them.
    """

    def __init__(self, launcher: Launcher, timeouts: Timeouts | None = None) -> None:
        self.launcher, self.timeouts = launcher, timeouts
        self.program: Sequence[str] | None = None
        self.whole_keys = False
        self.quotas: Mapping[str, float] | None = None
        self._session = boto3.Session(_KEY, _KEY)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._models: dict[Key, Request] = {}
        self._records: dict[Key, JobRecord] = {}
        self._lock, self._making = threading.Lock(), threading.Lock()
        self.endpoints = Endpoints(self)
        self._server = make_server(HOST, 0, self._answer, threaded=True, request_handler=_Quiet)
        self.url = f"http://{HOST}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def client(self, service: str, region: str) -> Any:
        """Return a boto3 client for this server, regardless of the environment."""
        config = Config(proxies={}, retries={"mode": "standard", "max_attempts": 1})
        with self._making:
            return self._session.client(  # type: ignore[call-overload]
                service, region, endpoint_url=self.url, config=config
            )

    def wait(self, name: str, region: str, timeout: float | None = None) -> JobResult | None:
        """Return how a job ended; None if it still runs after ``timeout`` seconds.

        Raises:
            KeyError: the job does not exist.
        """
        entry = self._records[region, name]
        entry.over.wait(timeout)
        return entry.ended

    def __enter__(self) -> Self:
        self.reset()
        self._thread.start()
        return self

    def reset(self) -> None:
        """Stop all jobs and delete everything."""
        with self._lock:
            records = list(self._records.values())
            self._records.clear()
            self._models.clear()
        self.endpoints.reset()
        for one in records:
            one.run.stop()
        for one in records:
            if one.thread is not None:
                one.thread.join()
        moto_api_backend.reset()

    def __exit__(self, *error: object) -> None:
        self.reset()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        actions: dict[str, Callable[[Request, WSGIEnvironment], Response]] = {
            "SageMaker.CreateModel": self._create_model,
            "SageMaker.CreateTransformJob": self._create_job,
            "SageMaker.StopTransformJob": self._stop_job,
            "SageMaker.CreateProcessingJob": self._create_processing,
            "SageMaker.StopProcessingJob": self._stop_processing,
            **self.endpoints.actions,
            "ServiceQuotasV20190624.ListServiceQuotas": self._list_quotas,
            "ServiceQuotasV20190624.ListAWSDefaultServiceQuotas": self._list_quotas,
        }
        if (asked := self.endpoints.asked(environ)) is not None:
            return asked(environ, start_response)
        action = actions.get(environ.get("HTTP_X_AMZ_TARGET", ""))
        if action is None:
            passed: Iterable[bytes] = self._moto(environ, start_response)
            return passed
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return action(json.loads(body), environ)(environ, start_response)

    def _list_quotas(self, _: Request, environ: "WSGIEnvironment") -> Response:
        """Answer instead of moto, which does not know the quotas of SageMaker."""
        del environ
        if self.quotas is None:
            return refusal("AccessDeniedException", "quotas are not simulated")
        found = [{"QuotaName": name, "Value": value} for name, value in self.quotas.items()]
        return answer({"Quotas": found})

    def _create_model(self, request: Request, environ: "WSGIEnvironment") -> Response:
        """Keep the request: moto forgets whether the model is isolated."""
        response = self.pass_on(environ)
        if response.status_code == 200:
            with self._lock:
                self._models[region_of(environ), request["ModelName"]] = request
        return response

    def _create_job(self, request: Request, environ: "WSGIEnvironment") -> Response:
        region, name = region_of(environ), request["TransformJobName"]
        with self._lock:
            if (region, name) in self._records:
                return refusal("ResourceInUse", f"a job of the name {name} already exists")
            model = self._models.get((region, request["ModelName"]))
            if model is None:
                return refusal("ValidationException", "Could not find the model of the job")
            try:
                job = self._with_network(parse_job(model, request), region)
            except Refused as error:
                return refusal("ValidationException", str(error))
            s3, logs = (self.client(service, region) for service in ("s3", "logs"))
            run = JobRun(job, s3, logs, self.launcher, self.timeouts)
            return self._begin((region, name), "transform", run, environ)

    def _create_processing(self, request: Request, environ: "WSGIEnvironment") -> Response:
        region, name = region_of(environ), request["ProcessingJobName"]
        with self._lock:
            if (region, name) in self._records:
                return refusal("ResourceInUse", f"a job of the name {name} already exists")
            try:
                job = parse_processing(request)
            except Refused as error:
                return refusal("ValidationException", str(error))
            s3, logs = (self.client(service, region) for service in ("s3", "logs"))
            run = ProcessingRun(job, s3, logs, self.program, whole_keys=self.whole_keys)
            return self._begin((region, name), "processing", run, environ)

    def _with_network(self, job: Job, region: str) -> Job:
        """Add the network and credentials of a container that is not isolated."""
        if job.isolated:
            return job
        return replace(job, environment={**self.network(region), **job.environment})

    def network(self, region: str) -> dict[str, str]:
        """Return the environment of a container that has a network and a role."""
        return {
            "AWS_ACCESS_KEY_ID": _KEY,
            "AWS_SECRET_ACCESS_KEY": _KEY,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.url,
            "NO_PROXY": HOST,
        }

    def model(self, region: str, name: str) -> Request | None:
        """Return the request that created a model; None if there is no such model."""
        return self._models.get((region, name))

    def pass_on(self, environ: "WSGIEnvironment") -> Response:
        """Let moto answer a request."""
        return Response.from_app(self._moto, environ)

    def _begin(
        self, key: Key, kind: Kind, run: JobRun | ProcessingRun, environ: "WSGIEnvironment"
    ) -> Response:
        """Let moto record a job, and run it."""
        response = self.pass_on(environ)
        if response.status_code == 200:
            backend = sagemaker_backends[DEFAULT_ACCOUNT_ID][key[0]]
            jobs = backend.transform_jobs if kind == "transform" else backend.processing_jobs
            entry = JobRecord(jobs[key[1]], kind, run)
            if isinstance(run, ProcessingRun):
                # moto forgets these, and AWS does not.
                vars(entry.moto).update(
                    environment=dict(run.job.environment),
                    processing_resources=run.job.resources,
                    processing_start_time=utcnow(),
                )
            # Before the caller knows the job: moto's own state must not be visible.
            entry.set_state("InProgress")
            entry.set_end(None)
            self._records[key] = entry
            entry.thread = threading.Thread(target=_run_job, args=(entry,), name=f"job {key[1]}")
            entry.thread.start()
        return response

    def _stop_job(self, request: Request, environ: "WSGIEnvironment") -> Response:
        return self._stop((region_of(environ), request["TransformJobName"]), "transform")

    def _stop_processing(self, request: Request, environ: "WSGIEnvironment") -> Response:
        return self._stop((region_of(environ), request["ProcessingJobName"]), "processing")

    def _stop(self, key: Key, kind: Kind) -> Response:
        with self._lock:
            entry = self._records.get(key)
            if entry is None or entry.kind != kind:
                return refusal("ValidationException", f"there is no such {kind} job")
            if entry.state != "InProgress":
                return refusal("ValidationException", f"the {kind} job is not in progress")
            entry.set_state("Stopping")
        entry.run.stop()
        return answer({})


def _run_job(entry: JobRecord) -> None:
    """Run a job and update its record; the record gets a final state in any case."""
    state, reason = "Failed", "InternalServerError: the simulation failed"
    try:
        entry.ended = entry.run.run()
        state, reason = entry.ended.state, entry.ended.reason
    finally:
        facts = {"failure_reason": reason, "exit_message": getattr(entry.run, "exit_message", "")}
        # AWS leaves out reasons that do not exist; moto leaves out what is None.
        vars(entry.moto).update({name: text or None for name, text in facts.items()})
        entry.moto.last_modified_time = now = utcnow()
        entry.set_end(now)
        entry.set_state(state)
        entry.over.set()
