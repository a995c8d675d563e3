"""A known picture and a known place, planted in every carrier, are in no result."""

import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.errors import FaceBlurError
from app.video import check_output
from testmedia.videos import VideoSpec, copy_video
from tests.video.planted import (
    BASES,
    COUNT,
    ENCODED,
    FLAC_PICTURE,
    JPEG,
    MUXERS,
    PLACE,
    leaks,
    plain,
)
from tests.video.smart_videos import frames_hidden, render


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    hidden = [JPEG, ENCODED.encode(), JPEG.hex().encode(), zlib.compress(JPEG), PLACE.encode()]
    wrapped = "\n".join(ENCODED[at : at + 76] for at in range(0, len(ENCODED), 76)).encode()
    for number, data in enumerate([*hidden, wrapped]):
        path = tmp_path / str(number)
        path.write_bytes(b"something " + data + b" something")
        assert leaks(path)
    path.write_bytes(bytes(range(256)) * 50)
    assert not leaks(path)


# --- Tags -----------------------------------------------------------------------------------------

TAGS = {
    "METADATA_BLOCK_PICTURE": FLAC_PICTURE,
    "COVERART": ENCODED,
    "THUMBNAIL": ENCODED,
    "comment": f"my picture {ENCODED}",
    "description": "\n".join(ENCODED[at : at + 64] for at in range(0, len(ENCODED), 64)),
    "synopsis": JPEG.hex(),
    "LOCATION": PLACE,
    "artist": f"taken at {PLACE}",
    "my_own_key": "some text" + PLACE,
}


@pytest.mark.parametrize("suffix", MUXERS)
@pytest.mark.parametrize("key", TAGS)
def test_tags_of_the_file(suffix: str, key: str, tmp_path: Path) -> None:
    options = {"movflags": "use_metadata_tags"} if suffix in {".mp4", ".mov"} else {}
    spec = plain(suffix, metadata={key: TAGS[key], "title": "A title"}, muxer_options=options)
    source = spec.write(tmp_path / f"in{suffix}")
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert not leaks(output)
    with av.open(str(source)) as before, av.open(str(output)) as after:
        titles = [
            {k.lower(): v for k, v in one.metadata.items()}.get("title") for one in (before, after)
        ]
    assert titles[0] == titles[1], "texts are kept"


