"""Push an image with stand-ins for docker and skopeo, into the ECR of moto."""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.variables import Variables
from scripts.push_image import (
    MANIFEST_TYPE,
    check_pushed,
    check_tag_is_free,
    push_archive,
    push_build,
    push_image,
)

FAKE = Path(__file__).with_name("fake_engine.py")
REGISTRY = "123456789012.dkr.ecr.eu-north-1.amazonaws.com"
URI = re.compile(rf"{re.escape(REGISTRY)}/images@sha256:[0-9a-f]{{64}}")
OCI = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class Call:
    """One recorded call of a program."""

    name: str
    arguments: list[str]
    stdin: str
    auth: dict[str, Any] | None
    mode: int


Calls = Callable[[], list[Call]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Put the stand-ins first on the path; return the calls of them so far."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("docker", "skopeo"):
        text = FAKE.read_text("utf-8").partition("\n")[2]
        (programs / name).write_text(f"#!{sys.executable}\n{text}", "utf-8")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_ENGINE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def read() -> list[Call]:
        path = tmp_path / "calls"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [Call(**json.loads(line)) for line in lines]

    return read


@pytest.fixture
def ours(cloud: Cloud) -> Cloud:
    cloud.client("ecr").create_repository(repositoryName="images", imageTagMutability="IMMUTABLE")
    return Cloud(Variables(repository="images", image_tag="one"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(b"an archive")
    return path


def value(call: Call, option: str) -> str:
    return call.arguments[call.arguments.index(option) + 1]


def test_a_build_is_pushed_as_a_docker_manifest_without_provenance(
    ours: Cloud, calls: Calls
) -> None:
    assert URI.fullmatch(push_build(ours, "cpu"))
    (build,) = (call for call in calls() if call.arguments[:2] == ["buildx", "build"])
    assert value(build, "--output") == (
        f"type=image,name={REGISTRY}/images:one,oci-mediatypes=false,push=true"
    )
    assert "--provenance=false" in build.arguments
    assert value(build, "--platform") == "linux/amd64"
    assert "USER_ID=0" in build.arguments, "SageMaker's folders belong to root"
    assert "VARIANT=cpu" in build.arguments


def test_without_buildx_docker_builds_and_then_pushes(
    ours: Cloud, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", "buildx version")
    assert URI.fullmatch(push_build(ours, "cpu"))
    verbs = [call.arguments[0] for call in calls()]
    assert verbs.index("build") < verbs.index("tag") < verbs.index("push")
    (pushed,) = (call for call in calls() if call.arguments[0] == "push")
    assert pushed.arguments == ["push", f"{REGISTRY}/images:one"]


def test_a_build_for_another_platform_is_not_pushed(
    ours: Cloud, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", "buildx version")
    monkeypatch.setenv("FAKE_PLATFORM", "linux/arm64")
    with pytest.raises(CloudError, match="failed with exit code 1"):
        push_build(ours, "cpu")
    assert "push" not in [call.arguments[0] for call in calls()]


def test_docker_gets_the_password_on_stdin_and_forgets_it(ours: Cloud, calls: Calls) -> None:
    push_build(ours, "cpu")
    (login,) = (call for call in calls() if call.arguments[0] == "login")
    assert login.arguments == ["login", "--username", "AWS", "--password-stdin", REGISTRY]
    assert login.stdin
    assert calls()[-1].arguments == ["logout", REGISTRY]
    assert not any(login.stdin in word for call in calls() for word in call.arguments)


def test_an_archive_is_copied_as_a_docker_manifest(
    ours: Cloud, calls: Calls, archive: Path
) -> None:
    assert URI.fullmatch(push_archive(ours, archive))
    copy = calls()[-1]
    assert (copy.name, copy.arguments[0]) == ("skopeo", "copy")
    assert value(copy, "--format") == "v2s2"
    assert copy.arguments[-2:] == [f"docker-archive:{archive}", f"docker://{REGISTRY}/images:one"]


def test_skopeo_gets_the_login_in_a_private_file(ours: Cloud, calls: Calls, archive: Path) -> None:
    push_archive(ours, archive)
    copy = calls()[-1]
    (data,) = ours.read("ecr", "get_authorization_token")["authorizationData"]
    token = data["authorizationToken"]
    assert copy.auth == {"auths": {REGISTRY: {"auth": token}}}
    assert copy.mode == 0o600
    assert not Path(value(copy, "--dest-authfile")).exists()
    assert not any(token in word for call in calls() for word in call.arguments)


def test_an_image_of_the_engine_goes_through_an_archive(ours: Cloud, calls: Calls) -> None:
    assert URI.fullmatch(push_image(ours, "face-blur:cpu"))
    save, inspect, copy = calls()
    assert (save.name, save.arguments[0], save.arguments[-1]) == ("docker", "save", "face-blur:cpu")
    assert (inspect.arguments[0], copy.arguments[0]) == ("inspect", "copy")
    assert copy.arguments[-2] == f"docker-archive:{value(save, '--output')}"


def test_an_image_for_another_platform_is_refused(
    ours: Cloud, calls: Calls, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_PLATFORM", "linux/arm64")
    with pytest.raises(UsageError, match=r"for linux/arm64; build with --platform linux/amd64"):
        push_archive(ours, archive)
    assert [call.arguments[0] for call in calls()] == ["inspect"]


def test_an_image_for_another_user_is_built_if_the_variables_say_so(
    ours: Cloud, calls: Calls
) -> None:
    push_build(Cloud(Variables(repository="images", image_tag="one", image_user=10001)), "cpu")
    (build,) = (call for call in calls() if call.arguments[:2] == ["buildx", "build"])
    assert "USER_ID=10001" in build.arguments


def test_an_archive_that_does_not_run_as_root_is_refused(
    ours: Cloud, calls: Calls, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_USER", "10001:10001")
    with pytest.raises(UsageError, match=r"image\.tar: runs as user 10001.+IMAGE_USER=10001"):
        push_archive(ours, archive)
    assert [call.arguments[0] for call in calls()] == ["inspect"]
    allowed = Cloud(Variables(repository="images", image_tag="one", image_user=10001))
    assert URI.fullmatch(push_archive(allowed, archive))


def test_a_file_that_is_not_an_archive_is_refused(
    ours: Cloud, calls: Calls, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="no such file"):
        push_archive(ours, archive.with_name("missing.tar"))
    monkeypatch.setenv("FAKE_FAILURE", "inspect")
    with pytest.raises(UsageError, match="not an image of `docker save`"):
        push_archive(ours, archive)


@pytest.mark.parametrize("failure", ["login", "buildx build"])
def test_a_build_or_push_that_fails_is_an_error(
    ours: Cloud, calls: Calls, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", failure)
    with pytest.raises(CloudError, match=r"image\.sh push cpu failed with exit code 1; see above"):
        push_build(ours, "cpu")
    check_tag_is_free(ours)


def test_a_copy_that_fails_is_an_error(
    ours: Cloud, calls: Calls, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", "copy")
    with pytest.raises(CloudError, match="skopeo copy --format failed with exit code 1"):
        push_archive(ours, archive)


def test_a_missing_program_is_an_error(
    ours: Cloud, archive: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("skopeo") is None
    with pytest.raises(UsageError, match="skopeo cannot be run"):
        push_archive(ours, archive)


def test_a_manifest_that_sagemaker_would_refuse_is_an_error(
    ours: Cloud, calls: Calls, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MANIFEST", OCI)
    with pytest.raises(CloudError, match=r"vnd\.oci.+, which SageMaker refuses"):
        push_archive(ours, archive)


def test_another_image_under_the_tag_is_an_error(ours: Cloud, calls: Calls, archive: Path) -> None:
    push_archive(ours, archive)
    with pytest.raises(CloudError, match=r"^the tag one names sha256:.+, not the pushed sha256:0"):
        check_pushed(ours, "sha256:" + "0" * 64)


def test_a_tag_that_is_taken_is_refused(ours: Cloud, calls: Calls, archive: Path) -> None:
    check_tag_is_free(ours)
    uri = push_archive(ours, archive)
    assert Variables(image_uri=uri)
    with pytest.raises(UsageError, match=r"the tag one is taken.+--image-tag"):
        check_tag_is_free(ours)


def test_a_missing_repository_is_an_error(ours: Cloud) -> None:
    with pytest.raises(CloudError, match="RepositoryNotFoundException"):
        check_tag_is_free(Cloud(Variables(repository="missing")))


def test_a_dry_run_prints_the_commands(ours: Cloud, calls: Calls, run_command: Any) -> None:
    args = ("push_image", "--repository", "images", "--image-tag", "one", "--dry-run")
    dry = run_command(*args, "--build", "--compute", "cpu")
    assert dry.code == 0, dry.err
    request = json.loads(dry.out)["request"]
    assert (request["repositoryName"], request["imageTag"]) == ("images", "one-cpu")
    assert request["command"][1:4] == ["push", "cpu", f"{REGISTRY}/images:one-cpu"]
    assert request["environment"] == {"USER_ID": "0"}
    default = json.loads(run_command(*args, "--build").out)["request"]["command"]
    assert default[1:4] == ["push", "cuda", f"{REGISTRY}/images:one"]
    refused = run_command(*args, "--build", "cpu")
    assert refused.code == 2
    assert "--build cpu contradicts COMPUTE, which is gpu" in refused.err
    shown = [
        json.loads(line)["request"]["command"][:2]
        for line in run_command(*args, "--image", "face-blur:cpu").out.splitlines()
    ]
    assert shown == [["docker", "save"], ["skopeo", "copy"]]
    assert calls() == []


def test_the_command_prints_the_uri_by_digest(
    ours: Cloud, calls: Calls, run_command: Any, archive: Path
) -> None:
    args = ("push_image", "--repository", "images", "--image-tag", "one")
    assert run_command(*args).code == 2
    pushed = run_command(*args, "--archive", archive)
    assert pushed.code == 0, pushed.err
    assert URI.fullmatch(pushed.out.strip())
    again = run_command(*args, "--archive", archive)
    assert again.code == 2
    assert "push_image.py: error: the tag one is taken" in again.err


def test_the_manifest_type_is_that_of_docker() -> None:
    assert MANIFEST_TYPE == "application/vnd.docker.distribution.manifest.v2+json"
