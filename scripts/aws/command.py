"""The parts that all commands share: options, job settings, one-line errors, exit codes."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from app.config import ENV_PREFIX, ServiceSettings, Settings
from app.errors import ConfigError, FaceBlurError, Interrupted
from app.logs import printable
from app.process import ArgumentParser
from scripts.aws.cloud import Cloud
from scripts.aws.variables import Variables, add_variable_options, variables_given

Run: TypeAlias = Callable[[Cloud, argparse.Namespace], None]
"""The work of a command; it raises ``FaceBlurError`` on failure."""
SHORT = ("blur", "effect", "shape")
"""Settings that have their own option; all others are given with ``--set``."""


def make_parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the common options; commands add their own."""
    parser = ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="read this file instead of variables.py"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; print the requests instead"
    )
    add_variable_options(parser)
    return parser


def main(parser: argparse.ArgumentParser, run: Run, argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    try:
        args = parser.parse_args(argv)
        cloud = Cloud(Variables.load(variables_given(args), args.config), dry_run=args.dry_run)
        with terminated_as_interrupted():
            run(cloud, args)
    except KeyboardInterrupt:
        return _fail(parser.prog, "interrupted", Interrupted.exit_code)
    except FaceBlurError as error:
        return _fail(parser.prog, str(error), error.exit_code)
    return 0


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` on SIGTERM too, as on Ctrl-C: a job must not run on unnoticed.

    Unlike ``app.process.stoppable`` it lets every further signal through: the second one leaves a
    job without waiting for its end.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(name: str, message: str, code: int) -> int:
    print(f"{name}: error: {printable(' '.join(message.split()))}", file=sys.stderr)
    return code


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the settings of a job."""
    group = parser.add_argument_group("settings of Face blur (see docs/settings.md)")
    for name in SHORT:
        description = str(Settings.model_fields[name].description)
        group.add_argument(f"--{name}", metavar="VALUE", help=description)
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other setting"
    )


def settings_given(args: argparse.Namespace) -> dict[str, str]:
    """Return the settings given as options, as environment variables.

    Raises:
        ConfigError: ``--set`` is not NAME=VALUE, or a setting is given twice.
    """
    found = {name: getattr(args, name) for name in SHORT if getattr(args, name) is not None}
    pairs = _pairs(args.set)
    if twice := sorted(set(found) & set(pairs)):
        raise ConfigError(f"{twice[0]} is given twice")
    return {ENV_PREFIX + name.upper(): value for name, value in (found | pairs).items()}


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for text in texts:
        name, found, value = text.partition("=")
        if not found:
            raise ConfigError(f"--set {text}: must be NAME=VALUE")
        if name in out:
            raise ConfigError(f"{name} is given twice")
        out[name] = value
    return out


def check_settings(environment: Mapping[str, str], *, people: bool) -> None:
    """Check that the container will start with an environment.

    The container makes the same check, but then the instance has already been paid for.

    Args:
        environment: ``FACE_BLUR_`` variables.
        people: whether the container gets reference photos in another way.

    Raises:
        ConfigError: a name is unknown, a value is out of range, or two values contradict.
    """
    values: dict[str, Any] = {
        name.removeprefix(ENV_PREFIX).lower(): value for name, value in environment.items() if value
    }
    service = {name: values.pop(name) for name in ServiceSettings.model_fields if name in values}
    ServiceSettings(**service)
    Settings(**({"people": "people"} if people else {}) | values)
