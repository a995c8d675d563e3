"""Asynchronous endpoints, made by the commands and played with real and with faulty services."""

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts import deploy_async, invoke_async
from scripts.local.checking import check_video
from scripts.local.containers import ProgramLauncher
from scripts.local.transformer import Timeouts
from scripts.transform_local import environment
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.smoke_media import REFERENCES, scene
from tests.aws_jobs import Commands, Ran
from tests.local_sagemaker import BUCKET, HURRIED, REGION, Local, MakeLocal

NAME = "face-blur-async"
ROLE = "arn:aws:iam::123456789012:role/jobs"
IMAGE = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/face-blur:1"
WHERE = ("--region", REGION, "--bucket", BUCKET, "--role-arn", ROLE, "--image-uri", IMAGE)
CPU = (*WHERE, "--compute", "cpu")
DEPLOY = (*CPU, "--poll", "0.1")
REAL = Timeouts(ping=60, ping_every=0.2, ping_timeout=2, kill_after=30)
PATIENCE = 60.0


class Played:
    """The commands, and what they and the endpoint leave."""

    def __init__(self, local: Local, run: Commands) -> None:
        self.local, self._run = local, run
        self.sns, self.sqs = (local.sagemaker.client(one, REGION) for one in ("sns", "sqs"))

    def deploy(self, *options: str) -> Ran:
        return self._run(deploy_async, *DEPLOY, *options)

    def send(self, *options: str) -> Ran:
        return self._run(invoke_async, *CPU, *options)

    def put(self, **objects: bytes) -> None:
        for name, content in objects.items():
            self.local.s3.put_object(Bucket=BUCKET, Key=f"input/{name}", Body=content)

    def invoke(self, name: str, **fields: Any) -> dict[str, Any]:
        """Send a request in a way that the command does not."""
        runtime = self.local.sagemaker.client("sagemaker-runtime", REGION)
        place = f"s3://{BUCKET}/input/{name}"
        sent: dict[str, Any] = runtime.invoke_endpoint_async(
            EndpointName=NAME, InputLocation=place, **fields
        )
        return sent

    def objects(self, folder: str) -> dict[str, bytes]:
        prefix = f"output/{NAME}/{folder}/"
        listed = self.local.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        return {one["Key"].removeprefix(prefix): self.local.read(one["Key"]) for one in listed}

    def wait_for(self, folder: str, count: int) -> dict[str, bytes]:
        end = time.monotonic() + PATIENCE
        while len(found := self.objects(folder)) < count:
            assert time.monotonic() < end, (folder, self.objects("failures"))
            time.sleep(0.05)
        return found

    def topic(self, name: str) -> tuple[str, Callable[[int], list[dict[str, Any]]]]:
        """Return a topic, and a function that awaits a number of messages to it."""
        topic: str = self.sns.create_topic(Name=name)["TopicArn"]
        queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        arn = asked["Attributes"]["QueueArn"]
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

        def fetch_all(count: int) -> list[dict[str, Any]]:
            out: list[dict[str, Any]] = []
            end = time.monotonic() + PATIENCE
            # A message comes after its object. One look more: there must not be others.
            while True:
                enough = len(out) >= count
                got = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
                bodies = (json.loads(one["Body"]) for one in got.get("Messages", ()))
                out += [json.loads(body["Message"]) for body in bodies]
                if enough:
                    return out
                assert time.monotonic() < end, out
                time.sleep(0.05)

        return topic, fetch_all

    def log(self) -> list[str]:
        found = self.local.logs.filter_log_events(logGroupName=f"/aws/sagemaker/Endpoints/{NAME}")
        return [event["message"] for event in found["events"]]


MakePlayed = Callable[..., Played]


