"""Verify the results of a job in its region, by a Processing job that writes a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from app.config import ENV_PREFIX, Settings
from app.errors import UsageError
from app.job.pairs import PAIRS, pairs_text
from scripts.aws.bill import processing_bill
from scripts.aws.cloud import Cloud, JobFailed
from scripts.aws.images import check_image
from scripts.aws.jobs import KINDS, Job, stop_on_interrupt, tags_of, unique_name, watch
from scripts.aws.limits import check
from scripts.aws.objects import (
    Inputs,
    S3Object,
    S3Uri,
    list_objects,
    manifest_source,
    read_object,
    write_manifest,
)
from scripts.aws.people import People, check_unchanged, people_in_prefix
from scripts.aws.processing import has_people, input_request, job_request, resumed_environment
from scripts.aws.transform import environment_of_job, people_of_job
from scripts.aws.verdicts import REPORT, RegionJudge, read_verdicts, reports_of
from scripts.aws.verification import FoundResult

_STEP = ["step", "verify-results"]
_NOT_NEEDED = frozenset({"DEVICE", "ENCODER", "PEOPLE", "VERIFY", "MODELS_ROOT", "THREADS"})
"""Settings of a job that say nothing about its results, or that another machine does not have."""
_OTHER_PEOPLE = "its results cannot be compared with them; use --verify local"
_ROOM = 1.1
"""The disk must hold sources and results, and some more for photos, plans and the report."""
_JSON = "application/json"

Pairs: TypeAlias = Sequence[tuple[S3Object, FoundResult]]
"""Sources with their results."""


@dataclass(frozen=True, slots=True)
class Places:
    """The prefixes of sources, results and plans."""

    sources: S3Uri
    results: S3Uri
    plans: S3Uri


@dataclass(frozen=True, slots=True)
class _Planned:
    """A job that will verify results.

    ``base`` is the place of everything that it reads and writes besides media; ``people`` are those
    of the job whose results it verifies.
    """

    name: str
    base: S3Uri
    places: Places
    pairs: Pairs
    people: People | None

    def place(self, name: str) -> S3Uri:
        return S3Uri(self.base.bucket, self.base.key + name)

    @property
    def manifests(self) -> dict[str, Inputs]:
        """The objects that are mounted below each name."""
        plans = (one for _, found in self.pairs for one in (found.plan, found.edits) if one)
        found = {
            "input": Inputs(self.places.sources, tuple(source.key for source, _ in self.pairs)),
            "results": Inputs(self.places.results, tuple(f.item.key for _, f in self.pairs)),
            "plans": Inputs(self.places.plans, tuple(one.key for one in plans)),
        }
        if self.people is not None and not self.has_photos:
            archive = self.people.place
            folder = archive.key[: archive.key.rfind("/") + 1]
            found["model"] = Inputs(S3Uri(archive.bucket, folder), (archive.key,))
        return {name: inputs for name, inputs in found.items() if inputs.keys}

    @property
    def has_photos(self) -> bool:
        """Whether the people are photos below a prefix, not an archive."""
        return self.people is not None and self.people.place.key.endswith("/")

    @property
    def pairs_text(self) -> str:
        """The list of the pairs."""
        rows = [_row(*pair) for pair in self.pairs]
        places = self.places
        return pairs_text(places.sources.key, places.results.key, places.plans.key, rows)


def _row(source: S3Object, found: FoundResult) -> dict[str, str]:
    items = {"source": source, "result": found.item, "plan": found.plan, "edits": found.edits}
    out: dict[str, str] = {}
    for name, item in items.items():
        if item is not None:
            out |= {name: item.key, f"{name}_etag": item.etag}
    return out


def verify_in_region(
    cloud: Cloud, verified: tuple[Job, dict[str, Any]], places: Places, pairs: Pairs, poll: float
) -> RegionJudge:
    """Return a judge; run a job for the results of which no report speaks.

    Args:
        cloud: the account.
        verified: the job whose results are verified, and its description.
        places: where its sources, results and plans are.
        pairs: its results.
        poll: seconds between polls.

    Raises:
        UsageError: the results cannot be verified by a job.
        Interrupted: Ctrl-C or SIGTERM arrived; the job was stopped.
        CloudError: AWS refuses.
    """
    job, description = verified
    bucket = places.results.bucket
    known = RegionJudge(cloud, bucket, read_verdicts(cloud, job.name))
    new = [pair for pair in pairs if not known.about(*pair)]
    if not new:
        return known
    environment, people = _settings_of(cloud, job, description)
    check_unchanged(job.name, tags_of(cloud, job.kind, description), people, _OTHER_PEOPLE)
    _check_room(cloud, new)
    name = unique_name(cloud.variables.project)
    base = reports_of(cloud, job.name)
    planned = _Planned(name, S3Uri(base.bucket, f"{base.key}{name}/"), places, new, people)
    request = _request(cloud, planned, environment)
    cloud.say(f"{len(new)} results of {job.name} are verified by {name}")
    cloud.say(processing_bill(cloud.variables, request))
    reason = _run(cloud, planned, request, poll)
    return RegionJudge(cloud, bucket, read_verdicts(cloud, job.name), reason)


def _request(cloud: Cloud, planned: _Planned, environment: dict[str, str]) -> dict[str, Any]:
    """Return the request that creates the job, on one instance."""
    kind = cloud.variables.verification_instance_type
    bounds = {"processing_instance_type": kind, "processing_instance_count": 1}
    one = Cloud(cloud.variables.model_copy(update=bounds), dry_run=cloud.dry_run)
    request = job_request(
        one,
        planned.name,
        source=manifest_source(planned.place("input.manifest.json")),
        output=planned.place("report/"),
        count=1,
        people=planned.people if planned.has_photos else None,
        environment=environment,
    )
    request["AppSpecification"] = request["AppSpecification"] | {"ContainerArguments": _STEP}
    request["ProcessingInputs"] += [
        input_request(name, manifest_source(planned.place(f"{name}.manifest.json")))
        for name in planned.manifests
        if name != "input"
    ]
    folder = {"S3DataType": "S3Prefix", "S3Uri": str(planned.place("pairs/"))}
    request["ProcessingInputs"].append(input_request("pairs", folder))
    check("CreateProcessingJob", request)
    check_image(one, request["AppSpecification"]["ImageUri"], kind)
    return request


def _run(cloud: Cloud, planned: _Planned, request: dict[str, Any], poll: float) -> str:
    """Run the job; return why there is no whole report, or nothing."""
    job, report = Job(KINDS["processing"], planned.name), planned.place(f"report/{REPORT}")
    for name, inputs in planned.manifests.items():
        write_manifest(cloud, inputs, planned.place(f"{name}.manifest.json"))
    place = planned.place(f"pairs/{PAIRS}")
    body = planned.pairs_text.encode()
    cloud.change("s3", "put_object", Bucket=place.bucket, Key=place.key, Body=body)

    def done() -> int:
        there = list_objects(cloud, report)
        return read_object(cloud, report).count(b"\n") if there else 0

    with stop_on_interrupt(cloud, job):
        cloud.change("sagemaker", "create_processing_job", **request)
        if cloud.dry_run:
            return "this is a dry run"
        try:
            watch(cloud, job, done, len(planned.pairs), poll)
        except JobFailed as error:
            cloud.say(str(error))
            return str(error)
    return ""


def _settings_of(
    cloud: Cloud, job: Job, description: Mapping[str, Any]
) -> tuple[dict[str, str], People | None]:
    """Return the settings of a job that matter for its results, and its people.

    Raises:
        UsageError: its results are no videos or images at its output.
        CloudError: its settings are no longer known.
    """
    if job.kind == KINDS["processing"]:
        given = resumed_environment(description)
        people = people_in_prefix(cloud) if has_people(description) else None
    else:
        given = environment_of_job(cloud, description)
        people = people_of_job(cloud, description, given)
        plans = description["TransformOutput"].get("Accept") == _JSON
        if plans or given.get(f"{ENV_PREFIX}TICKETS"):
            raise UsageError(
                f"{job.name}: makes plans, or works on tickets; use --verify local for these"
            )
    names = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    names -= {ENV_PREFIX + name for name in _NOT_NEEDED}
    return {key: value for key, value in given.items() if key in names}, people


def _check_room(cloud: Cloud, pairs: Pairs) -> None:
    size = sum(source.size + found.item.size for source, found in pairs)
    if size * _ROOM > cloud.variables.volume_gb * 1e9:
        raise UsageError(
            f"sources and results have {size / 1e9:.0f} GB, and the disk has VOLUME_GB="
            f"{cloud.variables.volume_gb}; raise it"
        )
