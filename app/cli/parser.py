"""The argument parser. Options for settings take their help and choices from ``Settings``."""

import argparse
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from app.cli.doctor import add_doctor
from app.cli.edits_options import add_edits
from app.cli.reporting import add_report
from app.cli.reviewing import add_review_options
from app.cli.service import add_serve
from app.cli.shell import add_completion
from app.cli.verify_options import add_verify
from app.config import MAX_WORKERS, PLAN_SETTINGS, RENDER_SETTINGS, Settings
from app.config.points import parse_time
from app.packs.description import PartName
from app.process import ArgumentParser
from app.version import VERSION

_WITHOUT_OPTION = frozenset(
    {"margin", "feather", "cells", "models_root", "precision", "threads", "shots", "sampling"}
    | {"look_every", "pad", "sure", "doubtful"}
)
"""Settings that are set rarely, so that they have no option of their own."""
_OPTIONS = tuple(name for name in Settings.model_fields if name not in _WITHOUT_OPTION)
ANALYSIS_OPTIONS = tuple(name for name in _OPTIONS if name not in RENDER_SETTINGS)
"""Settings that have their own option in commands that analyse."""
RENDER_OPTIONS = tuple(name for name in _OPTIONS if name in RENDER_SETTINGS)
"""Settings that have their own option in commands that write a video."""
LISTS = {"select": ";", "drop_stream": ","}
"""Settings whose option can be repeated, and the separator of their items."""
_METAVARS = {
    "people": "DIR",
    "select": "FRAME,X,Y",
    "drop_stream": "STREAM",
    "quality": "N",
    **dict.fromkeys(("models", "detector", "recogniser"), "PACK"),
}


_EPILOG = """\
exit codes: 0 done, 1 failed, 2 usage error or bad input, 3 a hidden face can be seen (verify,
--verify), with --require-found a listed person was not found, with --require-review a doubt is
open, or a review or report says that a review is required, 130 interrupted. After a failure no
output is left, except for the plan of a finished analysis. stdout: the output of people, edits,
models, verify and --json. stderr: progress, warnings and errors.

settings: every setting can be given with --set KEY=VALUE, as FACE_BLUR_KEY in the environment, or
in a TOML file (--config). Options override the environment, which overrides the file.
"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands; its ``command`` is the name of the chosen one."""
    parser = ArgumentParser(
        prog="face-blur",
        description="Hide chosen people's faces in videos and images.",
        epilog=_EPILOG + _settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"face-blur {VERSION}", help="print the version"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_blur(commands)
    _add_analyse(commands)
    _add_render(commands)
    _add_review(commands)
    add_edits(commands)
    add_verify(partial(_command, commands), _add_settings)
    _add_people(commands)
    _add_models(commands)
    add_report(commands)
    add_doctor(commands)
    add_serve(commands)
    add_completion(commands)
    return parser


_Commands = Any
"""``argparse._SubParsersAction``, which is not public."""


def _command(commands: _Commands, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any setting (repeatable); face-blur --help lists them",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    return parser


def _add_blur(commands: _Commands) -> None:
    parser = _command(commands, "blur", "hide faces in videos and images (analyse and render)")
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="INPUT", help="video, image, or folder of them"
    )
    _add_output(parser, "file to write, in the format of the input, or a folder for several inputs")
    parser.set_defaults(is_folder=False)
    parser.add_argument(
        "--plan", type=Path, metavar="PLAN", help="also write the plan (JSON) after the analysis"
    )
    for name, dest, meaning in (("from", "begin", "begins"), ("to", "end", "ends")):
        parser.add_argument(
            f"--{name}",
            dest=dest,
            type=_time,
            metavar="TIME",
            help=f"time at which a preview {meaning}, for example 1:05.2 or 65.2",
        )
    parser.add_argument(
        "--workers",
        type=_count,
        metavar="N",
        help="files of a folder to work on at the same time (default: FACE_BLUR_WORKERS, or one for"
        " three cores, if there is memory for them)",
    )
    _add_sheet(parser)
    _add_settings(parser, *ANALYSIS_OPTIONS, *RENDER_OPTIONS)


def _add_analyse(commands: _Commands) -> None:
    parser = _command(
        commands,
        "analyse",
        "run the first pass only: find faces, and write a plan of those to hide",
    )
    parser.add_argument("input", type=Path, help="video or image")
    _add_output(parser, "plan to write (JSON)")
    recorded = (name for name in RENDER_OPTIONS if name in PLAN_SETTINGS)
    _add_settings(parser, *ANALYSIS_OPTIONS, *recorded)


def _add_render(commands: _Commands) -> None:
    parser = _command(commands, "render", "run the second pass only: hide the faces of a plan")
    parser.add_argument("input", type=Path, help="video or image for which the plan was made")
    parser.add_argument("plan", type=Path, help="plan written by analyse, edited or not")
    _add_output(parser, "video or image to write, in the format of the input")
    edits = parser.add_mutually_exclusive_group()
    edits.add_argument(
        "--edits",
        type=Path,
        metavar="FILE",
        help="edits of the plan (default: PLAN.edits.jsonl beside it, if there are any)",
    )
    edits.add_argument("--without-edits", action="store_true", help="leave out all edits")
    for name in ("hide", "keep"):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"{name} all faces of a person of the plan, for example 'Person 2' (repeatable)",
        )
    _add_sheet(parser)
    _add_settings(parser, *RENDER_OPTIONS)


