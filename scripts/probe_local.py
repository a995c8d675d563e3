"""Make a first run on this machine, without an AWS account: what scripts/probe.py finds here.

    python -m scripts.probe_local [--output facts.json] [--only transform] [--whole-keys]

The commands are the real ones. moto simulates S3, CloudFormation and other services, scripts/local
simulates SageMaker. The facts are those of this machine. The exit code is 1 if a job failed, or if
anything is left in the bucket.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from app.errors import FaceBlurError, Interrupted
from app.process import stoppable
from scripts.local.containers import ProgramLauncher
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts
from scripts.transform_local import PROJECT, REGION, VARIABLES, environment, quiet_moto
from scripts.transform_local import remove_account as remove_user_account

_QUICK = Timeouts(ping_every=0.2)
"""As on AWS, but looked at more often."""


def probe(sagemaker: SageMaker, options: Sequence[str]) -> int:
    """Make the stack, run ``scripts.probe`` with these options, and return its exit code.

    Raises:
        FaceBlurError: the stack cannot be made, or the run has left something in the bucket.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "variables.py"
        config.write_text(VARIABLES, encoding="utf-8")
        if _command(sagemaker, config, "infrastructure", []):
            raise FaceBlurError("the stack cannot be made; see above")
        code = _command(sagemaker, config, "probe", ["--poll", "0.5", *options])
    if left := objects_left(sagemaker):
        raise FaceBlurError(f"left in the bucket: {', '.join(left)}")
    return code


def _command(sagemaker: SageMaker, config: Path, name: str, options: Sequence[str]) -> int:
    print(f"\n$ python -m scripts.{name} {' '.join(options)}".rstrip(), flush=True)
    command = [sys.executable, "-m", f"scripts.{name}", *options, "--config", str(config)]
    return subprocess.run(command, env=environment(sagemaker), check=False).returncode


def objects_left(sagemaker: SageMaker) -> list[str]:
    """Return the keys of all objects, and the names of all models, of the simulated account."""
    s3, found = sagemaker.client("s3", REGION), []
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"].startswith(PROJECT):
            listed = s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ())
            found += [one["Key"] for one in listed]
    models = sagemaker.client("sagemaker", REGION).list_models()["Models"]
    return [*found, *(one["ModelName"] for one in models)]


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = argparse.ArgumentParser(
        description="Make a first run on this machine, without an AWS account.", allow_abbrev=False
    )
    out.add_argument("--only", choices=("transform", "processing"), help="run only this job")
    out.add_argument("--output", type=Path, metavar="FILE", help="write the facts as JSON")
    out.add_argument(
        "--whole-keys",
        action="store_true",
        help="name the files of Processing jobs after their whole keys, as AWS may",
    )
    return out


def run(args: argparse.Namespace) -> int:
    """Make the run; return the exit code.

    Raises:
        FaceBlurError: it could not be made to its end.
    """
    options = ["--only", args.only] if args.only else []
    options += ["--output", str(args.output.absolute())] if args.output else []
    with (
        tempfile.TemporaryDirectory(prefix="spool-") as spool,
        quiet_moto(),
        SageMaker(ProgramLauncher(Path(spool)), _QUICK) as sagemaker,
    ):
        sagemaker.whole_keys = args.whole_keys
        return probe(sagemaker, options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    args = parser().parse_args(argv)
    remove_user_account()
    try:
        with stoppable():
            return run(args)
    except KeyboardInterrupt:
        print("probe_local: interrupted", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"probe_local: error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
