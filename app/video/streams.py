"""Decide for each stream of the input whether it is copied, converted or dropped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from av.container import InputContainer
from av.stream import AttachmentStream, Discard, Stream
from av.video.stream import VideoStream

from app.errors import OutputError
from app.video.ass import has_files
from app.video.codec_headers import cleaned_header
from app.video.container import frame_rate, is_video, main_video
from app.video.encodings import Encoder, Encoding, choose_encoding, with_hardware
from app.video.fonts import rebuilt_font
from app.video.kinds import BY_SUFFIX, MATROSKA, output_kind
from app.video.metadata import picture_tags
from app.video.orientation import Matrix, Orientation
from app.video.pixel_formats import layout, planar_format

UPRIGHT = frozenset({"mpegts", "avi", "flv"})
"""Containers that cannot hold a display matrix."""
_PCM = frozenset(
    {"pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be", "pcm_f32le"}
    | {"pcm_f32be", "pcm_f64le", "pcm_f64be"}
)
_COMMON_AUDIO = frozenset({"aac", "mp3", "mp2", "ac3", "eac3", "dts"})
AUDIO: dict[str, frozenset[str]] = {
    # Few players know PCM in MP4 (ISO/IEC 23003-5), and some play noise.
    "mp4": _COMMON_AUDIO | {"alac", "opus", "flac", "vorbis", "truehd"},
    "mov": _COMMON_AUDIO | _PCM | {"alac", "amr_nb", "pcm_mulaw", "pcm_alaw", "pcm_u8", "pcm_s8"},
    "matroska": _COMMON_AUDIO
    | _PCM - {"pcm_s24be", "pcm_s32be", "pcm_f32be", "pcm_f64be"}
    | {"alac", "opus", "flac", "vorbis", "truehd", "mp1", "pcm_u8", "wavpack", "tta", "mlp"},
    "webm": frozenset({"opus", "vorbis"}),
    # AVI counts ticks of a packet; the muxer knows their length for few codecs only.
    "avi": _COMMON_AUDIO - {"aac", "eac3"}
    | {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "pcm_f32le"},
    "mpegts": _COMMON_AUDIO | {"opus", "truehd"},
    "flv": frozenset({"aac", "mp3", "pcm_s16le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "speex"}),
}
_AUDIO_ENCODERS = {
    "mp4": "aac",
    "mov": "aac",
    "matroska": "flac",
    "webm": "libopus",
    "avi": "pcm_s16le",
    "mpegts": "aac",
    "flv": "aac",
}
SUBTITLES: dict[str, frozenset[str]] = {
    "mp4": frozenset({"mov_text"}),
    "mov": frozenset({"mov_text", "eia_608"}),
    "matroska": frozenset({"subrip", "ass", "webvtt", "text"}),
    "webm": frozenset({"webvtt"}),
    "avi": frozenset(),
    "mpegts": frozenset({"dvb_teletext"}),
    "flv": frozenset(),
}
_BITMAPS = frozenset({"hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle", "xsub"})
"""Subtitles that are pictures. Nothing looks for faces in them, so they are dropped."""
_TEXT = frozenset({"mov_text", "subrip", "ass", "webvtt", "text"})
_TEXT_ENCODERS = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_PALETTES = frozenset({"gif"})
"""Codecs of few colours, whose results must play in browsers and on phones: these do not show H.264
with full chroma."""
_PCM_MUXERS = frozenset({"matroska", "avi"})
"""Containers of editing, for which PCM stays PCM: only the order of its bytes is turned."""
_UNSEEN = "faces in it would not be hidden"
_KEY_CHARACTERS = 60
"""Characters of a key that a warning shows."""

Action = Literal["copy", "audio", "text"]


@dataclass(frozen=True, slots=True)
class CarriedStream:
    """A stream of the input, by its index, that is copied, or converted to ``codec``.

    ``header`` is the extradata that a copied stream gets.
    """

    index: int
    action: Action
    codec: str
    header: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamMap:
    """The streams of an output. ``fonts`` are the indices of attachments that are copied."""

    muxer: str
    encoding: Encoding
    carried: tuple[CarriedStream, ...]
    fonts: tuple[int, ...]
    warnings: tuple[str, ...]


def muxer_of(output: Path) -> str:
    """Return the muxer that the suffix of ``output`` names.

    Raises:
        OutputError: the suffix does not name a container that we write.
    """
    kind = output_kind(output)
    if kind is None or not kind.muxer:
        known = " ".join(sorted(suffix for suffix, one in BY_SUFFIX.items() if one.muxer))
        raise OutputError(
            f"{output}: cannot write {output.suffix or 'a name without suffix'}; use one of {known}"
        )
    return kind.muxer


def map_streams(
    container: InputContainer,
    label: object,
    output: Path,
    copyable: Collection[int],
    *,
    encoder: Encoder = "software",
    drop: Sequence[str] = (),
) -> StreamMap:
    """Decide for each stream of ``container`` what the output gets.

    Args:
        container: the input.
        label: the name of the input in messages.
        output: the file to write; its suffix names the container.
        copyable: the streams whose packets that container can hold, see ``trial.copyable``.
        encoder: ``nvenc`` or ``auto`` for the encoder of a GPU.
        drop: streams to leave out: indices, or types ("audio", "subtitle", ...).

    Raises:
        DeviceError: the requested ``encoder`` does not work here.
        OutputError: the container of ``output`` cannot hold a stream in any form, or ``drop`` names
            a stream that is not there, or the video.
        UnsupportedMedia: the input has no video that can be decoded.
    """
    muxer = muxer_of(output)
    video = main_video(container, label)
    dropped = _dropped(container, video, label, drop)
    if muxer == "avi" and frame_rate(video) * Fraction(video.time_base or 0) != 1:
        raise OutputError(f"{output}: AVI cannot hold the times of its frames; write to .mkv")
    carried: list[CarriedStream] = []
    fonts: list[int] = []
    warnings: list[str] = []
    homeless: list[Stream] = []
    encoding = with_hardware(_encode(video, muxer, warnings), video, encoder)
    for stream in container.streams:
        if stream.index in dropped:
            continue
        if codec_name(stream) in _BITMAPS:
            warnings.append(f"stream {stream.index}: bitmap subtitles are dropped, {_UNSEEN}")
        elif stream.type in {"audio", "subtitle"}:
            form = _form(stream, muxer, stream.index in copyable)
            if form is None:
                homeless.append(stream)
                continue
            carried.append(form)
            warnings.extend(_conversion(stream, form, muxer))
        elif _is_font(stream) and muxer == "matroska":
            fonts.append(stream.index)
        elif stream.index != video.index:
            warnings.extend(_drop(stream))
    kept = [container.streams[one.index] for one in carried]
    warnings.extend(_let_go(stream, kept, output) for stream in homeless)
    warnings.extend(_tag_warnings(container))
    return StreamMap(muxer, encoding, tuple(carried), tuple(fonts), tuple(warnings))


def _dropped(
    container: InputContainer, video: Stream, label: object, drop: Sequence[str]
) -> frozenset[int]:
    """Return the indices of the streams that the user leaves out."""
    found: set[int] = set()
    for name in drop:
        if not name.isdecimal():
            found |= {stream.index for stream in container.streams if stream.type == name}
        elif int(name) >= len(container.streams):
            raise OutputError(f"{label}: has no stream {name} to drop; it has {_listed(container)}")
        else:
            found.add(int(name))
    if video.index in found:
        raise OutputError(f"{label}: stream {video.index} is its video, which cannot be dropped")
    return frozenset(found)


def _listed(container: InputContainer) -> str:
    return ", ".join(f"{one.index} ({one.type})" for one in container.streams)


def _encode(stream: VideoStream, muxer: str, warnings: list[str]) -> Encoding:
    """Choose the encoding of the video, and warn of losses."""
    context = stream.codec_context
    coded = context.pix_fmt or "yuv420p"
    shown = planar_format(coded) or "yuv420p"
    if codec_name(stream) in _PALETTES:
        shown = "yuv420p"
    size = (context.width, context.height)
    encoding = choose_encoding(codec_name(stream), muxer, shown, size)
    if codec_name(stream) != encoding.codec:
        warnings.append(f"video: {codec_name(stream)} is written as {encoding.codec}")
    source, target = layout(shown), layout(encoding.pixel_format)
    (from_x, from_y), (to_x, to_y) = source.shifts, target.shifts
    if target.depth < source.depth or from_x < to_x or from_y < to_y:
        warnings.append(f"video: {coded} is reduced to {encoding.pixel_format}")
    # VP8 and VP9 store alpha beside the frame, where decoders do not read it.
    has_separate_alpha = stream.metadata.get("alpha_mode") == "1"
    if has_separate_alpha or any(plane.is_alpha for plane in source.planes):
        warnings.append("video: the alpha channel is dropped")
    return encoding


def check_rotation(matrix: Matrix | None, muxer: str, output: Path) -> None:
    """Check that the container can store the rotation of the video.

    Raises:
        OutputError: it cannot, so every player would show the video lying on its side.
    """
    if muxer in UPRIGHT and Orientation.from_matrix(matrix) != Orientation():
        raise OutputError(
            f"{output}: {output.suffix} cannot hold the rotation of the video; write to .mkv"
        )


def codec_name(stream: Stream) -> str:
    """Return the name of the codec of a stream, ``unknown`` if the library does not know it."""
    context = stream.codec_context
    return str(context.codec.canonical_name) if context is not None else "unknown"


def _form(stream: Stream, muxer: str, is_copyable: bool) -> CarriedStream | None:
    """Return the form in which a container holds a stream; None if it cannot hold it."""
    name = codec_name(stream)
    is_audio = stream.type == "audio"
    if is_copyable and name in (AUDIO if is_audio else SUBTITLES)[muxer]:
        copied = copied_form(stream)
        if copied is not None:
            return copied
    target = audio_encoder(name, muxer) if is_audio else text_encoder(muxer)
    if target is None or name == "unknown" or not (is_audio or name in _TEXT):
        return None
    return CarriedStream(stream.index, "audio" if is_audio else "text", target)


def copied_form(stream: Stream) -> CarriedStream | None:
    """Return the form of a stream that is copied.

    It is None if its header holds more than it needs, or if the library does not know its codec.
    """
    if stream.codec_context is None:
        return None
    name = codec_name(stream)
    header = cleaned_header(name, _header(stream))
    return None if header is None else CarriedStream(stream.index, "copy", name, header)


def audio_encoder(codec: str, muxer: str) -> str:
    """Return the encoder for sound that a container does not hold as it is.

    >>> audio_encoder("pcm_s24be", "matroska"), audio_encoder("pcm_s24be", "mp4")
    ('pcm_s24le', 'aac')
    """
    turned = codec.removesuffix("be") + "le"
    if muxer in _PCM_MUXERS and codec in _PCM and turned in AUDIO[muxer]:
        return turned
    return _AUDIO_ENCODERS[muxer]


def text_encoder(muxer: str) -> str | None:
    """Return the form of text in a container, None if it holds no subtitles that are text."""
    return _TEXT_ENCODERS.get(muxer)


def _conversion(stream: Stream, form: CarriedStream, muxer: str) -> list[str]:
    """Return the warning for a stream that is converted; none for one that is copied."""
    name = codec_name(stream)
    if form.action == "copy":
        return _text_warnings(stream, name, _header(stream))
    better = " (.mov keeps it)" if muxer == "mp4" and name in _PCM else ""
    return [f"stream {stream.index}: {stream.type} {name} is converted to {form.codec}{better}"]


def _let_go(stream: Stream, kept: Sequence[Stream], output: Path) -> str:
    """Return the warning for a stream that cannot be written, and that may be missing.

    That is a track of captions, and sound of which another stream in the same language stays, as
    beside the spatial sound of phones.

    Raises:
        OutputError: the user must choose another container, or to drop the stream.
    """
    name, option = codec_name(stream), f"--drop-stream {stream.index}"
    elsewhere = _form(stream, MATROSKA.muxer, is_copyable=True) is not None
    own = _language(stream)
    languages = {_language(one) for one in kept if one.type == "audio"}
    is_twin = stream.type == "audio" and bool(languages & {own, ""} if own else languages)
    if not elsewhere and (is_twin or stream.type == "subtitle"):
        reason = "other sound stays" if is_twin else f"{output.suffix} cannot hold it"
        return f"stream {stream.index}: {stream.type} ({name}) is dropped, {reason}"
    way = f"write to .mkv, or drop it ({option})" if elsewhere else f"drop it ({option})"
    raise OutputError(
        f"{output}: {output.suffix} cannot hold stream {stream.index} ({stream.type}, {name}); "
        f"{way}"
    )


def _language(stream: Stream) -> str:
    """Return the language of a stream, empty if it is unknown."""
    language = stream.metadata.get("language", "")
    return "" if language == "und" else language


def _header(stream: Stream) -> bytes:
    context = stream.codec_context
    return bytes(context.extradata or b"") if context is not None else b""


def _text_warnings(stream: Stream, codec: str, header: bytes) -> list[str]:
    """Return the warning for parts of subtitles that are left out."""
    if codec != "ass":
        return []
    files = "files in their header and " if has_files(header) else ""
    return [f"stream {stream.index}: {files}drawings in subtitles are dropped, {_UNSEEN}"]


def _tag_warnings(container: InputContainer) -> list[str]:
    """Return warnings for tags that hold data instead of text, such as cover art."""
    tags = [container.metadata, *(stream.metadata for stream in container.streams)]
    keys = dict.fromkeys(key[:_KEY_CHARACTERS] for one in tags for key in picture_tags(one))
    return [f"tag {key}: is dropped, it holds data instead of text" for key in keys]


def _is_font(stream: Stream) -> bool:
    return isinstance(stream, AttachmentStream) and rebuilt_font(stream.data) is not None


def _drop(stream: Stream) -> list[str]:
    """Return the warning for a stream that is dropped; none for the track of chapter titles."""
    if isinstance(stream, VideoStream):
        what = "a second video" if is_video(stream) else "cover art"
        return [f"stream {stream.index}: {what} is dropped, {_UNSEEN}"]
    if isinstance(stream, AttachmentStream):
        name = stream.name or "unknown"
        return [f"stream {stream.index}: the attachment {name} is dropped, it is not a plain font"]
    if stream.type == "data" and stream.discard == Discard.all:
        return []
    # Streams of a type that the library does not know have no name.
    name = getattr(stream, "name", "") or "unknown"
    return [f"stream {stream.index}: {stream.type} ({name}) is dropped"]
