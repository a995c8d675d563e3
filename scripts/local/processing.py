"""A Processing job: its request, and a run of it on this machine.

Its containers are those of one instance. The program of this checkout runs in place of the image,
with its folders below a temporary root.
"""

import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from scripts.aws.jobs import KINDS
from scripts.aws.objects import S3Uri
from scripts.local.containers import PASSED_ON, ROOT, LogStream, Program
from scripts.local.job import InputError, Refused, Request, list_objects, parse_s3_uri
from scripts.local.job_runner import JobResult

MOUNTS = PurePosixPath("/opt/ml/processing")
GROUP = KINDS["processing"].log_group
_POLL_SECONDS = 0.05
_UPLOAD_SECONDS = 0.5
"""Time between uploads during a job, which AWS does not tell."""
_MESSAGE = Path("output", "message")


@dataclass(frozen=True, slots=True)
class Mount:
    """An input or output: a prefix, or for inputs a manifest, and a folder below ``MOUNTS``.

    Files of an output that ``continues`` are uploaded during the job too.
    """

    place: S3Uri
    folder: PurePosixPath
    is_manifest: bool = False
    continues: bool = False


@dataclass(frozen=True, slots=True)
class ProcessingJob:
    """A Processing job of one instance, as its request describes it."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    resources: Request
    inputs: tuple[Mount, ...]
    outputs: tuple[Mount, ...]
    seconds: float


def parse_processing(request: Request) -> ProcessingJob:
    """Parse the request of create_processing_job.

    Raises:
        Refused: a value is unsupported or missing.
    """
    try:
        _refuse_unsupported(request)
        return ProcessingJob(
            name=request["ProcessingJobName"],
            arguments=tuple(request["AppSpecification"]["ContainerArguments"]),
            environment=dict(request.get("Environment", {})),
            resources=request["ProcessingResources"],
            inputs=tuple(_input(one["S3Input"]) for one in request["ProcessingInputs"]),
            outputs=tuple(
                _output(one["S3Output"]) for one in request["ProcessingOutputConfig"]["Outputs"]
            ),
            seconds=float(request["StoppingCondition"]["MaxRuntimeInSeconds"]),
        )
    except KeyError as error:
        raise Refused(f"the request lacks {error.args[0]}") from error


def _input(one: Request) -> Mount:
    is_manifest = one["S3DataType"] == "ManifestFile"
    return Mount(parse_s3_uri(one["S3Uri"]), _folder(one), is_manifest)


def _output(one: Request) -> Mount:
    place = parse_s3_uri(one["S3Uri"])
    continues = one["S3UploadMode"] == "Continuous"
    folder = S3Uri(place.bucket, place.key.rstrip("/") + "/")
    return Mount(folder, _folder(one), continues=continues)


def _folder(one: Request) -> PurePosixPath:
    path = PurePosixPath(one["LocalPath"])
    if not path.is_relative_to(MOUNTS):
        raise Refused(f"{path}: is not below {MOUNTS}")
    return path.relative_to(MOUNTS)


def _refuse_unsupported(request: Request) -> None:
    cluster = request["ProcessingResources"]["ClusterConfig"]
    inputs = [one["S3Input"] for one in request["ProcessingInputs"]]
    reasons = {
        "several instances": cluster["InstanceCount"] != 1,
        "an entry point": "ContainerEntrypoint" in request["AppSpecification"],
        "a network": not request.get("NetworkConfig", {}).get("EnableNetworkIsolation"),
        "S3InputMode Pipe": any(one.get("S3InputMode", "File") != "File" for one in inputs),
        "compression": any(one.get("S3CompressionType", "None") != "None" for one in inputs),
    }
    if found := [reason for reason, applies in reasons.items() if applies]:
        raise Refused(f"not supported here: {', '.join(found)}")


class ProcessingRun:
    """A run of a Processing job.

    Args:
        job: the job, kept as ``job``.
        s3: an S3 client.
        logs: a CloudWatch Logs client.
        command: the program, without the arguments of the job.
        whole_keys: name the files of a manifest after their whole keys. AWS does not document
            whether it does.
    """

    def __init__(
        self,
        job: ProcessingJob,
        s3: Any,
        logs: Any,
        command: Sequence[str] | None = None,
        *,
        whole_keys: bool = False,
    ) -> None:
        self.job, self._s3, self._logs = job, s3, logs
        self._command = command or (str(ROOT / "scripts" / "entrypoint.sh"),)
        self._whole_keys = whole_keys
        self._stopping = threading.Event()
        self._uploaded: dict[Path, tuple[int, int]] = {}
        self.exit_message = ""

    def stop(self) -> None:
        """Stop soon: the container is stopped, and its output is not stored."""
        self._stopping.set()

    def run(self) -> JobResult:
        """Run the job; its errors are part of the result."""
        with tempfile.TemporaryDirectory(prefix="processing-") as temporary:
            root = Path(temporary)
            try:
                for mount in self.job.inputs:
                    self._download(mount, root)
            except InputError as error:
                return JobResult("Failed", f"ClientError: {error}", ())
            for mount in self.job.outputs:
                _below(root, mount).mkdir(parents=True)
            (root / _MESSAGE).parent.mkdir()
            code = self._execute(root)
            if self._stopping.is_set():
                return JobResult("Stopped", "", ())
            # SageMaker stores the output of a job that failed, too.
            for mount in self.job.outputs:
                self._upload(mount, root)
            if code == 0:
                return JobResult("Completed", "", ())
            if (root / _MESSAGE).is_file():
                self.exit_message = (root / _MESSAGE).read_text(encoding="utf-8")
            reason = "stopped after MaxRuntimeInSeconds" if code is None else f"exit code: {code}"
            return JobResult("Failed", f"AlgorithmError: {reason}", ())

    def _execute(self, root: Path) -> int | None:
        """Run the container; return its exit code, or None if it was stopped."""
        variables = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        programs = str(Path(sys.executable).parent)
        variables["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
        arguments = [*self.job.arguments, "--root", str(root)]
        environment = {**variables, **self.job.environment}
        with LogStream(self._logs, f"{self.job.name}/algo-1", GROUP) as log:
            program = Program([*self._command, *arguments], environment, 0, log.line)
            try:
                return self._wait(program, root)
            finally:
                program.stop()

    def _wait(self, program: Program, root: Path) -> int | None:
        began = uploaded = time.monotonic()
        while (code := program.exit_code()) is None:
            now = time.monotonic()
            if self._stopping.wait(_POLL_SECONDS) or now > began + self.job.seconds:
                return None
            if now > uploaded + _UPLOAD_SECONDS:
                uploaded = now
                for mount in (one for one in self.job.outputs if one.continues):
                    self._upload(mount, root)
        return code

    def _download(self, mount: Mount, root: Path) -> None:
        folder = _below(root, mount)
        for place, name in self._objects(mount):
            target = folder / name
            if not target.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{place}: leaves its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._s3.download_file(place.bucket, place.key, str(target))

    def _objects(self, mount: Mount) -> Iterator[tuple[S3Uri, str]]:
        """Yield the objects of an input, and their names in its folder.

        Raises:
            InputError: there are none, or the manifest is wrong.
        """
        for one, prefix, _ in list_objects(self._s3, mount.place, manifest=mount.is_manifest):
            whole = self._whole_keys and mount.is_manifest
            name = one.key if whole else one.key.removeprefix(prefix[: prefix.rfind("/") + 1])
            if name and not name.endswith("/"):
                yield one, name

    def _upload(self, mount: Mount, root: Path) -> None:
        """Upload the files of an output that are new or have changed."""
        folder = _below(root, mount)
        for path in sorted(folder.rglob("*")):
            with suppress(FileNotFoundError):  # renamed or removed by the program meanwhile
                state = path.lstat()
                version = state.st_mtime_ns, state.st_size
                if not stat.S_ISREG(state.st_mode) or self._uploaded.get(path) == version:
                    continue
                key = mount.place.key + path.relative_to(folder).as_posix()
                self._s3.upload_file(str(path), mount.place.bucket, key)
                self._uploaded[path] = version


def _below(root: Path, mount: Mount) -> Path:
    return root / "processing" / mount.folder
