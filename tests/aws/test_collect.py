import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.files import sha256_of
from app.plan import Plan, SourceRecord, write_plan
from app.plan.records import ModelRecord, ModelsRecord
from app.video import Writing, open_sink, open_source
from scripts import collect, run_processing, run_transform
from scripts.aws.cloud import Cloud, CloudError
from tests.aws_jobs import (
    BUCKET,
    CPU,
    WHERE,
    Commands,
    body,
    fill,
    keys,
    log,
    processing_job,
    requests,
    transform_job,
)

GROUP = "/aws/sagemaker/TransformJobs"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


def hide(source: Path, result: Path) -> bytes:
    """A result as the renderer makes it."""
    with open_sink(source, result, Writing(overwrite=True)) as sink:
        for frame in open_source(source):
            frame.planes()[0].pixels[:8] = 0
            sink.write(frame, np.array([[0, 0, 16, 8]], np.float32))
        sink.commit()
    return result.read_bytes()


class Samples:
    """A video, an image, and their results."""

    def __init__(self, folder: Path, carphone: Path) -> None:
        self.video = folder / "video.mp4"
        self.video.write_bytes(carphone.read_bytes())
        self.hidden = hide(self.video, folder / "hidden.mp4")
        self.mkv = hide(self.video, folder / "hidden.mkv")
        self.image = folder / "picture.png"
        Image.new("RGB", (64, 48), (200, 100, 50)).save(self.image, pnginfo=None)
        self.black = folder / "black.png"
        Image.new("RGB", (64, 48)).save(self.black)

    def plan(self, path: Path, **changes: Any) -> bytes:
        source: dict[str, Any] = {
            "sha256": sha256_of(self.video),
            "name": "a.mp4",
            "frames": 120,
            "width": 176,
            "height": 144,
            "duration": 4.0,
        } | changes
        record = SourceRecord(**source)
        models = ModelsRecord("open", ModelRecord("d.onnx", "0" * 64), None)
        write_plan(Plan(record, {}, models, (), ((0, record.frames),), ()), path)
        return path.read_bytes()


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, carphone: Path) -> Samples:
    return Samples(tmp_path_factory.mktemp("videos"), carphone)


def begin(cloud: Cloud, run: Commands, inputs: dict[str, bytes], *args: str) -> None:
    fill(cloud, {f"input/{name}": content for name, content in inputs.items()})
    ran = run(run_transform, *CPU, "--name", "one", *args)
    assert ran.code == 0, ran.err


def rows(out: str) -> dict[str, tuple[str, str]]:
    return {
        row["file"]: (row["status"], row["result"] or row["message"]) for row in json.loads(out)
    }


def test_results_get_their_names_types_and_metadata(
    cloud: Cloud, run: Commands, samples: Samples, tmp_path: Path
) -> None:
    video, image = samples.video.read_bytes(), samples.image.read_bytes()
    begin(cloud, run, {"a.mp4": video, "more/b.mpg": video, "c.png": image})
    out = {"a.mp4": samples.hidden, "more/b.mpg": samples.mkv, "c.png": samples.black.read_bytes()}
    fill(cloud, {f"output/one/{name}.out": content for name, content in out.items()})
    dry = run(collect, "one", *WHERE, "--dry-run")
    assert dry.code == 0, dry.err
    assert [what for what, _ in requests(dry.out)] == ["s3 copy", "s3 delete_object"] * 3
    before = keys(cloud, "output/one/")
    assert before == [f"output/one/{name}.out" for name in sorted(out)]

    ran = run(collect, "one", *WHERE, "--json", "--download", str(tmp_path / "here"))
    assert ran.code == 0, ran.err
    names = {"a.mp4": "a.mp4", "more/b.mpg": "more/b.mpg.mkv", "c.png": "c.png"}
    assert rows(ran.out) == {
        name: ("done", f"output/one/{target}") for name, target in names.items()
    }
    assert keys(cloud, "output/one/") == sorted(f"output/one/{one}" for one in names.values())
    types = {"a.mp4": "video/mp4", "more/b.mpg": "video/x-matroska", "c.png": "image/png"}
    s3 = cloud.client("s3")
    for name, target in names.items():
        key = f"output/one/{target}"
        head = s3.head_object(Bucket=BUCKET, Key=key)
        tags = s3.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
        assert head["ContentType"] == types[name]
        assert head["Metadata"]["face-blur-sha256"] == hashlib.sha256(out[name]).hexdigest()
        assert tags == [{"Key": "face-blur:project", "Value": "face-blur"}]
        assert body(cloud, key) == out[name] == (tmp_path / "here" / target).read_bytes()

    again = run(collect, "one", *WHERE, "--json", "--download", str(tmp_path / "again"))
    assert (again.code, rows(again.out)) == (0, rows(ran.out))
    assert (tmp_path / "again" / "a.mp4").read_bytes() == samples.hidden
    # What was collected counts as done for those who go on.
    ran = run(run_transform, *CPU, "--resume", "one")
    assert "one: all files are finished" in ran.err


