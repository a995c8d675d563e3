"""The step ``verify-results``: look at all results of another job again, beside their sources."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from app.config import Settings
from app.edits import edited_plan
from app.errors import FaceBlurError, MediaError, PlanError, VerificationError
from app.files import sha256_of, writing
from app.job.pairs import PairFiles, find_pairs
from app.job.places import Place, only_file
from app.job.steps.splitting import thaw_people
from app.logs import LOGGER, redact
from app.pipeline import FaceBlur
from app.plan import Plan, SourceRecord
from app.process import StopSignal
from app.verification import check_result, verify
from app.video import Media, open_source

REPORT = "verification.jsonl"
_MODEL = "model"
"""The input with an archive of photos, as transform jobs get it."""
_MOST_FINDINGS = 20
"""Findings that a line of the report has: enough to see what is wrong."""


def verify_results(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001 - a step
    """Write a line of the report for each result: whether it is good, and of which content.

    A result without a line was not looked at. Results that are not good do not fail the step.

    Raises:
        UsageError, ConfigError, PeopleError: list, settings or photos are wrong.
        ModelError: the models cannot be used.
        OutputError, DiskFull: the report cannot be written.
    """
    pairs = find_pairs(place.root)
    people = _people(place)
    settings = Settings.load(**({} if people is None else {"people": people}))
    session, good = FaceBlur(settings), 0
    path = place.output / REPORT
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as report:
            for number, pair in enumerate(pairs, 1):
                line = examine_pair(session, pair)
                report.write(json.dumps(line) + "\n")
                report.flush()
                good += line["status"] == "good"
                _log(number, line)
    return f"{good} of {len(pairs)} results are good"


def _people(place: Place) -> Path | None:
    """Return the folder of the photos: mounted, or unpacked from the archive."""
    model, people = place.folder(_MODEL), place.folder("people")
    if model.is_dir():
        return thaw_people(only_file(model, "*.tar.gz"), place.scratch)
    return people if people.is_dir() and any(people.iterdir()) else None


def _log(number: int, line: dict[str, Any]) -> None:
    fields = {"number": number, **{key: line[key] for key in ("status", "code", "frames")}}
    LOGGER.info("verified", extra={"fields": fields})


def examine_pair(session: FaceBlur, pair: PairFiles) -> dict[str, Any]:
    """Return the line of the report about one result.

    Returns:
        The fields of the list; the hashes of source, result and plan; ``status``, ``good`` or
        ``bad``, with ``code`` and ``message``; ``suffix``, the format of the result; the numbers of
        ``frames`` and ``sounds`` that were compared; and ``findings``, what can still be seen.

    Raises:
        ModelError: the models cannot be used.
    """
    line: dict[str, Any] = {
        **pair.fields,
        "source_sha256": sha256_of(pair.source),
        "result_sha256": sha256_of(pair.result),
        "plan_sha256": "" if pair.plan is None else sha256_of(pair.plan),
        "suffix": "",
        "frames": 0,
        "sounds": 0,
        "findings": [],
    }
    try:
        line["suffix"] = Media(pair.result).kind.suffix
        plan = None if pair.plan is None else edited_plan(pair.plan)
        source = Media(pair.source)
        source.accept_truncated = session.settings.accept_truncated
        match = check_result(pair.result, source, plan, session.settings.drop_stream)
        line |= {"frames": match.frames, "sounds": match.sounds}
        plan = plan or _empty_plan(session, source, match.frames)
        seen = verify(session, plan, Media(pair.result), source)
    except (MediaError, PlanError) as error:
        return line | _bad(pair, error)
    line["findings"] = [finding.as_json() for finding in seen.findings[:_MOST_FINDINGS]]
    if not seen.clean:
        return line | _bad(pair, VerificationError("; ".join(f.line for f in seen.findings[:3])))
    return line | {"status": "good", "code": "ok", "message": ""}


def _bad(pair: PairFiles, error: FaceBlurError) -> dict[str, str]:
    labels = {pair.source: "the source", pair.result: "the result"}
    if pair.plan is not None:
        labels[pair.plan] = "the plan"
    return {"status": "bad", "code": error.code, "message": redact(str(error), labels)}


def _empty_plan(session: FaceBlur, source: Media, frames: int) -> Plan:
    """Return a plan without tracks: every face that the settings hide must not be readable."""
    info = open_source(source).info
    record = SourceRecord(source.sha256, source.name, frames, *info.size, float(info.duration))
    return Plan(record, {}, session.parts.models, (), ((0, frames),), ())
