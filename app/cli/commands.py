"""The commands: read the options, call the library, and report the result."""

import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from app.cli.edits import run_edits
from app.cli.folder import blur_folder, is_folder_run
from app.cli.given import (
    check_models_options,
    check_together,
    check_used,
    given_settings,
    naming_help,
    unused_by_media,
)
from app.cli.outcome import draw_sheet, edits_words, show_plan
from app.cli.people import show_people
from app.cli.progress import make_progress, print_message, warn
from app.cli.reporting import report
from app.cli.reviewing import review
from app.config import Settings
from app.edits import EditedPlan, Review, edits_path, is_edited, with_edits
from app.errors import (
    Interrupted,
    OutputError,
    UsageError,
    reason_of,
)
from app.files import check_destination
from app.packs.catalogue import find_packs
from app.pipeline import FaceBlur, load_parts, share_one_heap
from app.plan import write_plan
from app.plan.places import edited_reason
from app.plan.settings import rendering_settings
from app.process import StopSignal
from app.types import Window
from app.video import Media
from app.video.window import bounds_of


def run(args: Namespace, stop: StopSignal) -> int:
    """Run the command ``args.command``, and return its exit code.

    Raises:
        FaceBlurError: the command failed, and left no output.
    """
    share_one_heap()
    return _COMMANDS[args.command](args, stop)


def _blur(args: Namespace, stop: StopSignal) -> int:
    settings = _settings(args)
    if is_folder_run(args):
        return blur_folder(args, settings, stop)
    args.input = args.inputs[0]
    face_blur, media = FaceBlur(settings), Media(args.input)
    _set_window(args, media, settings)
    _check_files(args)
    _check_output(args, face_blur, media)
    face_blur.check_selection(media)
    with make_progress(quiet=args.quiet) as progress:
        _load(args, face_blur)
        plan = face_blur.analyse(media, progress)
        face_blur.unload()
        if args.plan is not None:
            write_plan(plan, args.plan)
        with _continuable(args):
            face_blur.render(media, plan, args.output, progress, overwrite=args.overwrite)
    if args.sheet is not None:
        draw_sheet(media, plan, args.output, args.sheet)
    return show_plan(args, EditedPlan(Review.of(plan)))


def _set_window(args: Namespace, media: Media, settings: Settings) -> None:
    """Limit the video to the stretch of a preview, if there is one.

    Raises:
        UsageError: it is empty, or cannot be combined with other options.
    """
    if args.begin is None and args.end is None:
        return
    if media.is_image:
        raise UsageError("--from and --to are for videos; remove them")
    if args.plan is not None:
        raise UsageError("--plan has no use for a preview; remove --plan, or --from and --to")
    if settings.select and args.begin:
        raise UsageError("--select needs the beginning of the video; leave out --from")
    media.window = Window(args.begin or Fraction(0), args.end)
    if args.end is not None and args.end <= media.window.begin:
        raise UsageError("--to must be later than --from")
    bounds_of(media)  # fails if there is no frame
    warn("this is a preview: only a stretch of the video is read", quiet=args.quiet)