def test_an_invalid_result_is_not_moved(cloud: Cloud, run: Commands, samples: Samples) -> None:
    video = samples.video.read_bytes()
    begin(
        cloud,
        run,
        dict.fromkeys(["gone.mp4", "same.mp4", "text.mp4", "cut.mp4", "other.mp4"], video),
    )
    other = samples.image.read_bytes()
    out = {"same.mp4": video, "text.mp4": b'{"error": {}}', "cut.mp4": samples.hidden[:-3000]}
    fill(
        cloud, {f"output/one/{name}.out": one for name, one in (out | {"other.mp4": other}).items()}
    )
    transform_job("one").transform_job_status = "Failed"
    key = f"{BUCKET}/input/gone.mp4"
    status = f"{key}: Bad HTTP status received from algorithm: 500"
    said = 'Message: {"error": {"code": "internal_error"}}'
    log(cloud, GROUP, "one/i-1/data-log", status, said, f"{BUCKET}/input/x.mp4: ClientError: 413")
    before = keys(cloud, "output/")
    ran = run(collect, "one", *WHERE)
    assert ran.code == 1
    assert keys(cloud, "output/") == before
    assert ran.out.splitlines()[-1] == "0 of 5 done"
    assert "5 of 5 have no valid result: cut.mp4, gone.mp4" in ran.err
    found = rows(run(collect, "one", *WHERE, "--json").out)
    assert found["gone.mp4"] == ("missing", f"{status} ({said})")
    assert found["same.mp4"][1] == "it is identical to the source: not processed"
    assert found["text.mp4"][1] == "it is not a video, an image or a plan"
    assert found["other.mp4"][1] == "image: True, not False as in its source"
    assert found["cut.mp4"][0] == "failed"


@pytest.mark.parametrize("lines", [[], ["MaxPayloadInMB=0"]])
def test_without_a_line_about_a_file_the_job_has_the_reason(
    cloud: Cloud, run: Commands, samples: Samples, lines: list[str]
) -> None:
    """A container that never answered leaves no result and nothing in the log of the data."""
    begin(cloud, run, {"a.mp4": samples.video.read_bytes(), "b.mp4": samples.image.read_bytes()})
    fill(cloud, {"output/one/a.mp4.out": samples.hidden})
    job = transform_job("one")
    job.transform_job_status = "Failed"
    job.failure_reason = "AlgorithmError: the model container could not be pinged"
    log(cloud, GROUP, "one/i-1", "loading")
    if lines:
        log(cloud, GROUP, "one/i-1/data-log", *lines)
    ran = run(collect, "one", *WHERE, "--json")
    assert ran.code == 1
    assert rows(ran.out) == {
        "a.mp4": ("done", "output/one/a.mp4"),
        "b.mp4": ("missing", "there is no result, and the log gives no reason"),
    }
    assert "one failed: AlgorithmError: the model container could not be pinged\n" in ran.err


