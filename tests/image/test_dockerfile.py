"""The Dockerfile, its build context, and the locks it installs."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from app.config import ServiceSettings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
LOCKED = ("requirements.txt", "requirements-gpu.txt", "requirements-insightface.txt")
COLLIDING = {"onnxruntime", "opencv-python"}


def instructions() -> list[tuple[str, str]]:
    """Return each instruction and its argument, without comments and continuations."""
    lines = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    pairs = (line.partition(" ") for line in joined if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in pairs]


def final() -> list[tuple[str, str]]:
    """Return the instructions of the last stage."""
    every = instructions()
    last = max(number for number, (name, _) in enumerate(every) if name == "FROM")
    return every[last:]


def argument(name: str) -> str:
    return [rest for one, rest in final() if one == name][-1]


def lock(file: str) -> dict[str, tuple[str, int]]:
    """Return version and number of hashes of each package."""
    text = (ROOT / file).read_text("utf-8").replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line[:1].isalnum()]
    return {
        project: (version, sum(part.startswith("--hash=sha256:") for part in rest))
        for (project, version), rest in ((one.split("=="), rest) for one, *rest in lines)
    }


def test_the_default_variant_is_cuda() -> None:
    assert ("ARG", "VARIANT=cuda") in instructions()
    assert argument("FROM").startswith("base-${VARIANT} ")


def test_no_frontend_is_fetched() -> None:
    assert not re.search(r"^#\s*syntax\s*=", TEXT, re.MULTILINE)


def test_the_service_of_the_image_listens_on_every_address() -> None:
    """SageMaker and published ports reach the container from outside; elsewhere it does not."""
    assert re.search(r"\bFACE_BLUR_HOST=0\.0\.0\.0\b", argument("ENV"))
    assert ServiceSettings().host == "127.0.0.1"


def test_it_runs_without_privileges_and_takes_arguments() -> None:
    assert argument("USER") == "${USER_ID}:${USER_ID}"
    (default,) = (rest for name, rest in final() if name == "ARG" and rest.startswith("USER_ID="))
    assert int(default.removeprefix("USER_ID=")) > 0
    (program,) = json.loads(argument("ENTRYPOINT"))
    script = ROOT / program.removeprefix("/opt/")
    assert script.stat().st_mode & 0o111
    assert isinstance(json.loads(argument("CMD")), list)


def test_labels_and_environment_are_set() -> None:
    label = 'com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"'
    assert label in argument("LABEL").split()
    assert {"ORT_DISABLE_TELEMETRY=1", "SVT_LOG=1"} <= set(argument("ENV").split())
    assert "/ping" in argument("HEALTHCHECK")


def test_the_folders_of_sagemaker_stay_free() -> None:
    assert not [rest for _, rest in instructions() if "/opt/ml" in rest]


def test_the_last_stage_copies_only_from_other_stages() -> None:
    copies = [rest for name, rest in final() if name == "COPY"]
    assert copies
    assert all(rest.startswith("--from=") for rest in copies)
    assert not [rest for name, rest in final() if name == "RUN" and re.search("pip|apt", rest)]


def test_the_build_context_has_only_the_copied_files() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    copied = {
        word
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from=")
        for word in rest.split()[:-1]
    }
    assert {word for word in copied if not any(fnmatch(word, rule) for rule in sent)} == set()
    assert {rule for rule in sent if not any(fnmatch(word, rule) for word in copied)} == set()


def test_only_hashed_wheels_of_the_locks_are_installed() -> None:
    (install,) = (rest for name, rest in instructions() if name == "RUN" and "pip --python" in rest)
    assert {"--no-deps", "--only-binary", "--require-hashes"} <= set(install.split())
    assert all(hashes for file in LOCKED for _, hashes in lock(file).values())


def test_the_gpu_variant_differs_only_in_the_runtime() -> None:
    cpu, gpu = lock("requirements.txt"), lock("requirements-gpu.txt")
    assert {name: gpu.get(name) for name in cpu.keys() - {"onnxruntime"}} == {
        name: cpu[name] for name in cpu.keys() - {"onnxruntime"}
    }
    added = gpu.keys() - cpu.keys()
    assert "onnxruntime" not in gpu
    assert {name for name in added if not re.fullmatch(r"nvidia-[a-z-]+-cu12", name)} == {
        "onnxruntime-gpu"
    }
    assert Version(gpu["onnxruntime-gpu"][0]) < Version("1.27"), "that needs CUDA 13"


def test_the_lock_of_insightface_has_the_same_versions() -> None:
    ours, theirs = lock("requirements.txt"), lock("requirements-insightface.txt")
    assert not COLLIDING & theirs.keys()
    assert {name: theirs[name] for name in ours.keys() & theirs.keys()} == {
        name: ours[name] for name in ours.keys() & theirs.keys()
    }


def test_the_locks_satisfy_the_requirements() -> None:
    for file in ("requirements-gpu.in", "requirements-insightface.in"):
        locked = lock(file.replace(".in", ".txt"))
        for line in (ROOT / file).read_text("utf-8").splitlines():
            if not line.startswith("#"):
                wanted = Requirement(line)
                assert wanted.specifier.contains(locked[wanted.name][0])


def test_the_locks_name_no_index() -> None:
    for file in LOCKED:
        text = (ROOT / file).read_text("utf-8")
        assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host", text)
