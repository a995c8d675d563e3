"""Videos that are split, rendered piece by piece and joined; shared by the tests of pieces."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from app.pieces import MANIFEST, Manifest, Proposal, join, propose, split
from testmedia.videos import ROTATED, VideoSpec, copy_video

MS = Fraction(1, 1000)
SOUND = [("aac", "deu")]
X264 = {"g": "5", "bf": "3", "x264-params": "scenecut=0"}
X265 = "log-level=none:keyint=5:min-keyint=5:scenecut=0"
VIDEO = VideoSpec(options=X264, sounds=SOUND)
UNEVEN = [0, 100, 700, 701, 2000, *range(3000, 4155, 77)]
WEBM = VideoSpec(codec="libvpx-vp9", base=MS, options={"cpu-used": "8", "g": "5"})
VIDEOS: dict[str, VideoSpec] = {
    "plain.mp4": VIDEO,
    "many-b-frames.mov": replace(VIDEO, count=30, options={**X264, "bf": "8", "g": "10"}),
    "uneven.mp4": replace(VIDEO, pts=UNEVEN),
    "uneven.mkv": replace(VIDEO, pts=UNEVEN, base=MS),
    "late.mp4": replace(VIDEO, base=Fraction(1, 90000), pts=range(12345, 84345, 3600)),
    "edited.mp4": replace(VIDEO, pts=range(-1024, 9216, 512)),
    "ntsc.mp4": replace(VIDEO, rate=Fraction(30000, 1001), base=Fraction(1, 30000)),
    "turned.mp4": replace(VIDEO, matrix=ROTATED[90], aspect=Fraction(4, 3)),
    "ten.mkv": replace(
        VIDEO,
        base=MS,
        format="yuv420p10le",
        colour={"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1},
    ),
    "closed-hevc.mp4": replace(
        VIDEO, codec="libx265", options={"x265-params": f"{X265}:open-gop=0"}
    ),
    "uneven-hevc.mp4": replace(
        VIDEO, codec="libx265", pts=UNEVEN, options={"x265-params": f"{X265}:open-gop=0"}
    ),
    "video.webm": replace(WEBM, sounds=[("libopus", "deu")]),
    "uneven.webm": replace(WEBM, pts=UNEVEN),
    "av1.mp4": replace(VIDEO, codec="libsvtav1", options={"g": "5", "preset": "10"}),
    "uneven-av1.mkv": replace(
        VIDEO, codec="libsvtav1", base=MS, pts=UNEVEN, options={"g": "5", "preset": "10"}
    ),
    "prores.mov": VideoSpec(codec="prores_ks", format="yuv422p10le", sounds=[("pcm_s16le", "deu")]),
    "video.ts": replace(VIDEO, base=Fraction(1, 90000)),
    "video.flv": replace(VIDEO, base=MS),
}


def propose_inside_shots(source: Path, pieces: int) -> Proposal:
    """Propose a split of a video without cuts."""
    return propose(source, pieces=pieces, inside_shots=True)


def render_pieces(manifest: Manifest, pieces: Path, results: Path, **options: int) -> Path:
    """Render every piece into the folder ``results``, and return the folder."""
    results.mkdir()
    for piece in manifest.pieces:
        copy_video(pieces / piece.file, results / piece.file, **options)
    return results


def split_render_join(
    source: Path,
    output: Path,
    *,
    pieces: int = 3,
    render: Callable[[Manifest, Path, Path], Path] = render_pieces,
) -> Manifest:
    """Split, render and join a video; ``output`` is the joined video."""
    folder = output.parent / "pieces"
    manifest = split(propose_inside_shots(source, pieces), folder)
    results = render(manifest, folder, output.parent / "results")
    join(folder / MANIFEST, results, source, output)
    return manifest
