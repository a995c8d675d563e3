"""What can be typed. Options that are settings take their help and choices from ``Settings``."""

import argparse
from pathlib import Path
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from app.config import Settings
from app.errors import UsageError
from app.packs.description import PartName

FINDING = ("people", "blur", "unclear", "select", "models", "detector", "recogniser", "device")
"""Settings with an option of their own wherever faces are looked for."""
HIDING = ("effect", "shape", "quality", "encoder", "copy_untouched", "keep_location")
"""Settings with an option of their own wherever a video is written."""
_METAVARS = {
    "people": "DIR",
    "select": "FRAME,X,Y",
    "quality": "N",
    **dict.fromkeys(("models", "detector", "recogniser"), "PACK"),
}

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 usage or bad input, 130 interrupted. On failure no output is left.
stdout: what people and models tell, otherwise nothing. stderr: progress, warnings, and errors.
settings without an option of their own: --set KEY=VALUE, a TOML file, or FACE_BLUR_KEY in the
environment; options come before the environment, and that before the file:
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command line; ``command`` names what is to be done."""
    parser = _Parser(
        prog="face-blur",
        description="Hide chosen people's faces in video.",
        epilog=_EPILOG + _settings_table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_blur(commands)
    _add_analyse(commands)
    _add_render(commands)
    _add_people(commands)
    _add_models(commands)
    return parser


_Commands = Any
"""``argparse._SubParsersAction``, which has no public name."""


def _command(commands: _Commands, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any setting (repeatable); face-blur --help lists them",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    return parser


def _add_blur(commands: _Commands) -> None:
    parser = _command(commands, "blur", "hide faces in a video or image: analyse and render")
    parser.add_argument("input", type=Path, help="video or image")
    _add_output(parser, "the video or image to write, of the same kind")
    parser.add_argument("--plan", type=Path, metavar="PLAN", help="write who is hidden where, too")
    _add_settings(parser, *FINDING, *HIDING)


def _add_analyse(commands: _Commands) -> None:
    parser = _command(commands, "analyse", "first pass only: write the plan, who is hidden where")
    parser.add_argument("input", type=Path, help="video or image")
    _add_output(parser, "the plan to write (JSON)")
    _add_settings(parser, *FINDING, *HIDING)


def _add_render(commands: _Commands) -> None:
    parser = _command(
        commands, "render", "second pass only: hide what a plan says, with its settings"
    )
    parser.add_argument("input", type=Path, help="the video or image that the plan is for")
    parser.add_argument("plan", type=Path, help="the plan, as written by analyse or edited since")
    _add_output(parser, "the video or image to write, of the same kind")
    _add_settings(parser, *HIDING)


def _add_people(commands: _Commands) -> None:
    parser = _command(commands, "people", "check reference photos: one usable face in each?")
    parser.add_argument("people", type=Path, metavar="DIR", help=_field("people").description)
    _add_settings(parser, "models", "detector", "recogniser")


def _add_models(commands: _Commands) -> None:
    parser = _command(commands, "models", "list model packs, fetch their weights, or verify them")
    parser.add_argument("action", choices=("list", "fetch", "verify"))
    parser.add_argument(
        "models", nargs="?", metavar="PACK", help="model pack (default: the one of the settings)"
    )
    parser.add_argument(
        "--part", choices=get_args(PartName), help="fetch or verify this part of the pack only"
    )
    parser.add_argument(
        "--accept-licence",
        action="store_true",
        help="fetch weights that are not for commercial use, on their terms",
    )
    parser.add_argument(
        "--from", type=Path, dest="folder", metavar="DIR",
        help="take published files from this folder, not from the network",
    )  # fmt: skip
    parser.add_argument(
        "--no-substitute",
        action="store_true",
        help="fail where a publisher cannot be reached, instead of fetching another pack",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _add_output(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help=what)
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--quiet", action="store_true", help="no progress and no warnings")


def _add_settings(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        _add_setting(parser, name)


def _add_setting(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the option of a setting; it stays None when it is not given, so that others decide."""
    field = _field(name)
    options: dict[str, Any] = {"dest": name, "help": _help(field), "default": None}
    if field.annotation is bool:
        options |= {"action": "store_const", "const": True}
    elif name == "select":
        options |= {"action": "append", "metavar": _METAVARS[name]}
    else:
        options |= {"choices": _choices(field.annotation), "metavar": _METAVARS.get(name)}
    parser.add_argument("--" + name.replace("_", "-"), **options)


def _field(name: str) -> FieldInfo:
    return Settings.model_fields[name]


def _choices(annotation: object) -> tuple[str, ...] | None:
    """The words that a setting can be, or None when it is not one of a few words.

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
