"""``face-blur models``: what there is of weights, fetching them, and checking them."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.cli.progress import BYTES, make_progress
from app.faces.fetch import CONVERTERS, Converter, fetch, state, verify
from app.faces.packs import Pack, load_pack
from app.networks.onnx_graph import serialise
from app.shots import convert_transnet

ALL_CONVERTERS: Mapping[str, Converter] = {
    **CONVERTERS,
    "transnet": lambda data, _: serialise(convert_transnet.convert(data)),
}


def list_packs(names: Sequence[str], root: Path | None) -> None:
    """Print a line for each pack: what is there of it, what it is, and what it may be used for."""
    for name in names:
        print(_told(load_pack(name, root)))


def prepare(args: Namespace, pack: Pack) -> None:
    """Fetch the weights of a pack, if that is asked for, and check them.

    Raises:
        PackError: as ``fetch`` and ``verify``.
    """
    if args.part is not None:
        pack = pack.only(args.part)
    if args.action == "fetch":
        with make_progress(quiet=args.quiet, unit=BYTES) as progress:
            fetch(
                pack, print, progress, accepted=args.accept_licence, folder=args.folder,
                converters=ALL_CONVERTERS,
            )  # fmt: skip
    verify(pack)
    print(f"{pack.name}{f' ({args.part})' if args.part else ''}: ready")


def _told(pack: Pack) -> str:
    licences = ", ".join(sorted({one.name for one in pack.licences.values()}))
    use = "" if pack.commercial else "; not for commercial use"
    measured = pack.identity is None or pack.identity.calibrated
    note = "" if measured else "; thresholds not calibrated"
    return f"{pack.name}: {_there(pack)}; {pack.summary} ({licences}{use}){note}"


def _there(pack: Pack) -> str:
    """What is there of a pack's weights."""
    states = {part: state(pack.only(part)).value for part in pack.parts}
    if len(set(states.values())) == 1:
        return next(iter(states.values()))
    return ", ".join(f"{part} {one}" for part, one in states.items())
