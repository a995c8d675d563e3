"""``face-blur models``: list packs, fetch their weights, and check them."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from app.cli.progress import BYTES, make_progress, warn
from app.errors import Unreachable, UsageError
from app.packs.catalogue import AUTO, PREFERRED, Pack, choose_pack, load_pack
from app.packs.download import DEFAULT_RETRIES, SINGLE_ATTEMPT
from app.packs.fetch import fetch, state, verify


def list_packs(names: Sequence[str], root: Path | None) -> None:
    """Print one line per pack: its state, summary and licences."""
    for name in names:
        print(_line(load_pack(name, root)))


def prepare(args: Namespace, name: str, root: Path | None) -> None:
    """Fetch the weights of a pack if the action is ``fetch``, and check them.

    With ``auto``, ``fetch`` means the best pack, and ``verify`` the best one that is present.

    Raises:
        UsageError: there is no such pack, part or folder.
        PackError: as ``fetch`` and ``verify`` raise it.
    """
    if args.folder is not None and not args.folder.is_dir():
        raise UsageError(f"{args.folder}: is not a folder; give one with the published files")
    if args.action == "fetch":
        best = PREFERRED[0] if name == AUTO else name
        ready = _fetch(args, load_pack(best, root), root)
    else:
        ready = load_pack(choose_pack(name, root), root)
    verify(_part(args, ready))
    print(f"{ready.name}{f' ({args.part})' if args.part else ''}: ready")


def _part(args: Namespace, pack: Pack) -> Pack:
    return pack if args.part is None else pack.only(args.part)


def _fetch(args: Namespace, pack: Pack, root: Path | None) -> Pack:
    """Fetch a pack, or its substitute if a publisher is unreachable; return the fetched pack."""
    replaceable = pack.substitute is not None and not args.no_substitute
    with make_progress(quiet=args.quiet, unit=BYTES) as progress:
        try:
            fetch(
                _part(args, pack),
                print,
                progress,
                accepted=args.accept_licence,
                folder=args.folder,
                retries=SINGLE_ATTEMPT if replaceable else DEFAULT_RETRIES,
            )
        except Unreachable as error:
            if pack.substitute is None or not replaceable:
                raise
            reason, instead = error, pack.substitute
        else:
            return pack
    warn(
        f"{pack.name} CANNOT BE FETCHED ({reason}). The pack {instead.pack} is used instead:"
        f" {instead.cost}. Fetch {pack.name} again when its publisher is reachable, or with"
        " --from DIR; --no-substitute makes this an error.",
        quiet=False,
    )
    return _fetch(args, load_pack(instead.pack, root), root)


def _line(pack: Pack) -> str:
    licences = ", ".join(sorted({one.name for one in pack.licences.values()}))
    use = "" if pack.commercial else "; not for commercial use"
    measured = pack.identity is None or pack.identity.measured
    note = "" if measured else "; thresholds not calibrated"
    return f"{pack.name}: {_state(pack)}; {pack.summary} ({licences}{use}){note}"


def _state(pack: Pack) -> str:
    """Return the state of a pack's weights, for each part if the states differ."""
    states = {part: state(pack.only(part)).value for part in pack.parts}
    if len(set(states.values())) == 1:
        return next(iter(states.values()))
    return ", ".join(f"{part} {one}" for part, one in states.items())
