"""The settings that a call gives by an option or ``--set``: read them, and refuse useless ones.

A setting that has no effect is a misunderstanding, and may leave a face visible. Only those of the
call are refused: the environment and a TOML file may hold settings for other commands.
"""

from argparse import Namespace
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.cli.parser import LISTS
from app.config import PLAN_SETTINGS, RENDER_SETTINGS, Settings
from app.errors import UsageError

_MODELS = frozenset({"models", "models_root"})
"""Settings that find the packs."""
_RUNNING = _MODELS | {"detector", "recogniser", "precision", "device", "threads"}
"""Settings that load and run the models."""
_RECOGNITION = _RUNNING | {"people", "sure", "doubtful"}
"""Settings of the gallery. The thresholds also decide which photos are doubtful."""
_ANALYSIS = frozenset(Settings.model_fields) - RENDER_SETTINGS
"""All settings of the first pass."""
_RENDERING = RENDER_SETTINGS | PLAN_SETTINGS | {"threads"}
"""All settings of the second pass."""
USED: Mapping[str, frozenset[str]] = {
    "blur": _ANALYSIS | _RENDERING,
    "analyse": _ANALYSIS | PLAN_SETTINGS,
    "render": _RENDERING,
    "review": _ANALYSIS | _RENDERING,
    "verify": _RECOGNITION,
    "people": _RECOGNITION,
    "models": _MODELS,
    "report": _RENDERING | _RECOGNITION,
}
"""The settings that each command uses."""
_VIDEO_ONLY = (
    *("encoder", "preset", "copy_untouched", "drop_stream", "accept_truncated"),
    *("shots", "sampling", "look_every", "pad"),
)
"""Settings that have no effect on an image, which is one frame."""
_LOSSLESS = frozenset({".png"})
"""Suffixes of images that have no quality."""
_FETCH_ONLY = {
    "accept_licence": "--accept-licence",
    "folder": "--from",
    "no_substitute": "--no-substitute",
}
"""Options of ``models`` that only ``fetch`` uses, by their names in the parsed arguments."""


@dataclass(frozen=True, slots=True)
class _Useless:
    """Some settings have no effect if a condition holds; ``why`` completes the message."""

    names: tuple[str, ...]
    holds: Callable[[Settings], bool]
    why: str


_USELESS: tuple[_Useless, ...] = (
    _Useless(
        ("people", "select", "unclear", "recogniser", "sure", "doubtful"),
        lambda settings: settings.choice == "everyone",
        "if everyone is hidden (blur=everyone); remove it, or hide only some faces",
    ),
    _Useless(
        ("unclear",),
        lambda settings: settings.choice == "others",
        "with blur=others, which hides unclear faces; remove it",
    ),
    _Useless(
        ("cells",),
        lambda settings: settings.effect == "solid",
        "with effect=solid; remove it, or choose another effect",
    ),
    _Useless(
        ("preset",),
        lambda settings: settings.encoder == "nvenc",
        "with encoder=nvenc; remove one of them",
    ),
    _Useless(
        ("look_every",),
        lambda settings: settings.sampling == "every",
        "with sampling=every; remove one of them",
    ),
    _Useless(
        ("models",),
        lambda settings: (
            settings.detector is not None
            and (settings.recogniser is not None or settings.choice == "everyone")
        ),
        "if detector and recogniser name their packs; remove it",
    ),
)


@contextmanager
def naming_help(command: str) -> Iterator[None]:
    """Let a wrong setting name the help of the command.

    Raises:
        UsageError: the block raised it; the message is longer.
    """
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{error} (see face-blur {command} --help)") from error


def given_settings(args: Namespace) -> dict[str, Any]:
    """Return the settings that the call gives, as text or as the parser has made them.

    Raises:
        UsageError: ``--set`` is malformed, or a setting is given twice.
    """
    values: dict[str, Any] = {}
    for text in args.settings:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}")
        if key in values:
            raise UsageError(f"{key} is given twice by --set; remove one")
        values[key] = value
    options = _options(args)
    for name in sorted(values.keys() & options.keys()):
        raise UsageError(f"{name} is given by --set and by its own option; remove one")
    return values | options


def _options(args: Namespace) -> dict[str, Any]:
    found = {name: getattr(args, name, None) for name in Settings.model_fields}
    options = {name: value for name, value in found.items() if value is not None}
    for name in LISTS.keys() & options.keys():
        options[name] = LISTS[name].join(options[name])
    return options


def check_used(args: Namespace, given: Collection[str], settings: Settings) -> None:
    """Check that each given setting is used by the command, with these other settings.

    Raises:
        UsageError: a setting has no effect; the message says what to remove.
    """
    used = USED[args.command]
    for name in given:
        if name in Settings.model_fields and name not in used:
            raise UsageError(f"{_spelt(args, name)} has no effect on {args.command}; remove it")
    if args.command != "models":
        check_together(args, given, settings)


def check_together(args: Namespace, given: Collection[str], settings: Settings) -> None:
    """Check that no given setting loses its effect by another setting.

    Raises:
        UsageError: one does; the message says what to remove.
    """
    for rule in _USELESS:
        for name in rule.names:
            if name in given and rule.holds(settings):
                raise UsageError(f"{_spelt(args, name)} has no effect {rule.why}")


def check_models_options(args: Namespace) -> None:
    """Check the options of ``models``, some of which only one action uses.

    Raises:
        UsageError: an option has no effect on the action.
    """
    unused = {} if args.action == "fetch" else dict(_FETCH_ONLY)
    if args.action == "list":
        unused["part"] = "--part"
    for name, option in unused.items():
        if getattr(args, name):
            raise UsageError(f"{option} has no effect on models {args.action}; remove it")


def unused_by_media(args: Namespace, *, is_image: bool) -> list[str]:
    """Return a warning for each given setting that has no effect on the input."""
    given = given_settings(args)
    names = [name for name in _VIDEO_ONLY if name in given] if is_image else []
    if is_image and "quality" in given and args.output.suffix.lower() in _LOSSLESS:
        names.append("quality")
    return [f"{args.input}: {_spelt(args, name)} has no effect on this image" for name in names]


def _spelt(args: Namespace, name: str) -> str:
    """Return a setting as the user has given it."""
    return f"--{name.replace('_', '-')}" if name in _options(args) else f"--set {name}"
