"""What each command does: settings out of its options, then calls of the library."""

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.parser import FINDING, HIDING
from app.cli.progress import Progress, make_progress, tell, warn
from app.config import Settings
from app.errors import ConfigError, OutputError, PeopleError, PlanError, UsageError
from app.packs.catalogue import find_packs
from app.pipeline import (
    analyse,
    check_people,
    give_back_memory,
    load_parts,
    load_people,
    preflight,
    render,
    share_one_heap,
)
from app.plan import Plan, read_plan, together, write_plan

_FROM_PLAN = (
    *("effect", "shape", "margin", "feather", "cells"),
    *("quality", "copy_untouched", "keep_location"),
)
"""Settings of a plan that ``render`` follows where nothing else is asked for."""


def run(args: Namespace) -> None:
    """Do what ``args.command`` says.

    Raises:
        FaceBlurError: whatever goes wrong on purpose; nothing has been put in place then.
    """
    share_one_heap()
    _COMMANDS[args.command](args)


def _blur(args: Namespace) -> None:
    settings = _settings(args)
    if args.plan is not None:
        _check_new(args.plan, args.overwrite, args.input, args.output)
    _preflight(args)
    with make_progress(quiet=args.quiet) as progress:
        plan = _plan(args.input, settings, progress, quiet=args.quiet)
        give_back_memory()
        with together(args.output, plan, args.plan):
            _render(args, plan, settings, progress)
    _summarise(args, plan)


def _analyse(args: Namespace) -> None:
    settings = _settings(args)
    _check_new(args.output, args.overwrite, args.input)
    with make_progress(quiet=args.quiet) as progress:
        plan = _plan(args.input, settings, progress, quiet=args.quiet)
    write_plan(plan, args.output)
    _summarise(args, plan)


def _render_only(args: Namespace) -> None:
    plan = read_plan(_regular(args.plan))
    settings = _settings_of(plan, _settings(args, blur=None), args.plan)
    if _same(args.plan, args.output):
        raise OutputError(f"{args.output}: is the plan; choose another output")
    _preflight(args)
    with make_progress(quiet=args.quiet) as progress, together(args.output, plan, None):
        _render(args, plan, settings, progress)
    _summarise(args, plan)


def _people(args: Namespace) -> None:
    settings = _settings(args, blur="listed")
    gallery, faults = check_people(args.people, load_parts(settings))
    for person in gallery.people:
        print(f"{person.name}: {person.photos} {'photo' if person.photos == 1 else 'photos'}")
    for doubt in gallery.doubts:
        warn(doubt, quiet=False)
    if len(faults) == 1:
        raise faults[0]
    for fault in faults:
        tell(f"error: {fault}", quiet=False)
    if faults:
        raise PeopleError(f"{args.people}: {len(faults)} of its files cannot be used; see above")


def _models(args: Namespace) -> None:
    # Only this command makes networks; what that needs takes a while to load.
    from app.cli.weights import list_packs, prepare  # noqa: PLC0415

    settings = _settings(args, blur=None)
    root = settings.models_root
    if args.action == "list":
        list_packs([settings.models] if args.models is not None else find_packs(root), root)
    else:
        prepare(args, settings.models, root)


_COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "blur": _blur,
    "analyse": _analyse,
    "render": _render_only,
    "people": _people,
    "models": _models,
}


def _settings(args: Namespace, **fixed: Any) -> Settings:
    """Settings from the options that were given, over those of the environment and the file."""
    values: dict[str, Any] = {}
    for text in args.settings:
        key, found, value = text.partition("=")
        if not found:
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}")
        values[key.strip()] = value
    given = {name: getattr(args, name, None) for name in (*FINDING, *HIDING)}
    if given["select"] is not None:
        given["select"] = ";".join(given["select"])
    options = {name: value for name, value in given.items() if value is not None}
    for twice in sorted(values.keys() & options.keys()):
        raise UsageError(f"{twice} is given by --set and by an option of its own; which one is it?")
    config = None if args.config is None else _regular(args.config)
    return Settings.load(config, **values | options | fixed)


def _settings_of(plan: Plan, asked: Settings, path: Path) -> Settings:
    """What was asked for now, over what the plan was made with."""
    recorded = {key: plan.settings[key] for key in _FROM_PLAN if key in plan.settings}
    try:
        return Settings(**recorded | asked.model_dump(exclude_unset=True))
    except ConfigError as error:
        raise PlanError(f"{path}: settings: {error}; correct it, or analyse again") from error


def _regular(path: Path) -> Path:
    """The path, unless reading from it might never end.

    Raises:
        UsageError: it is a pipe or a device, or cannot be looked at.
    """
    try:
        endless = path.exists() and not (path.is_file() or path.is_dir())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if endless:
        raise UsageError(f"{path}: is not a regular file; give the name of one")
    return path


def _plan(path: Path, settings: Settings, progress: Progress, *, quiet: bool) -> Plan:
    parts = load_parts(settings)
    # With "everyone" nobody has to be told apart: photos that were given all the same say nothing.
    known = settings.people if settings.choice != "everyone" else None
    gallery = None if known is None else load_people(known, parts)
    for doubt in () if gallery is None else gallery.doubts:
        warn(doubt, quiet=quiet)
    return analyse(path, settings, parts, gallery, progress)


def _preflight(args: Namespace) -> None:
    for warning in preflight(args.input, args.output, overwrite=args.overwrite):
        warn(warning, quiet=args.quiet)


def _render(args: Namespace, plan: Plan, settings: Settings, progress: Progress) -> None:
    render(args.input, plan, args.output, settings, progress, overwrite=args.overwrite)


def _check_new(path: Path, overwrite: bool, *others: Path) -> None:
    """Refuse a path that could not be written in the end, before any work is done.

    Raises:
        OutputError: it exists and is not to be replaced, is one of the ``others``, or its folder
            is missing or cannot be written.
    """
    try:
        _check_place(path, overwrite, *others)
    except (OSError, RuntimeError) as error:  # names that are too long, links in a circle
        raise OutputError(f"{path}: cannot be written ({error}); choose another name") from error


def _check_place(path: Path, overwrite: bool, *others: Path) -> None:
    if any(_same(path, other) for other in others):
        raise OutputError(f"{path}: is another file of this command; choose another name")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists; choose another name or use --overwrite")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the folder {path.parent} cannot be written")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _summarise(args: Namespace, plan: Plan) -> None:
    counts = plan.counts
    unclear = counts["unclear"]
    notes = {"uncertain": counts["uncertain"] - unclear, "cannot tell": unclear}
    text = f"{args.output}: {counts['hidden']} of {counts['tracks']} tracks of faces hidden"
    text += "".join(f"; {name}: {count}" for name, count in notes.items() if count)
    tell(text, quiet=args.quiet)
    for name in plan.not_found:
        warn(f"{name} was not found in this video", quiet=args.quiet)
