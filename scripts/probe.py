"""Find out what only an account can tell, with a video of two seconds.

    python -m scripts.probe                       a transform job and a Processing job
    python -m scripts.probe --only processing     one of them
    python -m scripts.probe --output facts.json   the facts as JSON, too

The video is drawn, and shows nobody. Both jobs use the image and the requests of run_transform.py
and run_processing.py. Everything that the run has made is deleted at its end, also after a failure
or Ctrl-C. docs/first-run.md says what the facts tell, and what the run costs at most.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from app.files import write_file, writing
from app.logs import printable
from app.version import VERSION
from scripts.aws.bill import processing_bill, transform_bill
from scripts.aws.cloud import Cloud, CloudError, JobFailed
from scripts.aws.command import main, make_parser
from scripts.aws.images import check_image
from scripts.aws.jobs import image_uri, unique_name
from scripts.aws.probe_requests import (
    Probe,
    bounded,
    create_processing,
    create_transform,
    prepare_processing,
    prepare_transform,
)
from scripts.aws.probe_summary import summary
from scripts.aws.probe_surprises import find_surprises
from scripts.aws.probe_video import Drawing
from scripts.aws.probing import clean, run_job
from scripts.aws.quotas import find_quotas, quota_name
from scripts.aws.uploads import Upload, upload

_LEAST_MINUTES = 1.0


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Find out what only an account can tell, with a video of two seconds.")
    out.add_argument("--only", choices=("transform", "processing"), help="run only this job")
    out.add_argument("--output", type=Path, metavar="FILE", help="write the facts as JSON")
    out.add_argument("--poll", type=float, default=15, metavar="SECONDS", help="time between polls")
    out.add_argument(
        "--minutes",
        type=float,
        default=45,
        metavar="MINUTES",
        help="stop a job that has not ended after this time (default: %(default)s)",
    )
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Run the jobs, and tell the facts.

    Raises:
        FaceBlurError: a job failed, was stopped, or could not be started; or something is left.
    """
    most = max(args.minutes, _LEAST_MINUTES) * 60
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        video = Drawing().write(Path(folder) / "probe.mp4")
        probe = Probe(bounded(cloud), unique_name(cloud.variables.project), video)
        creates = _prepare(probe, args.only)
        facts = _facts(probe)
        try:
            _upload(probe)
            for kind, create in creates.items():
                probe.cloud.say(f"the {kind} job {probe.job(kind).name}")
                facts[kind] = run_job(probe, kind, create, args.poll, most)
        finally:
            left = clean(probe)
            facts["surprises"] = find_surprises(cloud.variables, facts)
            _write(facts, args.output)
    _tell(cloud, facts, left)


def _prepare(probe: Probe, only: str | None) -> dict[str, Callable[[], None]]:
    """Check everything that can be checked, say the costs; return what creates the jobs."""
    cloud, creates = probe.cloud, dict[str, Callable[[], None]]()
    if only != "processing":
        model, request = prepare_transform(probe)
        check_image(cloud, model["PrimaryContainer"]["Image"], cloud.variables.transform_type)
        cloud.say(transform_bill(cloud.variables, request, 1))
        creates["transform"] = partial(create_transform, probe, (model, request))
    if only != "transform":
        request = prepare_processing(probe)
        image = request["AppSpecification"]["ImageUri"]
        check_image(cloud, image, cloud.variables.processing_instance_type)
        cloud.say(processing_bill(cloud.variables, request))
        creates["processing"] = partial(create_processing, probe, request)
    return creates


def _facts(probe: Probe) -> dict[str, Any]:
    """Return the facts that need no job."""
    cloud, variables = probe.cloud, probe.cloud.variables
    names = [
        quota_name(variables.transform_type, "transform"),
        quota_name(variables.processing_instance_type, "processing"),
    ]
    return {
        "version": VERSION,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "region": variables.region,
        "image": probe.hide_names(image_uri(cloud)),
        "quotas": {} if cloud.dry_run else find_quotas(cloud, names),
    }


def _upload(probe: Probe) -> None:
    (key,) = probe.inputs.keys
    item = Upload(probe.video, key, "video/mp4")
    upload(probe.cloud, [item], lambda *_: nullcontext(lambda _: None), overwrite=False)


def _write(facts: Mapping[str, Any], output: Path | None) -> None:
    if output is not None:
        with writing(output):
            write_file(output, (json.dumps(facts, indent=1, default=str) + "\n").encode())


def _tell(cloud: Cloud, facts: Mapping[str, Any], left: list[str]) -> None:
    """Print the facts in lines, and fail if the run did.

    Raises:
        JobFailed: a job failed.
        CloudError: something is left in the account.
    """
    if not cloud.dry_run:
        print("\n".join(map(printable, summary(facts))))
    faults = []
    for kind in ("transform", "processing"):
        job = facts.get(kind, {})
        if job.get("fault"):
            faults.append(f"{kind}: {job['fault']}")
            for line in job.get("log", ()):
                cloud.say(f"{kind}: {line}")
    if left:
        raise CloudError(f"some of the run is left: {'; '.join([*left, *faults])}")
    if faults:
        raise JobFailed("; ".join(faults))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
