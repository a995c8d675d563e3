"""The tables of codecs in containers agree with the muxers."""

import io

import av
import pytest
from av.codec import Codec
from av.codec.codec import UnknownCodecError

from app.video.streams import AUDIO, SUBTITLES


def names_of(canonical: str) -> set[str]:
    """Return the names of all encoders and decoders of a codec."""
    found = {canonical}
    for name in av.codecs_available:
        for mode in ("r", "w"):
            try:
                codec = Codec(name, mode)
            except UnknownCodecError:
                continue
            if codec.canonical_name == canonical:
                found.add(name)
    return found


@pytest.mark.parametrize("muxer", sorted(AUDIO.keys() - {"mpegts"}))
def test_muxers_accept_the_codecs_of_the_tables(muxer: str) -> None:
    """MPEG-TS is left out, because its muxer does not list its codecs."""
    with av.open(io.BytesIO(), "w", format=muxer) as output:
        supported = output.supported_codecs
    for canonical in AUDIO[muxer] | SUBTITLES[muxer]:
        assert names_of(canonical) & supported, canonical
