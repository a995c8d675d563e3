"""The commands: read the options, call the library, and report the result."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.parser import ANALYSIS_SETTINGS, LISTS, RENDER_SETTINGS
from app.cli.people import show_people
from app.cli.progress import make_progress, print_message, warn
from app.config import Settings
from app.errors import OutputError, UsageError
from app.files import check_destination
from app.packs.catalogue import find_packs
from app.pipeline import FaceBlur, load_parts, share_one_heap
from app.plan import NO_FACE_FOUND, Plan, committed_together, read_plan, write_plan
from app.plan.settings import rendering_settings
from app.video import Media


def run(args: Namespace) -> None:
    """Run the command ``args.command``.

    Raises:
        FaceBlurError: the command failed, and left no output.
    """
    share_one_heap()
    _COMMANDS[args.command](args)


def _blur(args: Namespace) -> None:
    face_blur, media = FaceBlur(_settings(args)), Media(args.input)
    if args.plan is not None:
        _check_plan(args, args.plan, (args.input, args.output))
    _check_output(args, face_blur, media)
    with make_progress(quiet=args.quiet) as progress:
        _load(args, face_blur)
        plan = face_blur.analyse(media, progress)
        face_blur.unload()
        with committed_together(args.output, plan, args.plan):
            face_blur.render(media, plan, args.output, progress, overwrite=args.overwrite)
    _summarise(args, plan)


def _analyse(args: Namespace) -> None:
    face_blur = FaceBlur(_settings(args))
    _check_plan(args, args.output, (args.input,))
    with make_progress(quiet=args.quiet) as progress:
        _load(args, face_blur)
        plan = face_blur.analyse(Media(args.input), progress)
    write_plan(plan, args.output)
    _summarise(args, plan)


def _render(args: Namespace) -> None:
    plan = read_plan(_check_regular(args.plan))
    settings = rendering_settings(plan, _settings(args, blur=None), args.plan)
    face_blur, media = FaceBlur(settings), Media(args.input)
    if args.plan.resolve() == args.output.resolve():
        raise OutputError(f"{args.output}: is the plan; choose another name for the output")
    _check_output(args, face_blur, media)
    with (
        make_progress(quiet=args.quiet) as progress,
        committed_together(args.output, plan, None),
    ):
        face_blur.render(media, plan, args.output, progress, overwrite=args.overwrite)
    _summarise(args, plan)


def _people(args: Namespace) -> None:
    parts = load_parts(_settings(args, blur="listed"))
    show_people(args.people, parts, as_json=args.json)


def _models(args: Namespace) -> None:
    # The conversion of weights needs libraries that are slow to load.
    from app.cli.weights import list_packs, prepare

    settings = _settings(args, blur=None)
    root = settings.models_root
    if args.action == "list":
        list_packs([settings.models] if args.models is not None else find_packs(root), root)
    else:
        prepare(args, settings.models, root)


_COMMANDS: dict[str, Callable[[Namespace], None]] = {
    "blur": _blur,
    "analyse": _analyse,
    "render": _render,
    "people": _people,
    "models": _models,
}


def _settings(args: Namespace, **fixed: Any) -> Settings:
    """Return the settings: ``fixed`` and the options, the environment, then the file."""
    values: dict[str, Any] = {}
    for text in args.settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set takes KEY=VALUE, not {text!r}")
        values[key.strip()] = value
    given = {name: getattr(args, name, None) for name in (*ANALYSIS_SETTINGS, *RENDER_SETTINGS)}
    options = {name: value for name, value in given.items() if value is not None}
    for name in LISTS.keys() & options.keys():
        options[name] = LISTS[name].join(options[name])
    for name in sorted(values.keys() & options.keys()):
        raise UsageError(f"{name} is given by --set and by its own option; remove one")
    config = None if args.config is None else _check_regular(args.config)
    return Settings.load(config, **values | options | fixed)


def _check_regular(path: Path) -> Path:
    """Return the path unless reading from it could block forever.

    Raises:
        UsageError: it is a pipe or a device, or cannot be read.
    """
    try:
        endless = path.exists() and not (path.is_file() or path.is_dir())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if endless:
        raise UsageError(f"{path}: is not a regular file; choose another one")
    return path


def _load(args: Namespace, face_blur: FaceBlur) -> None:
    for doubt in face_blur.load().gallery.doubts:
        warn(doubt, quiet=args.quiet)


def _check_output(args: Namespace, face_blur: FaceBlur, media: Media) -> None:
    for warning in face_blur.check_output(media, args.output, overwrite=args.overwrite):
        warn(warning, quiet=args.quiet)


def _check_plan(args: Namespace, plan: Path, others: tuple[Path, ...]) -> None:
    """Check before any work that the plan can be written.

    Raises:
        OutputError: it is one of ``others``, or cannot be written.
    """
    try:
        clash = any(plan.resolve() == other.resolve() for other in others)
    except (OSError, RuntimeError) as error:  # loop of symbolic links
        raise OutputError(f"{plan}: cannot be written ({error}); choose another name") from error
    if clash:
        raise OutputError(f"{plan}: is another file of this command; choose another name")
    check_destination(plan, overwrite=args.overwrite)


def _summarise(args: Namespace, plan: Plan) -> None:
    counts = plan.counts
    unclear = counts["unclear"]
    notes = {"uncertain": counts["uncertain"] - unclear, "unclear": unclear}
    text = f"{args.output}: {counts['hidden']} of {counts['tracks']} face tracks hidden"
    text += "".join(f"; {name}: {count}" for name, count in notes.items() if count)
    print_message(text, quiet=args.quiet)
    if not plan.tracks:
        warn(f"{args.output}: {NO_FACE_FOUND}", quiet=args.quiet)
    for name in plan.not_found:
        warn(f"{name} was not found in this video", quiet=args.quiet)
