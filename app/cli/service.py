"""``face-blur serve``: start the HTTP service, which is a program of its own."""

import os
import sys
from argparse import Namespace
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from app.config import ENV_PREFIX, ServiceSettings, Settings
from app.errors import ConfigError, UsageError

_PROGRAM = "app.web"
"""The module of the service. Commands and service do not import each other."""
_PACKAGES = ("flask", "gunicorn", "prometheus_client")
"""Packages of the extra ``service``, which the lean installation does not have."""
_PORT = "SAGEMAKER_BIND_TO_PORT"
"""The variable with the port, as SageMaker names it."""
_ROOT = Path(__file__).resolve().parents[2]
"""The folder with the package."""


def add_serve(commands: Any) -> None:
    """Add the command ``serve``; ``commands`` are the subparsers of the parser."""
    parser = commands.add_parser(
        "serve",
        help="start the HTTP service",
        description="Start the HTTP service, which hides faces in the media that clients send."
        " Its settings come from the environment and from --set. With FACE_BLUR_TOKEN in the"
        " environment, clients must send this token.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--host", help="address to listen on (default: FACE_BLUR_HOST, or 127.0.0.1)"
    )
    parser.add_argument(
        "--port", metavar="N", help=f"port to listen on; 0 is any (default: {_PORT}, or 8080)"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any setting, or any setting of the service (repeatable)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    parser.set_defaults(run=serve)


def serve(args: Namespace) -> None:
    """Check the settings, and replace this process by the service.

    Raises:
        UsageError: a setting is wrong, or the packages of the service are missing.
    """
    try:
        given = _given(args)
        service = _check(given)
    except UsageError as error:
        raise type(error)(f"{error} (see face-blur serve --help)") from error
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"the service needs {', '.join(missing)}; install face-blur with its extra service"
        )
    if service.token is None and not _is_loopback(service.host):
        print(
            f"face-blur: warning: everybody who reaches {service.host} can use the service; set"
            " FACE_BLUR_TOKEN, or listen on 127.0.0.1",
            file=sys.stderr,
        )
    _replace_process({ENV_PREFIX + name.upper(): value for name, value in given.items()}, args.port)


def _given(args: Namespace) -> dict[str, str]:
    """Return the settings that the call gives.

    Raises:
        UsageError: one is malformed, unknown or given twice.
    """
    values: dict[str, str] = {} if args.host is None else {"host": args.host}
    for text in args.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}")
        if name in values:
            raise UsageError(f"{name} is given twice; remove one")
        if name == "token":
            raise UsageError(
                "other users of the machine can read the token in a command; set FACE_BLUR_TOKEN"
            )
        values[name] = value
    if args.port is not None and not (args.port.isdecimal() and int(args.port) < 2**16):
        raise UsageError(f"--port: {args.port} is not a number from 0 to 65535")
    return values


def _check(given: dict[str, str]) -> ServiceSettings:
    """Return the settings of the service.

    Raises:
        ConfigError: a setting is unknown or wrong, in the call or in the environment.
    """
    fields = Settings.model_fields | ServiceSettings.model_fields
    if unknown := sorted(given.keys() - fields.keys()):
        raise ConfigError(f"unknown setting {', '.join(unknown)}; valid are: {', '.join(fields)}")
    of_service = {name: given[name] for name in given if name in ServiceSettings.model_fields}
    of_runs: dict[str, Any] = {
        name: value for name, value in given.items() if name not in of_service
    }
    Settings.load(None, **of_runs)
    return ServiceSettings.load(**of_service)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _replace_process(settings: dict[str, str], port: str | None) -> None:
    """Run the service in this process, without anything that was imported here."""
    environment = os.environ | settings | ({} if port is None else {_PORT: port})
    # Not from the working folder, which may contain anything.
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-P", "-m", _PROGRAM]
    os.execve(sys.executable, command, environment | {"PYTHONPATH": path})  # noqa: S606