def _add_review(commands: _Commands) -> None:
    parser = _command(commands, "review", "check and correct in the browser who is hidden")
    add_review_options(parser)
    _add_settings(parser, *ANALYSIS_OPTIONS, *RENDER_OPTIONS)


def _add_people(commands: _Commands) -> None:
    parser = _command(commands, "people", "check the reference photos, and compare them")
    parser.add_argument("people", type=Path, metavar="DIR", help=_field("people").description)
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    _add_settings(parser, "models", "detector", "recogniser")


def _add_models(commands: _Commands) -> None:
    parser = _command(commands, "models", "list model packs, or fetch or verify their weights")
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument(
        "models", nargs="?", metavar="PACK", help="model pack (default: the setting models)"
    )
    parser.add_argument(
        "--part", choices=get_args(PartName), help="fetch or verify only this part of the pack"
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="accept the licence of weights that are not for commercial use",
    )
    parser.add_argument(
        "--from",
        type=Path,
        dest="folder",
        metavar="DIR",
        help="read the published files from this folder instead of the network",
    )
    parser.add_argument(
        "--no-substitute",
        action="store_true",
        help="fail if the publisher is unreachable, instead of fetching the substitute pack",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_output(parser: argparse.ArgumentParser, description: str) -> None:
    parser.add_argument(
        *("-o", "--output"), action=_StoreOutput, required=True, metavar="OUT", help=description
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no warnings")
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON, a line for each file"
    )
    parser.add_argument(
        "--require-found",
        action="store_true",
        help="exit with 3 if a listed person was not found; the result is written anyway",
    )
    parser.add_argument(
        "--require-review",
        action="store_true",
        help="exit with 3 if a doubt is not settled; the result is written anyway",
    )


def _add_sheet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sheet",
        type=Path,
        metavar="FILE.png",
        help="also draw frames before and after (it shows the hidden faces)",
    )


class _StoreOutput(argparse.Action):
    """Stores a path, and in ``is_folder`` whether it ends in a slash, which a ``Path`` forgets."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002 - the interface of argparse
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        setattr(namespace, self.dest, Path(values))
        namespace.is_folder = values.endswith("/")


def _time(text: str) -> Fraction:
    """Parse a time; a number without a unit is in seconds."""
    try:
        return parse_time(text if ":" in text or text.endswith("s") else f"{text}s")
    except ValueError as error:
        raise argparse.ArgumentTypeError("must be a time, such as 0:08.3 or 8.3") from error


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_WORKERS):
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {MAX_WORKERS}")
    return int(text)


def _add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        _add_setting(parser, name)


def _add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option of a setting. Its default is None, so that other sources can set it."""
    field = _field(name)
    options: dict[str, Any] = {"dest": name, "help": _help(field), "default": None}
    if field.annotation is bool:
        options |= {"action": "store_const", "const": True}
    elif name in LISTS:
        options |= {"action": "append", "metavar": _METAVARS[name]}
    else:
        options |= {"choices": _choices(field.annotation), "metavar": _METAVARS.get(name)}
    parser.add_argument("--" + name.replace("_", "-"), **options)


def _field(name: str) -> FieldInfo:
    return Settings.model_fields[name]


def _choices(annotation: object) -> tuple[str, ...] | None:
    """Return the allowed words of a setting, or None if it is not an enumeration.

    >>> _choices(Literal["a", "b"] | None), _choices(int)
    (('a', 'b'), None)
    """
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = get_args(annotation) if get_origin(annotation) is Union else ()
    return next((found for part in parts if (found := _choices(part))), None)


def _help(field: FieldInfo) -> str:
    text = str(field.description)
    if field.default in {None, (), False} or "default" in text:
        return text
    return f"{text} (default: {field.default})"


def _settings_table() -> str:
    width = max(map(len, Settings.model_fields))
    return "\n".join(
        f"  {name:{width}}  {_help(field)}" for name, field in Settings.model_fields.items()
    )