@pytest.fixture
def play(
    make_local: MakeLocal,
    local: Local,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> MakePlayed:
    for name, value in environment(local.sagemaker).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("scripts.aws.variables.FILE", tmp_path / "no-variables.py")
    monkeypatch.setattr("scripts.aws.invocations._FIRST_PAUSE", 0.1)

    def begin(*mode: str, **options: Any) -> Played:
        return Played(make_local(*mode, **options), Commands(capsys, tmp_path / "empty.py"))

    return begin


def archive(people: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in people.items():
            member = tarfile.TarInfo(f"people/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def told(result: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result)
    return found


def test_a_request_has_a_length_and_attributes_and_no_name(play: MakePlayed) -> None:
    played = play()
    played.put(**{"holiday.mp4": bytes(3_000_000)})
    assert played.deploy("--blur", "everyone").code == 0
    ran = played.send("holiday.mp4", "--effect", "solid", "--wait")
    assert ran.code == 0, ran.err
    (result,) = played.objects("results").values()
    asked = told(result)
    assert asked["size"] == 3_000_000
    headers = {name.lower(): value for name, value in asked["headers"].items()}
    assert headers["content-length"] == "3000000"
    assert "transfer-encoding" not in headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "effect=solid"
    assert "holiday" not in json.dumps(asked), "SageMaker does not tell names"
    assert asked["environment"]["FACE_BLUR_BLUR"] == "everyone"
    assert asked["environment"]["FACE_BLUR_WORKERS"] == "1"
    assert not [name for name in asked["environment"] if name.startswith("AWS_")], "it is isolated"


def test_one_request_after_the_other(play: MakePlayed) -> None:
    played = play("alone")
    played.put(**{f"{name}.mp4": b"x" for name in "abc"})
    assert played.deploy().code == 0
    ran = played.send("a.mp4", "b.mp4", "c.mp4", "--wait")
    assert ran.code == 0, ran.err
    assert list(played.objects("results").values()) == [b"alone"] * 3


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("status 415", 'Received client error (415) from primary with message "{"error"'),
        ("status 500", "Received server error (500) from primary"),
        ("good chunks", "did not specify the required Content-Length header"),
        ("short", "AlgorithmError"),
        ("empty", "AlgorithmError: the response is empty"),
        ("crash", "AlgorithmError"),
    ],
)
def test_a_failure_leaves_a_reason_and_no_result(play: MakePlayed, mode: str, reason: str) -> None:
    played = play(mode)
    played.put(**{"a.mp4": b"a" * 100})
    good, messages = played.topic("good")
    bad, failures = played.topic("bad")
    assert played.deploy("--success-topic", good, "--error-topic", bad).code == 0
    ran = played.send("a.mp4", "--wait")
    assert ran.code == 1
    assert reason in ran.err
    ((name, content),) = played.objects("failures").items()
    assert reason in content.decode()
    (message,) = failures(1)
    assert (message["invocationStatus"], message["failureReason"]) == ("Failed", content.decode())
    assert message["requestParameters"]["inputLocation"] == f"s3://{BUCKET}/input/a.mp4"
    assert name == f"{message['inferenceId']}-error.out"
    assert messages(0) == []
    assert played.objects("results") == {}
    assert any(reason in line for line in played.log())


def test_a_request_that_is_too_old_is_not_worked_on(play: MakePlayed) -> None:
    played = play()
    played.put(**{"a.mp4": b"a"})
    assert played.deploy().code == 0
    played.local.sagemaker.endpoints.scale(REGION, NAME, 0)
    assert played.send("a.mp4").code == 0
    queued = played.local.sagemaker.endpoints.waiting(REGION, NAME)
    assert len(queued) == 1
    # A minute is the least that the API takes.
    object.__setattr__(queued[0], "ttl", 0.0)
    played.local.sagemaker.endpoints.scale(REGION, NAME, 1)
    (content,) = played.wait_for("failures", 1).values()
    assert b"expired" in content
    assert played.objects("results") == {}


def test_requests_wait_while_there_is_no_instance(play: MakePlayed) -> None:
    played = play()
    played.put(**{"a.mp4": b"a", "b.mp4": b"b"})
    assert played.deploy().code == 0
    played.local.sagemaker.endpoints.scale(REGION, NAME, 0)
    assert played.send("a.mp4", "b.mp4").code == 0
    time.sleep(0.3)
    assert played.objects("results") == {}
    played.local.sagemaker.endpoints.scale(REGION, NAME, 1)
    assert len(played.wait_for("results", 2)) == 2


def test_an_endpoint_that_does_not_start_is_gone(play: MakePlayed) -> None:
    played = play("exit")
    ran = played.deploy()
    assert ran.code == 1
    assert "Model container exited with code 3 before it was ready" in ran.err
    assert played.local.api.list_endpoints()["Endpoints"] == []
    assert played.local.api.list_endpoint_configs()["EndpointConfigs"] == []
    assert played.local.api.list_models()["Models"] == []


def test_an_update_that_does_not_start_keeps_the_version_before(play: MakePlayed) -> None:
    played = play()
    played.put(**{"a.mp4": b"a"})
    assert played.deploy().code == 0
    before = played.local.api.describe_endpoint(EndpointName=NAME)["EndpointConfigName"]
    good = played.local.sagemaker.launcher
    played.local.sagemaker.launcher = ProgramLauncher(Path("/tmp"), ["/bin/false"])
    ran = played.deploy("--effect", "solid")
    assert (ran.code, "this version does not start: AlgorithmError" in ran.err) == (1, True)
    found = played.local.api.describe_endpoint(EndpointName=NAME)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", before)
    (config,) = played.local.api.list_endpoint_configs()["EndpointConfigs"]
    assert config["EndpointConfigName"] == before
    assert played.send("a.mp4", "--wait").code == 0
    played.local.sagemaker.launcher = good
    assert played.deploy("--effect", "solid").code == 0
    assert played.send("a.mp4", "--wait").code == 0
    first, second = (told(one) for one in played.objects("results").values())
    effects = {one["environment"].get("FACE_BLUR_EFFECT") for one in (first, second)}
    assert effects == {None, "solid"}


def test_deleting_stops_the_container_and_nothing_is_stored(play: MakePlayed) -> None:
    played = play("hang")
    played.put(**{"a.mp4": b"a"})
    assert played.deploy().code == 0
    assert played.send("a.mp4").code == 0
    assert played.deploy("--delete").code == 0
    assert played.objects("results") == played.objects("failures") == {}
    with pytest.raises(ClientError, match="not found"):
        played.invoke("a.mp4")


def test_interrupting_a_start_waits_for_its_end_and_leaves_nothing(
    play: MakePlayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = play("unhealthy", timeouts=replace(HURRIED, ping=2))
    sleep = time.sleep
    refused: list[object] = []

    def interrupt(seconds: float) -> None:
        sleep(seconds)
        if not refused:
            with pytest.raises(ClientError, match="in-progress") as caught:
                played.local.api.delete_endpoint(EndpointName=NAME)
            refused.append(caught)
            raise KeyboardInterrupt

    monkeypatch.setattr("scripts.aws.endpoints.time.sleep", interrupt)
    ran = played.deploy()
    assert (ran.code, f"{NAME} was not created" in ran.err) == (130, True)
    assert played.local.api.list_endpoints()["Endpoints"] == []
    assert played.local.api.list_models()["Models"] == []


@pytest.mark.slow
def test_the_real_service(play: MakePlayed, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    played = play(timeouts=REAL, launcher=ProgramLauncher(spool))
    played.local.mark = str(spool)
    clip = write_clip(scene(), tmp_path / "clip.mp4")
    video = clip.path.read_bytes()
    photos = {f"obama/{name}": fetch(name).read_bytes() for name in REFERENCES}
    played.local.s3.put_object(Bucket=BUCKET, Key="people.tar.gz", Body=archive(photos))
    played.put(**{"good.mp4": video, "cut.mp4": video[:9000], "junk.mp4": b"junk" * 1000})
    good, results = played.topic("good")
    bad, failures = played.topic("bad")
    ran = played.deploy("--blur", "listed", "--success-topic", good, "--error-topic", bad)
    assert ran.code == 0, ran.err
    assert "hides obama (2 photos in" in ran.err

    ran = played.send("good.mp4", "cut.mp4", "junk.mp4", "--wait")
    assert ran.code == 1
    assert "1 of 3 files have a result; without: cut.mp4, junk.mp4" in ran.err
    assert "broken_media" in ran.err
    assert "unsupported_media" in ran.err
    ((name, content),) = played.objects("results").items()
    faces = [[face.frame, face.person, *face.box] for face in clip.truth.faces]
    truth = {"frames": clip.truth.frames, "faces": faces}
    (tmp_path / "result.mp4").write_bytes(content)
    assert list(check_video(clip.path, tmp_path / "result.mp4", truth, "obama")) == []
    reasons = played.objects("failures").values()
    assert sorted(b"(415)" in one for one in reasons) == [False, True]
    (message,) = results(1)
    assert message["responseParameters"] == {
        "contentType": "video/mp4",
        "outputLocation": f"s3://{BUCKET}/output/{NAME}/results/{name}",
    }
    assert [one["invocationStatus"] for one in failures(2)] == ["Failed"] * 2

    # Wishes of a request, and an answer without a length, which an endpoint does not take.
    ran = played.send("good.mp4", "--effect", "solid", "--blur", "everyone", "--wait")
    assert ran.code == 0, ran.err
    (solid,) = (one for key, one in played.objects("results").items() if key != name)
    (tmp_path / "solid.mp4").write_bytes(solid)
    faults = list(check_video(clip.path, tmp_path / "solid.mp4", truth, "obama"))
    assert len(faults) == clip.truth.frames
    assert all("biden is hidden" in fault for fault in faults)
    played.invoke("good.mp4", Accept="application/zip", InferenceId="zip")
    played.invoke("good.mp4", Accept="multipart/mixed", InferenceId="both")
    played.invoke("good.mp4", Accept="application/json", InferenceId="plan")
    assert b"required Content-Length" in played.wait_for("failures", 3)["zip-error.out"]
    packed = played.wait_for("results", 4)
    assert b"plan.json" in packed["both.out"]
    assert told(packed["plan.out"])["tracks"]

    assert "obama" not in "\n".join(played.log()), "names are not logged"
    assert played.deploy("--delete").code == 0
    assert played.local.leftover_processes() == []
    assert list(spool.iterdir()) == []