@pytest.mark.parametrize("key", TAGS)
def test_tags_of_streams_and_chapters(key: str, tmp_path: Path) -> None:
    source, spec = tmp_path / "in.mkv", plain(".mkv")
    with av.open(str(source), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height = spec.size
        stream.metadata[key] = TAGS[key]
        tags = {key: TAGS[key], "title": TAGS[key]}
        base = Fraction(1, 25)
        output.set_chapters([{"id": 1, "start": 0, "end": 9, "time_base": base, "metadata": tags}])
        for number, frame in enumerate(spec.frames()):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert leaks(source)
    assert not leaks(copy_video(source, tmp_path / "out.mkv"))


def test_a_tag_with_data_gives_a_warning(tmp_path: Path) -> None:
    spec = plain(".mkv", metadata={"METADATA_BLOCK_PICTURE": FLAC_PICTURE})
    source = spec.write(tmp_path / "in.mkv")
    assert any("METADATA_BLOCK_PICTURE" in one for one in check_output(source, tmp_path / "b.mkv"))


def test_places_are_kept_on_request_and_pictures_are_not(tmp_path: Path) -> None:
    spec = plain(".mkv", metadata={"LOCATION": PLACE, "COVERART": ENCODED})
    source = spec.write(tmp_path / "in.mkv")
    assert leaks(copy_video(source, tmp_path / "out.mkv", keep_location=True)) == ["place raw"]


# --- Boxes, trailers, packets of video ------------------------------------------------------------


def _boxes(source: Path) -> None:
    """Boxes of every kind that may be at the end of a file, and bytes after them."""
    content = JPEG + PLACE.encode()
    kinds = (b"free", b"skip", b"udta", b"meta", b"uuid", b"mdat")
    with source.open("ab") as file:
        for kind in kinds:
            file.write(struct.pack(">I4s", 8 + 16 + len(content), kind) + bytes(16) + content)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("copied", [True, False])
def test_boxes_of_a_file(suffix: str, copied: bool, tmp_path: Path) -> None:
    source = plain(suffix).write(tmp_path / f"in{suffix}")
    _boxes(source)
    assert leaks(source)
    output = tmp_path / f"out{suffix}"
    if copied:
        assert render(source, output, frames_hidden(COUNT, (7, 8))) is not None
    else:
        copy_video(source, output)
    assert not leaks(output)


@pytest.mark.parametrize("spec", [VideoSpec(cover=True), VideoSpec(second_video=True)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_covers_and_further_videos(spec: VideoSpec, suffix: str, tmp_path: Path) -> None:
    spec = replace(spec, base=Fraction(1, BASES.get(suffix, 12800)))
    source = spec.write(tmp_path / f"in{suffix}")
    output = copy_video(source, tmp_path / f"out{suffix}")
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


# --- Headers and packets of sound -----------------------------------------------------------------


def vorbis_video(path: Path, comments: list[bytes]) -> Path:
    """A video with Vorbis sound, whose header has these comments."""
    with av.open(str(path), "w") as output:
        video = output.add_stream("libvpx-vp9", rate=25)
        video.width, video.height = 64, 48
        strict = {"strict": "experimental"}
        sound = output.add_stream("vorbis", rate=48000, options=strict)
        sound.layout = "stereo"
        for number, frame in enumerate(plain(".webm").frames()):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        silence = np.zeros((2, 1024), np.float32)
        for number in range(30):
            piece = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
            piece.sample_rate, piece.pts = 48000, 1024 * number
            output.mux(sound.encode(piece))
        output.mux(sound.encode(None))
    with_comments = path.with_stem("commented")
    with av.open(str(path)) as reading, av.open(str(with_comments), "w") as writing:
        pairs = {s.index: writing.add_stream_from_template(s) for s in reading.streams}
        target = pairs[reading.streams.audio[0].index]
        target.codec_context.extradata = _commented(
            bytes(reading.streams.audio[0].codec_context.extradata or b""), comments
        )
        for packet in reading.demux():
            if packet.size:
                packet.stream = pairs[packet.stream.index]
                writing.mux(packet)
    return with_comments


def _commented(header: bytes, comments: list[bytes]) -> bytes:
    identification, setup = header[3:33], header[header.index(b"\x05vorbis") :]
    listed = b"".join(struct.pack("<I", len(one)) + one for one in comments)
    comment = b"\x03vorbis" + bytes(4) + struct.pack("<I", len(comments)) + listed + b"\x01"
    lacing = b"\xff" * (len(comment) // 255) + bytes([len(comment) % 255])
    return b"\x02" + bytes([30]) + lacing + identification + comment + setup


def sound_frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(audio=0)]


@pytest.mark.parametrize("suffix", [".webm", ".mkv"])
def test_comments_in_the_header_of_vorbis(suffix: str, tmp_path: Path) -> None:
    comments = [
        b"METADATA_BLOCK_PICTURE=" + FLAC_PICTURE.encode(),
        b"COVERART=" + ENCODED.encode(),
        b"LOCATION=" + PLACE.encode(),
        b"TITLE=" + JPEG,
    ]
    source = vorbis_video(tmp_path / "in.webm", comments)
    assert len(leaks(source)) >= 3
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert not leaks(output)
    assert sound_frames(source) == sound_frames(output)


def test_a_picture_in_the_setup_of_vorbis_is_not_copied(tmp_path: Path) -> None:
    source = vorbis_video(tmp_path / "in.webm", [])
    data = source.read_bytes()
    # The picture replaces the end of the codebooks, so decoders may fail, but bytes are bytes.
    at = data.index(b"\x05vorbis") + 1500
    source.write_bytes(data[:at] + JPEG[:1200] + data[at + 1200 :])
    assert leaks(source)
    try:
        output = copy_video(source, tmp_path / "out.webm")
    except FaceBlurError:
        assert not (tmp_path / "out.webm").exists()
    else:
        assert not leaks(output)


def test_tags_inside_sound(tmp_path: Path) -> None:
    """Some programs write the tags of an MP3 file into the first packet."""
    source, spec = tmp_path / "in.mkv", plain(".mkv", sounds=[("mp3", "eng")])
    clean = spec.write(tmp_path / "clean.mkv")
    size = len(JPEG) + 24
    sizes = bytes([0, size >> 14 & 127, size >> 7 & 127, size & 127])
    tag = b"ID3\x03\0\0" + sizes + b"APIC" + struct.pack(">IH", len(JPEG) + 14, 0)
    tag += b"\0image/jpeg\0\3\0" + JPEG
    with av.open(str(clean)) as reading, av.open(str(source), "w") as writing:
        pairs = {s.index: writing.add_stream_from_template(s) for s in reading.streams}
        first = True
        for packet in reading.demux():
            if not packet.size:
                continue
            new = packet
            if packet.stream.type == "audio" and first:
                first = False
                for data in (tag, b"\xff\xfb\x90\x00" + JPEG):
                    new = av.Packet(data)
                    new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
                    new.is_keyframe, new.stream = True, pairs[packet.stream.index]
                    writing.mux(new)
            packet.stream = pairs[packet.stream.index]
            writing.mux(packet)
    assert leaks(source)
    output = copy_video(source, tmp_path / "out.mkv")
    assert not leaks(output)
    with av.open(str(clean)) as before, av.open(str(output)) as after:
        whole, left = ([bytes(p) for p in c.demux(audio=0) if p.size] for c in (before, after))
    assert left == whole[-len(left) :]
    assert len(left) >= len(whole) - 1, "the demuxer divides the bytes in front"


# --- Subtitles ------------------------------------------------------------------------------------

HEADER = (
    "[Script Info]\r\n; comment {place}\r\nTitle: A\r\nOriginal Script: somebody\r\n"
    "ScriptType: v4.00+\r\nVideo File: /place/of/photos/{place}\r\n\r\n"
    "[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize\r\nStyle: Default,Arial,16\r\n\r\n"
    "[Fonts]\r\nfontname: face.ttf\r\n{lines}\r\n\r\n"
    "[Graphics]\r\nfilename: face.jpg\r\n{lines}\r\n\r\n"
    "[Aegisub Extradata]\r\nData: 1,a,e{data}\r\n\r\n"
    "[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, "
    "Text\r\n"
    "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,{data}\r\n"
)
LINES = "\r\n".join(ENCODED[at : at + 80] for at in range(0, len(ENCODED), 80))


def subtitled(path: Path, codec: str, header: bytes, events: list[bytes]) -> Path:
    with av.open(str(path), "w") as output:
        video = output.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        text: Any = output.add_stream(codec)
        text.codec_context.subtitle_header = header or b"[Script Info]\n\n[Events]\n"
        text.time_base = Fraction(1, 1000)
        for number, frame in enumerate(plain(".mkv").frames()):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for number, data in enumerate(events):
            packet = av.Packet(data)
            packet.pts = packet.dts = 100 * number
            packet.duration, packet.time_base, packet.stream = 90, Fraction(1, 1000), text
            output.mux(packet)
    return path


def texts(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(subtitles=0) if packet.size]


def test_files_drawings_and_data_in_ass(tmp_path: Path) -> None:
    header = HEADER.format(place=PLACE, lines=LINES, data=ENCODED).encode()
    good = [b"0,0,Default,,0,0,0,,Hello", b"1,0,Default,,0,0,0,,{\\an8\\i1}You{\\i0}\\Nthere"]
    drawing = b"2,0,Default,,0,0,0,,{\\an7\\p1}m 0 0 l 100 0 100 100 0 100{\\p0}"
    data = b"3,0,Default,,0,0,0,," + ENCODED.encode()
    source = subtitled(tmp_path / "in.mkv", "ass", header, [*good, drawing, data])
    assert leaks(source)
    assert len(texts(source)) == 4
    warnings = check_output(source, tmp_path / "out.mkv")
    assert any("stream 1" in one and "drawings" in one and "files" in one for one in warnings)
    output = copy_video(source, tmp_path / "out.mkv")
    assert not leaks(output)
    assert texts(output) == texts(source)[:2]
    kept = output.read_bytes()
    assert b"Style: Default,Arial,16" in kept
    assert b"[V4+ Styles]" in kept
    for word in (b"[Fonts]", b"[Graphics]", b"face.jpg", b"somebody", b"/home", b"Aegisub"):
        assert word not in kept


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_data_in_plain_subtitles(suffix: str, tmp_path: Path) -> None:
    wrapped = [b"Hello", b"<i>You</i>", ENCODED.encode(), b"<img src='data:" + ENCODED.encode()]
    codec = "subrip"
    if suffix == ".mp4":
        style = struct.pack(">I4sHHHHBBI", 22, b"styl", 1, 0, 2, 1, 1, 16, 0xFFFFFFFF)
        box = struct.pack(">I4s", 8 + len(JPEG), b"face") + JPEG
        wrapped = [struct.pack(">H", len(one)) + one for one in wrapped]
        wrapped = [wrapped[0] + box, wrapped[1] + style, *wrapped[2:]]
        codec = "mov_text"
    source = subtitled(tmp_path / f"in{suffix}", codec, b"", wrapped)
    assert leaks(source)
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert not leaks(output)
    left = [one for one in texts(output) if one != b"\0\0"]
    expected = [b"Hello", b"<i>You</i>"]
    assert len(left) == 2
    assert all(text in one for text, one in zip(expected, left, strict=True))
    assert suffix == ".mkv" or style in left[1]


@pytest.mark.parametrize("codec", ["dvdsub", "dvbsub"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_bitmap_subtitles_are_dropped_with_a_warning(
    codec: str, suffix: str, tmp_path: Path
) -> None:
    source = subtitled(tmp_path / "in.mkv", codec, b"", [b"bitmap" + JPEG, b"bitmap" + JPEG])
    assert leaks(source)
    output = tmp_path / f"out{suffix}"
    warnings = [one for one in check_output(source, output) if "bitmap subtitles" in one]
    assert len(warnings) == 1
    assert "stream 1" in warnings[0]
    copy_video(source, output)
    assert not leaks(output)
    with av.open(str(output)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