def test_a_log_that_cannot_be_read_does_not_hide_the_results(
    cloud: Cloud, run: Commands, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(cloud, run, {"a.mp4": samples.video.read_bytes(), "b.mp4": samples.image.read_bytes()})
    fill(cloud, {"output/one/a.mp4.out": samples.hidden})
    pages = Cloud.pages

    def denied(self: Cloud, service: str, operation: str, key: str, **request: Any) -> Any:
        if service == "logs":
            raise CloudError("logs filter_log_events: AccessDenied: no", "AccessDeniedException")
        return pages(self, service, operation, key, **request)

    monkeypatch.setattr(Cloud, "pages", denied)
    found = rows(run(collect, "one", *WHERE, "--json").out)
    assert found["a.mp4"][0] == "done"
    assert found["b.mp4"][1].endswith(
        "the log cannot be read: logs filter_log_events: AccessDenied: no"
    )


def test_results_are_checked_against_plans(
    cloud: Cloud, run: Commands, samples: Samples, tmp_path: Path
) -> None:
    video = samples.video.read_bytes()
    begin(cloud, run, {"a.mp4": video, "b.mp4": video, "c.mp4": video})
    plans = {
        "a.mp4": samples.plan(tmp_path / "a"),
        "b.mp4": samples.plan(tmp_path / "b", frames=119),
        "c.mp4": samples.plan(tmp_path / "c", sha256="0" * 64),
    }
    fill(cloud, {f"output/one/{name}.out": samples.hidden for name in plans})
    fill(cloud, {f"output/plans/{name}.json": content for name, content in plans.items()})
    ran = run(collect, "one", *WHERE, "--json", "--plans", f"s3://{BUCKET}/output/plans/")
    assert ran.code == 1
    assert rows(ran.out) == {
        "a.mp4": ("done", "output/one/a.mp4"),
        "b.mp4": ("failed", "frames: 120, not 119 as in its source"),
        "c.mp4": ("failed", "its plan belongs to another file"),
    }


def test_plans_and_reports_of_tickets_are_results(
    cloud: Cloud, run: Commands, samples: Samples, tmp_path: Path
) -> None:
    ticket = {"input": "s3://videos/x.mp4", "output": "s3://videos/y.mp4"}
    begin(
        cloud,
        run,
        {
            "a.mp4": samples.video.read_bytes(),
            "t.json": json.dumps(ticket).encode(),
            "u.json": json.dumps(ticket).encode(),
        },
    )
    report = {"frames": 1, "output": "s3://videos/y.mp4"}
    other = {"frames": 1, "output": "s3://videos/z.mp4"}
    fill(
        cloud,
        {
            "output/one/a.mp4.out": samples.plan(tmp_path / "a"),
            "output/one/t.json.out": json.dumps(report).encode(),
            "output/one/u.json.out": json.dumps(other).encode(),
        },
    )
    found = rows(run(collect, "one", *WHERE, "--json").out)
    assert found["a.mp4"] == ("done", "output/one/a.mp4.json")
    assert found["t.json"] == ("done", "output/one/t.json.json")
    assert found["u.json"][0] == "failed"


def test_a_foreign_object_is_not_replaced(cloud: Cloud, run: Commands, samples: Samples) -> None:
    begin(cloud, run, {"a.mp4": samples.video.read_bytes()})
    fill(cloud, {"output/one/a.mp4.out": samples.hidden, "output/one/a.mp4": b"mine"})
    ran = run(collect, "one", *WHERE)
    assert ran.code == 1
    assert "output/one/a.mp4: another object has this name; move it" in ran.out
    assert body(cloud, "output/one/a.mp4") == b"mine"
    assert body(cloud, "output/one/a.mp4.out") == samples.hidden


def test_a_wrong_copy_keeps_the_result(
    cloud: Cloud, run: Commands, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(cloud, run, {"a.mp4": samples.video.read_bytes()})
    fill(cloud, {"output/one/a.mp4.out": samples.hidden})
    change = Cloud.change

    def damage(self: Cloud, service: str, operation: str, **request: Any) -> Any:
        answer = change(self, service, operation, **request)
        if operation == "copy":
            again = request["ExtraArgs"]
            cloud.client("s3").put_object(
                Bucket=BUCKET,
                Key=request["Key"],
                Body=samples.hidden[:-1] + b"?",
                ContentType=again["ContentType"],
                Metadata=again["Metadata"],
                ChecksumAlgorithm="SHA256",
            )
        return answer

    monkeypatch.setattr(Cloud, "change", damage)
    ran = run(collect, "one", *WHERE)
    assert ran.code == 1
    assert "its copy differs" in ran.out
    assert body(cloud, "output/one/a.mp4.out") == samples.hidden


def test_results_below_a_prefix_without_a_job(
    cloud: Cloud, run: Commands, samples: Samples
) -> None:
    fill(cloud, {"input/a.mp4": samples.video.read_bytes(), "out/input/a.mp4.out": samples.hidden})
    ran = run(collect, *WHERE, "--results", f"s3://{BUCKET}/out/")
    assert ran.code == 0, ran.err
    assert keys(cloud, "out/") == ["out/a.mp4"]
    ran = run(collect, *WHERE)
    assert ran.code == 2
    assert "name jobs, or a prefix with --results" in ran.err


def test_results_of_processing_jobs_whose_names_have_the_prefix(
    cloud: Cloud, run: Commands, samples: Samples, tmp_path: Path
) -> None:
    fill(cloud, {"input/a.mp4": samples.video.read_bytes()})
    run(run_processing, *WHERE, "--name", "one")
    line = {
        "file": "input/a.mp4",
        "status": "done",
        "output": "input/a.mp4",
        "plan": "plans/input/a.mp4.plan.json",
        "result_sha256": hashlib.sha256(samples.hidden).hexdigest(),
    }
    fill(
        cloud,
        {
            "output/one/input/a.mp4": samples.hidden,
            "output/one/plans/input/a.mp4.plan.json": samples.plan(tmp_path / "plan"),
            "output/one/reports/algo-1.jsonl": json.dumps(line).encode() + b"\n",
        },
    )
    for _ in range(2):
        ran = run(collect, "one", *WHERE, "--json")
        assert rows(ran.out) == {"a.mp4": ("done", "output/one/input/a.mp4")}, ran.err


def test_results_of_processing_jobs(
    cloud: Cloud, run: Commands, samples: Samples, tmp_path: Path
) -> None:
    video = samples.video.read_bytes()
    names = ("a.mp4", "bad.mp4", "late.mp4", "swapped.mp4")
    fill(cloud, {f"input/{name}": video for name in names})
    run(run_processing, *WHERE, "--name", "one")
    plan, sha = samples.plan(tmp_path / "plan"), hashlib.sha256(samples.hidden).hexdigest()
    lines = [
        {
            "file": name,
            "status": "done",
            "code": "ok",
            "message": "",
            "output": name,
            "plan": f"plans/{name}.plan.json",
            "result_sha256": sha,
        }
        for name in ("a.mp4", "swapped.mp4")
    ]
    lines.append({"file": "bad.mp4", "status": "failed", "code": "broken_media", "message": "cut"})
    report = "".join(json.dumps(line) + "\n" for line in lines)
    fill(
        cloud,
        {
            "output/one/a.mp4": samples.hidden,
            "output/one/plans/a.mp4.plan.json": plan,
            "output/one/swapped.mp4": samples.mkv,
            "output/one/plans/swapped.mp4.plan.json": plan,
            "output/one/reports/algo-1.jsonl": report.encode(),
        },
    )
    processing_job("one").processing_job_status = "Failed"
    processing_job("one").__dict__["exit_message"] = "1 of 4 files failed: broken_media 1"
    ran = run(collect, "one", *WHERE, "--json")
    assert ran.code == 1
    assert "one failed: 1 of 4 files failed: broken_media 1\n" in ran.err
    assert rows(ran.out) == {
        "a.mp4": ("done", "output/one/a.mp4"),
        "bad.mp4": ("missing", "broken_media: cut"),
        "late.mp4": ("missing", "no report mentions it"),
        "swapped.mp4": ("failed", "it is not the file that the report describes"),
    }
    head = cloud.client("s3").head_object(Bucket=BUCKET, Key="output/one/a.mp4")
    assert head["ContentType"] == "video/mp4"
    assert body(cloud, "output/one/a.mp4") == samples.hidden
    # Another job has done what this one has not.
    run(run_processing, *WHERE, "--name", "two", "--keys", *names[1:])
    more = [
        line | {"file": name, "output": name, "plan": f"plans/{name}.plan.json"}
        for name in names[1:]
        for line in lines[:1]
    ]
    fill(cloud, {f"output/two/{name}": samples.hidden for name in names[1:]})
    fill(cloud, {f"output/two/plans/{name}.plan.json": plan for name in names[1:]})
    report = "".join(json.dumps(line) + "\n" for line in more)
    fill(cloud, {"output/two/reports/algo-1.jsonl": report.encode()})
    ran = run(collect, "one", "two", *WHERE)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == "4 of 4 done"
