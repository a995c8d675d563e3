"""The quality of the setting ``quality`` is the same with each preset; measured on a real video."""

import io

import av
import numpy as np
import pytest
from av.container import InputContainer

from app.video.encoder import rate_factor
from app.video.encodings import Preset
from bench.presets import encode as encoded
from bench.presets import measure, read, similarity
from testmedia.fetch import fetch

FRAMES = 40


@pytest.mark.parametrize(("quality", "tolerance"), [(50, 1.0), (90, 0.7), (100, 0.7)])
def test_a_quality_means_the_same_with_each_preset(quality: int, tolerance: float) -> None:
    frames, rate = read(fetch("carphone.mp4"), FRAMES)

    def trial(preset: Preset) -> tuple[float, float, int]:
        factor = rate_factor("libx264", quality, preset)
        found = measure(frames, rate, "libx264", preset, str(factor))
        return found.psnr, found.ssim, found.size

    fast, reference, slow = trial("veryfast"), trial("faster"), trial("medium")
    for other in (fast, slow):
        assert other[0] == pytest.approx(reference[0], abs=tolerance)
        assert other[1] == pytest.approx(reference[1], abs=0.007)
    if quality >= 90:
        assert slow[2] < reference[2] < fast[2], "slower presets are there for smaller files"


def test_the_measure_is_that_of_the_pixels() -> None:
    """The filter compares the right frames: numpy finds the same error."""
    frames, rate = read(fetch("carphone.mp4"), 5)
    _, file = encoded(frames, rate, "libx264", {"preset": "veryfast", "crf": "30"})
    _, exact = encoded(frames, rate, "libx264", {"preset": "veryfast", "qp": "0"})
    assert similarity(frames, exact, "psnr", "lavfi.psnr.mse_avg") == 0
    with av.open(io.BytesIO(file)) as container:
        assert isinstance(container, InputContainer)
        decoded = [frame.to_ndarray() for frame in container.decode(video=0)]
    pairs = zip((frame.to_ndarray() for frame in frames), decoded, strict=True)
    errors = [np.mean((one.astype(float) - other) ** 2) for one, other in pairs]
    measured = similarity(frames, file, "psnr", "lavfi.psnr.mse_avg")
    assert measured == pytest.approx(float(np.mean(errors)), abs=0.05)