@contextmanager
def _continuable(args: Namespace) -> Iterator[None]:
    """After an interruption of the second pass, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if args.plan is None:
            hint = "--plan keeps the analysis of an interrupted run"
        else:
            command = ["face-blur", "render", args.input, args.plan, "-o", args.output]
            command += ["--overwrite"] if args.overwrite else []
            hint = f"go on with: {shlex.join(map(str, command))}"
        raise Interrupted(f"interrupted, no video was written; {hint}") from None


def _analyse(args: Namespace, _: StopSignal) -> int:
    face_blur, media = FaceBlur(_settings(args)), Media(args.input)
    _check_plan(args, args.output, (args.input,))
    _warn_of_unused(args, media)
    face_blur.check_selection(media)
    with make_progress(quiet=args.quiet) as progress:
        _load(args, face_blur)
        plan = face_blur.analyse(media, progress)
    write_plan(plan, args.output)
    return show_plan(args, EditedPlan(Review.of(plan)))


def _render(args: Namespace, _: StopSignal) -> int:
    edited = _read_edited(args).decided(hide=args.hide, keep=args.keep)
    plan = edited.plan
    settings = rendering_settings(plan, _settings(args, blur=None), args.plan)
    with naming_help(args.command):
        check_together(args, given_settings(args), settings)
    face_blur, media = FaceBlur(settings), Media(args.input)
    if args.plan.resolve() == args.output.resolve():
        raise OutputError(f"{args.output}: is the plan; choose another name for the output")
    _check_output(args, face_blur, media)
    if args.sheet is not None:
        _check_plan(args, args.sheet, (args.input, args.output, args.plan, _edits_of(args)))
    _announce_edits(args, edited)
    with make_progress(quiet=args.quiet) as progress:
        face_blur.render(media, plan, args.output, progress, overwrite=args.overwrite)
    if args.sheet is not None:
        draw_sheet(media, plan, args.output, args.sheet)
    return show_plan(args, edited)


def _read_edited(args: Namespace) -> EditedPlan:
    """Read the plan with its edits.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: the edits are damaged or missing, or belong to another plan.
    """
    plan = _check_regular(args.plan)
    _check_regular(_edits_of(args))
    return with_edits(plan, args.edits, ignore=args.without_edits)


def _edits_of(args: Namespace) -> Path:
    return edits_path(args.plan) if args.edits is None else Path(args.edits)


def _announce_edits(args: Namespace, edited: EditedPlan) -> None:
    """Say whether the edits are applied."""
    if edited.edits:
        print_message(f"{args.plan}: {edits_words(edited)} applied", quiet=args.quiet)
    elif args.without_edits and is_edited(args.plan):
        warn(f"{_edits_of(args)}: the edits of the plan are left out", quiet=args.quiet)


def _report(args: Namespace, _: StopSignal) -> int:
    _check_regular(args.plan)
    return report(args, _settings(args, blur=None))


def _people(args: Namespace, _: StopSignal) -> int:
    parts = load_parts(_settings(args, blur="listed"))
    show_people(args.people, parts, as_json=args.json)
    return 0


def _models(args: Namespace, _: StopSignal) -> int:
    # The conversion of weights needs libraries that are slow to load.
    from app.cli.weights import list_packs, prepare

    with naming_help(args.command):
        check_models_options(args)
    settings = _settings(args, blur=None)
    root = settings.models_root
    if args.action == "list":
        list_packs([settings.models] if args.models is not None else find_packs(root), root)
    else:
        prepare(args, settings.models, root)
    return 0


def _review(args: Namespace, _: StopSignal) -> int:
    return review(args, _settings(args))


_COMMANDS: dict[str, Callable[[Namespace, StopSignal], int]] = {
    "blur": _blur,
    "analyse": _analyse,
    "render": _render,
    "review": _review,
    "edits": lambda args, _: run_edits(args),
    "people": _people,
    "models": _models,
    "report": _report,
}


def _settings(args: Namespace, **fixed: Any) -> Settings:
    """Return the settings: ``fixed`` and the options, the environment, then the file.

    Raises:
        UsageError: a setting is wrong, or one that this call gives has no effect.
    """
    with naming_help(args.command):
        given = given_settings(args)
        config = None if args.config is None else _check_regular(args.config)
        settings = Settings.load(config, **given | fixed)
        check_used(args, given, settings)
        return settings


def _check_regular(path: Path) -> Path:
    """Return the path unless reading from it could block forever.

    Raises:
        UsageError: it is a pipe or a device, or cannot be read.
    """
    try:
        endless = path.exists() and not (path.is_file() or path.is_dir())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason_of(error)}") from error
    if endless:
        raise UsageError(f"{path}: is not a regular file; choose another one")
    return path


def _load(args: Namespace, face_blur: FaceBlur) -> None:
    for doubt in face_blur.load().gallery.doubts:
        warn(doubt, quiet=args.quiet)


def _check_output(args: Namespace, face_blur: FaceBlur, media: Media) -> None:
    for warning in face_blur.check_output(media, args.output, overwrite=args.overwrite):
        warn(warning, quiet=args.quiet)
    _warn_of_unused(args, media)


def _warn_of_unused(args: Namespace, media: Media) -> None:
    for warning in unused_by_media(args, is_image=media.is_image):
        warn(warning, quiet=args.quiet)


def _check_files(args: Namespace) -> None:
    """Check before any work that the plan and the sheet can be written.

    Raises:
        OutputError: two of the files are one, or cannot be written.
    """
    files = [path for path in (args.plan, args.sheet) if path is not None]
    for number, path in enumerate(files):
        _check_plan(args, path, (args.input, args.output, *files[:number]))


def _check_plan(args: Namespace, plan: Path, others: tuple[Path, ...]) -> None:
    """Check before any work that the plan can be written.

    Raises:
        OutputError: it is one of ``others``, has edits, or cannot be written.
    """
    try:
        clash = any(plan.resolve() == other.resolve() for other in others)
    except (OSError, RuntimeError) as error:  # loop of symbolic links
        raise OutputError(
            f"{plan}: cannot be written ({reason_of(error)}); choose another name"
        ) from error
    if clash:
        raise OutputError(f"{plan}: is another file of this command; choose another name")
    check_destination(plan, overwrite=args.overwrite)
    if is_edited(plan):
        raise OutputError(f"{plan}: {edited_reason(plan)}")
