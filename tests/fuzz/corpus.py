"""Small inputs of each reader from which a fuzzer starts, made by code."""

import json
from collections.abc import Callable
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import ImageCms

from app.packs.catalogue import models_folder
from app.pieces.manifest import Piece, SourceFile, make_manifest, write_manifest
from app.plan import Plan, write_plan
from app.plan.records import ModelRecord, ModelsRecord, Person, PlanTrack, SourceRecord
from testmedia.faces import NAMES, seed
from tests.fuzz.readers import BOUNDARY

_SHA256 = "0123456789abcdef" * 4
_OPTIONS = (
    "effect=solid, select=1,20,30;2,20.5,30, blur=listed",
    "margin=0.3&feather=0.1&cells=3;quality=20",
    'application/json; embeddings="1", video/mp4;q=0.5',
    "unclear=keep shape=rectangle copy_untouched=never shots=content sampling=every pad=2",
)
_URIS = ("s3://videos/in/a.mp4", "s3://videos/in/", "s3://a.b-c/k/../x", "s3://b/", "s3:///", "")
_SEI = bytes.fromhex("06 05 11 dc45e9bde6d948b7962cd820d923eeef 20 80".replace(" ", ""))


def seeds(name: str) -> list[bytes]:
    """Return the seeds of a reader of ``READERS``."""
    return _SEEDS[name]()


def _written(write: Callable[[Path], None]) -> bytes:
    with TemporaryDirectory(prefix="face-blur-fuzz-") as name:
        path = Path(name, "file")
        write(path)
        return path.read_bytes()


def _plans() -> list[bytes]:
    boxes = np.array([[3, 1, 2, 30, 40], [4, 1.5, 2, 30.25, 41]], np.float32)
    reason = "matches"
    track = PlanTrack(0, 0, 3, 4, "Ann", 0.61, "blur", uncertain=False, reason=reason, boxes=boxes)
    model = ModelRecord("a.onnx", _SHA256)
    plan = Plan(
        source=SourceRecord(_SHA256, "a.mp4", 8, 64, 48, 0.32),
        settings={"blur": "listed"},
        models=ModelsRecord("open", model, model),
        people=(Person("Ann", 2),),
        shots=((0, 8),),
        tracks=(track,),
    )
    return [_written(lambda path: write_plan(plan, path))]


def _packs() -> list[bytes]:
    return [path.read_bytes() for path in sorted(models_folder().glob("*/*.toml"))]


def _settings() -> list[bytes]:
    return [
        b'effect = "solid"\nmargin = 0.3\nselect = "1,2,3"\n',
        b'copy_untouched = "never"\npad = 2\n',
    ]


def _manifests() -> list[bytes]:
    source = SourceFile(
        name="a.mp4",
        sha256=_SHA256,
        size=99,
        frames=8,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        duration=0.3,
    )
    pieces = [
        Piece(
            file=f"{first}.mp4",
            sha256=_SHA256,
            first=first,
            frames=4,
            first_pts=first,
            last_pts=first + 3,
            duration=0.16,
        )
        for first in (0, 4)
    ]
    manifest = make_manifest(source, pieces)
    return [_written(lambda path: write_manifest(manifest, path))]


def _tickets() -> list[bytes]:
    small = {"input": "s3://videos/in/a.mp4", "output": "s3://videos/out/a.mp4"}
    options = {"effect": "solid", "margin": 0.3, "people": "s3://videos/in/people/"}
    large = {"plan": "s3://videos/out/a.json", "overwrite": True, "options": options}
    return [json.dumps(small).encode(), json.dumps(small | large).encode()]


def _options() -> list[bytes]:
    return [text.encode() for text in _OPTIONS]


def _forms() -> list[bytes]:
    parts = {
        'name="media"; filename="a.png"': seed("face.png").data[:200],
        'name="people"; filename="ann/1.jpg"': b"\xff\xd8\xff",
        'name="people"; filename="bob.jpg"': b"",
        'name="effect"': b"solid",
    }
    lines = [
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + body + b"\r\n"
        for head, body in parts.items()
    ]
    form = b"".join(lines) + f"--{BOUNDARY}--\r\n".encode()
    return [b"\0" + form, b"\xff" + form, b"\0" + lines[0]]


def _stream(name: str) -> tuple[bytes, list[bytes]]:
    """Return the extradata of a seed's video, and its first packets without most of their data."""
    with av.open(BytesIO(seed(name).data), "r") as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return bytes(stream.codec_context.extradata or b""), packets


def _units() -> list[bytes]:
    found = []
    for name in ("clip.mp4", "hevc.mp4", "clip.webm", "clip.ts"):
        extradata, packets = _stream(name)
        head = bytes([4, min(255, len(extradata))]) + extradata[:255]
        found += [head + packet[:200] for packet in packets[:2]]
    return found


def _access_units() -> list[bytes]:
    extradata, packets = _stream("clip.mp4")
    small = packets[-1]
    sei = len(_SEI).to_bytes(4) + _SEI
    return [
        bytes([len(extradata)]) + extradata + packet
        for packet in (small[:400], sei + small[:400], packets[0][:900])
    ]


def _headers() -> list[bytes]:
    whole = [seed(name).data for name in NAMES]
    return [*(data for data in whole if len(data) < 20_000), *(data[:4000] for data in whole)]


def _uris() -> list[bytes]:
    return [text.encode() for text in _URIS]


def _fonts() -> list[bytes]:
    # Only these seeds need the library that makes fonts.
    from tests.video.test_fonts import font

    return [font(), font(collection=True)]


def _profiles() -> list[bytes]:
    return [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()]


def _subtitles() -> list[bytes]:
    header = (
        b"[Script Info]\nTitle: x\n[V4+ Styles]\nFormat: Name, Fontsize\nStyle: a,20\n[Fonts]\nx"
    )
    events = (b"0,0,a,,0,0,0,,Hello", b"0,0,a,,0,0,0,,{\\p1}m 0 0 l 9 9", b"x")
    return [bytes([len(header)]) + header + event for event in events]


def _vorbis() -> list[bytes]:
    first = b"\x01vorbis" + bytes(22) + b"\x01"
    comment, setup = b"\x03vorbis" + bytes(8) + b"\x01", b"\x05vorbis" + bytes(40)
    laced = bytes([2, len(first), len(comment)]) + first + comment + setup
    lengths = b"".join(len(one).to_bytes(2, "big") + one for one in (first, comment, setup))
    return [laced, lengths]


def _flac() -> list[bytes]:
    return [bytes(range(34)), bytes(60)]


def _metadata() -> list[bytes]:
    texts = ("A title", "+59.91+010.75/", "QUJD" * 40, "name\x00" + "f" * 300)
    return [*(text.encode() for text in texts), b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(40)]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "plan": _plans,
    "pack": _packs,
    "settings": _settings,
    "manifest": _manifests,
    "ticket": _tickets,
    "options": _options,
    "form": _forms,
    "units": _units,
    "access_unit": _access_units,
    "header": _headers,
    "uri": _uris,
    "font": _fonts,
    "profile": _profiles,
    "vorbis": _vorbis,
    "flac": _flac,
    "subtitle": _subtitles,
    "metadata": _metadata,
}
