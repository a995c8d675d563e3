"""Our own readers of data that others write, as functions that a fuzzer calls.

A reader may refuse its input with an error of ``app.errors`` in one line. Any other exception is a
finding, and so is a value that does not survive being written and read again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from app.config import ServiceSettings, Settings
from app.errors import FaceBlurError, MediaError
from app.packs.catalogue import load_pack
from app.pieces.manifest import read_manifest, write_manifest
from app.plan import read_plan, write_plan
from app.storage.s3 import S3Uri, parse_prefixes
from app.types import Size
from app.video.ass import cleaned_ass_header, has_files, is_copyable_event
from app.video.bitstream.access_unit import check_access_unit, is_harmless, without_private_data
from app.video.bitstream.keyframes import is_clean_entry, known_codecs
from app.video.bitstream.nal import split_units
from app.video.bitstream.parameter_sets import (
    ParameterSets,
    PpsFacts,
    SpsFacts,
    comparable_parameters,
)
from app.video.codec_headers import cleaned_header
from app.video.fonts import rebuilt_font
from app.video.header import header_of
from app.video.hidden_data import holds_data, holds_encoded_text, holds_picture, names_place
from app.video.image_codec import read_size
from app.video.kinds import recognise
from app.video.media import Media
from app.video.profiles import rebuilt_profile
from app.video.truncation import check_complete
from app.web.options import apply_options, parse_attributes, response_kind
from app.web.tickets import parse_ticket, receive_ticket
from app.web.uploads import BodyReader, receive_form

BOUNDARY = "fuzz"
PREFIXES = (S3Uri("videos", "in/"), S3Uri("videos", "out/"))
_MESSAGE_CHARACTERS = 4000
"""Length of a message: explanations list three errors and all options."""
_LIMITS = ServiceSettings(max_bytes=1 << 20, min_free=0)

Read = Callable[[bytes, Path], None]
"""Reads data; the folder is empty and may be used."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, the most bytes of an input that are of interest, and the memory in MB it may use.

    The memory is that of the process, a quarter of which libraries and models need.
    """

    read: Read
    most: int = 4096
    memory: int = 1024


def attempt(reader: Reader, data: bytes) -> FaceBlurError | None:
    """Let a reader read; return its error if it refuses.

    Raises:
        AssertionError: the message is not one short line.
        Exception: a finding.
    """
    with TemporaryDirectory(prefix="face-blur-fuzz-") as name:
        try:
            reader.read(data, Path(name))
        except FaceBlurError as error:
            text = str(error)
            assert text.strip(), "there is no message"
            assert len(text) <= _MESSAGE_CHARACTERS, "the message is too long"
            assert len(text.splitlines()) == 1, "the message has several lines"
            return error
    return None


def _plan(data: bytes, folder: Path) -> None:
    first, second = folder / "first.json", folder / "second.json"
    first.write_bytes(data)
    plan = read_plan(first)
    for frame in {track.first for track in plan.tracks}:
        assert plan.regions_at(frame).shape[1:] == (4,)
    write_plan(plan, first)
    write_plan(read_plan(first), second)
    assert first.read_bytes() == second.read_bytes()


def _pack(data: bytes, folder: Path) -> None:
    (folder / "fuzz").mkdir()
    (folder / "fuzz" / "pack.toml").write_bytes(data)
    load_pack("fuzz", folder)


def _settings(data: bytes, folder: Path) -> None:
    (folder / "settings.toml").write_bytes(data)
    settings = Settings.load(folder / "settings.toml")
    assert Settings(**settings.model_dump(mode="json", exclude_unset=True)) == settings


def _manifest(data: bytes, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(data)
    manifest = read_manifest(folder / "manifest.json")
    write_manifest(manifest, folder / "again.json")
    assert read_manifest(folder / "again.json") == manifest


def _ticket(data: bytes, _folder: Path) -> None:
    ticket = receive_ticket([data], PREFIXES)
    assert ticket.input.is_below(PREFIXES)
    assert ticket.output.is_below(PREFIXES)
    assert parse_ticket(ticket.as_json(), PREFIXES) == ticket
    apply_options(Settings(), ticket.options)


def _options(data: bytes, _folder: Path) -> None:
    # WSGI hands headers over as Latin-1.
    text = data.decode("latin-1")
    response_kind(parse_accept_header(text, MIMEAccept))
    apply_options(Settings(), parse_attributes(text))


def _form(data: bytes, folder: Path) -> None:
    """The first byte decides whether the length of the body is declared."""
    declared = len(data) - 1 if data[:1] > b"\x7f" else None
    reader = BodyReader(BytesIO(data[1:]), declared, folder, _LIMITS, lambda: None)
    upload = receive_form(reader.blocks(), BOUNDARY, folder)
    assert {path.name for path in folder.iterdir()} <= {"media", "people"}
    assert upload.media.is_file()


def _units(data: bytes, _folder: Path) -> None:
    """The first byte chooses the size of the lengths; the second separates header and packet."""
    size, extradata, packet = (data[0] % 5 if data else 0), *_halves(data[1:])
    for strict in (True, False):
        with suppress(FaceBlurError):
            list(split_units(packet, size, strict=strict))
    for codec in (*sorted(known_codecs()), "mpeg4"):
        is_clean_entry(codec, packet, extradata)
        comparable_parameters(codec, extradata)


def _access_unit(data: bytes, _folder: Path) -> None:
    extradata, packet = _halves(data)
    for unit in (packet, extradata):
        for read in (SpsFacts.parse, PpsFacts.parse, is_harmless):
            with suppress(FaceBlurError):
                read(unit or b"\0")
    with suppress(FaceBlurError):
        kept = without_private_data(packet)
        assert without_private_data(kept) == kept
    sets = ParameterSets.parse(extradata)
    again = ParameterSets.parse(bytes(sets))
    assert (again.sps, again.pps, again.level) == (sets.sps, sets.pps, sets.level)
    assert sets.sps_facts() == sets.facts()[0]
    assert set(sets.shared_ids()) <= sets.pps_ids()
    assert sets.includes(again)
    check_access_unit(packet, sets, sets.pps_ids())
    assert sets.free_id() not in sets.pps_ids()
    with suppress(FaceBlurError):
        sets.joined(again)


def _halves(data: bytes) -> tuple[bytes, bytes]:
    middle = 1 + data[0] if data else 0
    return data[1:middle], data[middle:]


def _header(data: bytes, folder: Path) -> None:
    """Recognise a file, compare its size with the declared one, and read its header."""
    with suppress(FaceBlurError):
        recognise(data, "a file")
    (folder / "media").write_bytes(data)
    media = Media(folder / "media")
    if media.is_image:
        size: Size = read_size(media)
    else:
        check_complete(media)
        size = header_of(media).info.size
    assert min(size) > 0


def _uri(data: bytes, _folder: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with suppress(FaceBlurError):
        parse_prefixes(text.split(","))
    uri = S3Uri.parse(text, "a place")
    assert S3Uri.parse(str(uri), "a place") == uri
    assert ".." not in uri.key.split("/")
    uri.is_below(PREFIXES)


def _clean(clean: Callable[[bytes], bytes | None]) -> Read:
    """Clean data of a source; what is left must be clean, so that it stays as it is."""

    def read(data: bytes, _folder: Path) -> None:
        cleaned = clean(data)
        if cleaned is None:
            raise MediaError("cannot be copied")
        assert clean(cleaned) == cleaned

    return read


def _subtitle(data: bytes, _folder: Path) -> None:
    """The first byte separates the header and an event."""
    header, event = _halves(data)
    cleaned = cleaned_ass_header(header)
    assert cleaned_ass_header(cleaned) == cleaned
    assert not has_files(cleaned)
    if not is_copyable_event(event):
        raise MediaError("cannot be copied")


def _vorbis(data: bytes) -> bytes | None:
    return cleaned_header("vorbis", data)


def _flac(data: bytes) -> bytes | None:
    return cleaned_header("flac", data)


def _metadata(data: bytes, _folder: Path) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = [holds_picture(data), holds_encoded_text(data), holds_data(text), names_place(text)]
    if any(found):
        raise MediaError("may hold a picture or a place")


READERS = {
    "plan": Reader(_plan),
    "pack": Reader(_pack),
    "settings": Reader(_settings, 1024),
    "manifest": Reader(_manifest),
    "ticket": Reader(_ticket, 1024),
    "options": Reader(_options, 512),
    "form": Reader(_form, 2048),
    "units": Reader(_units, 1024),
    "access_unit": Reader(_access_unit, 1024),
    # FFmpeg makes room for as many frames as the header of a fragment declares, before it reads
    # them: a file of 1 kB takes 1.1 GB for a second. The limit of the child process is for that.
    "header": Reader(_header, 1 << 16, memory=2560),
    "uri": Reader(_uri, 256),
    "font": Reader(_clean(rebuilt_font)),
    "profile": Reader(_clean(rebuilt_profile)),
    "vorbis": Reader(_clean(_vorbis)),
    "flac": Reader(_clean(_flac), 256),
    "subtitle": Reader(_subtitle),
    "metadata": Reader(_metadata, 2048),
}
"""All readers by their names."""
