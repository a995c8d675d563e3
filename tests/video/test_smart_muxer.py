"""The checks of smart rendering: of packets, SEI messages and finished files."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer

from app.video import Media, Writing, open_mixing_sink, open_source
from app.video.bitstream.access_unit import is_harmless, without_private_data
from app.video.bitstream.nal import BitReader, Uncopyable, h264_type, join_units, split_units
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import video_packets
from app.video.smart import sink as sink_module
from app.video.smart.gops import find_gops
from app.video.smart.muxer import MixRecord
from app.video.smart.verify import check_mixed
from testmedia.videos import VideoSpec
from tests.video.smart_videos import Hidden, decoded, frames_hidden, paint, render

COUNT = 60
HIDDEN = frames_hidden(COUNT, (26, 28))
X264 = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
LOCATION = bytes(range(16)) + b"+48.1+011.5/"
CAPTION = b"\xb5\x00\x31GA94\x03\xc2\xff\xfc\x80\x80\xfd\x80\x80\xff"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return VideoSpec(count=COUNT, options={"g": "12"}).write(tmp_path / "in.mp4")


def message(kind: int, content: bytes) -> bytes:
    """Return an SEI unit with one message."""
    return bytes([6, kind, len(content)]) + content + b"\x80"


def with_messages(source: Path, output: Path, *units: bytes) -> Path:
    """Copy a video with these units before the slices of every frame."""
    with av.open(str(source)) as reading, av.open(str(output), "w") as writing:
        video = reading.streams.video[0]
        target = writing.add_stream_from_template(video)
        for packet in reading.demux(video):
            if packet.size:
                new = av.Packet(join_units(units) + bytes(packet))
                new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
                new.time_base, new.is_keyframe = packet.time_base, packet.is_keyframe
                new.stream = target
                writing.mux(new)
    return output


def messages(path: Path) -> list[bytes]:
    """Return the SEI units of a file, in order."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return [unit for data in packets for unit in split_units(data) if h264_type(unit) == 6]


def test_locations_and_devices_in_sei_are_not_copied(source: Path, tmp_path: Path) -> None:
    kept, lost = message(4, CAPTION), message(5, LOCATION)
    video = with_messages(source, tmp_path / "sei.mp4", kept, lost)
    assert len([unit for unit in messages(video) if LOCATION in unit]) == COUNT
    output = tmp_path / "out.mp4"
    assert render(video, output, HIDDEN) is not None
    assert LOCATION not in output.read_bytes()
    copied = [unit for unit in messages(output) if unit == kept]
    assert len(copied) == COUNT - 8, "frames 24 to 31 are encoded"
    before, after = decoded(video), decoded(output)
    assert before.keys() == after.keys()
    assert sum(before[pts] == after[pts] for pts in before) == COUNT - 8


@pytest.mark.parametrize(
    ("unit", "harmless"),
    [
        (message(0, b"\x80"), True),
        (message(1, b"\x12"), True),
        (message(6, b"\xc4"), True),
        (message(4, CAPTION), True),
        (message(4, b"\xb5\x00\x31DTG1\x41\xf8"), False),
        (message(4, b"\x26\x00\x0d"), False),
        (message(5, X264 + b"x264 - core 164 r3095"), True),
        (message(5, X264 + b"x264 - core 164 r3095\0"), True),
        (message(4, CAPTION + b"\xff\xd8\xff\xe0"), False),
        (message(5, LOCATION), False),
        (message(1, bytes(200)), False),
        (message(200, b"picture"), False),
        (b"\x06\x01\x01\x12\x05\x10" + LOCATION[:16] + b"\x80", False),
        (b"\x06\xff\x05\x00\x80", False),
    ],
)
def test_only_known_messages_are_harmless(unit: bytes, harmless: bool) -> None:
    assert is_harmless(unit) == harmless


@pytest.mark.parametrize(
    "unit",
    [
        message(47, b"\x20"),
        message(5, X264 + b"x264 - core 33"),
        message(5, X264),
        message(5, X264 + b"x264 - core 164 r3095\0\xff\xd8\xff\xe0"),
        b"\x06\x05\x20short\x80",
    ],
)
def test_messages_that_change_frames_or_are_damaged_prevent_copying(unit: bytes) -> None:
    with pytest.raises(Uncopyable):
        is_harmless(unit)


def test_bytes_that_no_decoder_reads_are_not_copied() -> None:
    """Fillers, and delimiters that are too long, could hold anything."""
    slices, delimiter = b"\x65\x88", b"\x09\x10"
    data = join_units([delimiter, slices, b"\x0c" + b"\xff\xd8\xff\xe0 picture"])
    assert without_private_data(data) == join_units([delimiter, slices])
    assert without_private_data(join_units([delimiter + b"picture", slices])) == join_units(
        [slices]
    )


def test_a_packet_without_private_data_is_the_same_object() -> None:
    data = join_units([b"\x09\x10", message(4, CAPTION), b"\x65\x88"])
    assert without_private_data(data) is data
    longer = join_units([b"\x09\x10", message(5, LOCATION), b"\x65\x88"])
    assert without_private_data(longer) == join_units([b"\x09\x10", b"\x65\x88"])


@pytest.mark.parametrize(
    "units",
    [
        [b"\x67\x64\x00\x0a"],
        [b"\x0b"],
        [b"\x74\x00\x00"],
    ],
)
def test_units_that_change_or_end_the_stream_prevent_copying(
    units: list[bytes], source: Path, tmp_path: Path
) -> None:
    video = with_messages(source, tmp_path / "odd.mp4", *units)
    with pytest.raises(Uncopyable):
        find_gops(Media(video))


def test_slices_refer_to_the_parameter_sets_of_their_encoder(source: Path, tmp_path: Path) -> None:
    assert render(source, tmp_path / "out.mp4", HIDDEN) is not None
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert len(ParameterSets.parse(context.extradata or b"").sps) == 2
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    used = [
        {_pps_id(unit) for unit in split_units(data) if h264_type(unit) in {1, 5}}
        for data in packets
    ]
    assert used == [{0}] * 24 + [{1}] * 8 + [{0}] * 28


def _pps_id(unit: bytes) -> int:
    bits = BitReader(unit[1:].replace(b"\0\0\3", b"\0\0"))
    _first_macroblock, _slice_type, pps_id = (bits.exp_golomb() for _ in range(3))
    return pps_id


def render_and_record(source: Path, output: Path, hidden: Hidden) -> MixRecord:
    """Render, and return the record of the sink."""
    with open_mixing_sink(source, output, Writing(), hidden) as sink:
        for frame in open_source(source).only(sink.stretches):
            paint(frame)
            sink.write(frame, np.zeros((0, 4), np.float32))
        sink.commit()
        return sink._mixer.record


def positions(path: Path) -> list[tuple[int, int]]:
    """Return offset and size of the packets in a file."""
    with av.open(str(path)) as container:
        return [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]


@pytest.mark.parametrize("number", [0, 5, 12, 20, 32, 59])
def test_a_file_with_a_changed_packet_is_refused(number: int, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    record = render_and_record(source, output, HIDDEN)
    check_mixed(output, record)
    offset, size = positions(output)[number]
    data = bytearray(output.read_bytes())
    data[offset + size - 3] ^= 0x55
    output.write_bytes(bytes(data))
    with pytest.raises(Uncopyable):
        check_mixed(output, record)


def test_a_file_with_other_parameter_sets_is_refused(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    record = render_and_record(source, output, HIDDEN)
    data = output.read_bytes()
    at = data.index(b"avcC") + 4
    output.write_bytes(data[:at] + data[at : at + 3] + b"\x33" + data[at + 4 :])
    with pytest.raises(Uncopyable, match="parameter sets"):
        check_mixed(output, record)


def test_a_file_whose_frames_are_decoded_differently_is_refused(
    source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mp4"
    record = render_and_record(source, output, HIDDEN)
    pts = next(iter(record.signatures))
    record.signatures[pts] = 255 - record.signatures[pts]
    with pytest.raises(Uncopyable, match=f"frame at {pts}"):
        check_mixed(output, record)


def test_a_changed_source_is_detected(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fewer(container: InputContainer, label: object) -> Iterator[object]:
        return (p for number, p in enumerate(video_packets(container, label)) if number != 40)

    monkeypatch.setattr(sink_module, "video_packets", fewer)
    with pytest.raises(Uncopyable):
        render(source, tmp_path / "out.mp4", HIDDEN)
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"], "no file is left behind"


def test_unexpected_frames_are_refused(source: Path, tmp_path: Path) -> None:
    first = next(iter(open_source(source)))
    sink = open_mixing_sink(source, tmp_path / "out.mp4", Writing(), HIDDEN)
    with sink, pytest.raises(Uncopyable, match="frame 0"):
        sink.write(first, np.zeros((0, 4), np.float32))


def test_missing_frames_are_detected(source: Path, tmp_path: Path) -> None:
    with open_mixing_sink(source, tmp_path / "out.mp4", Writing(), HIDDEN) as sink:
        for frame in open_source(source).only(sink.stretches):
            if frame.index < 31:
                sink.write(frame, np.zeros((0, 4), np.float32))
        with pytest.raises(Uncopyable):
            sink.commit()
    assert not (tmp_path / "out.mp4").exists()
