"""The devices that networks and encoders really use, for the log, the reports and the doctor."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import av.logging

from app.config import Settings
from app.networks import CUDA, Device, Runtime, open_session
from app.video.encodings import Encoding, can_encode

SOFTWARE = "software"
_CPU = "cpu"
_NO_NVENC = (
    "No capable devices found",
    "unsupported device",
    "does not support the required nvenc API version",
    "minimum required Nvidia driver",
    "Cannot load libnvidia-encode.so",
    "Cannot load libcuda.so",
)
"""What FFmpeg says if a machine has no NVENC: the GPU has no encoder, as A100, H100 and H200, or
the driver is missing, or older than the encoder needs."""
_QUERY = ("--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits")
_QUERY_SECONDS = 20.0
"""Time for nvidia-smi: with a driver that is not loaded it starts one, which takes seconds."""
_MODEL = bytes.fromhex(
    "08073a330a0c0a0178120179220452656c751201705a0f0a0178120a0a080801"
    "12040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)
"""The smallest ONNX file: y = Relu(x) for one number. It shows which provider a session gets."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: its name, the version of its driver, and its memory in bytes."""

    name: str
    driver: str
    memory: int


def find_gpus(program: str = "nvidia-smi") -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs as the program of the driver lists them; empty without it."""
    try:
        asked = subprocess.run(  # noqa: S603 - the driver's program, with constant options
            [program, *_QUERY], capture_output=True, text=True, check=True, timeout=_QUERY_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = (line.split(", ") for line in asked.stdout.splitlines())
    return tuple(_gpu(*row) for row in rows if len(row) == 3)


def _gpu(name: str, driver: str, mebibytes: str) -> Gpu:
    # A GPU in parts, or one that shares the memory of the CPU, has none of its own to list.
    memory = int(mebibytes) << 20 if mebibytes.isdigit() else 0
    return Gpu(name, driver, memory)


def provider_of(device: Device) -> str:
    """Return the provider of ONNX Runtime that a session on ``device`` gets.

    Raises:
        DeviceError: ``cuda`` was requested, but no GPU can be used.
    """
    session = open_session(_MODEL, Runtime(threads=1, device=device))
    return str(session.get_providers()[0])


def nvenc_fault(encoder: str = "h264_nvenc") -> str:
    """Return why an encoder of a GPU cannot be opened, in the words of FFmpeg; empty if it can."""
    with _all_errors(), av.logging.Capture() as said:
        works = can_encode(Encoding(encoder, "yuv420p"))
    lines = dict.fromkeys(" ".join(text.split()) for _, _, text in said)
    return "" if works else "; ".join(lines) or "it cannot be opened"


@contextmanager
def _all_errors() -> Iterator[None]:
    """Let PyAV log each error, also if it repeats the one before it."""
    level, skips = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)
    try:
        yield
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skips)


def lacks_nvenc(fault: str) -> bool:
    """Whether a fault says that the machine has no NVENC for this program, and so is no bug.

    >>> lacks_nvenc("OpenEncodeSessionEx failed: unsupported device (2): (no details)")
    True
    >>> lacks_nvenc("InitializeEncoder failed: invalid param (8)"), lacks_nvenc("")
    (False, False)
    """
    return any(words in fault for words in _NO_NVENC)


def device_facts(settings: Settings) -> dict[str, Any]:
    """Return what a run with these settings uses.

    Returns:
        ``device``, the name of the GPU, or ``cpu``; ``provider`` of ONNX Runtime; ``driver``, its
        version or None; ``encoder``, ``nvenc`` or ``software``, and ``encoder_fault``, the reason
        if NVENC was asked for and does not work.

    Raises:
        DeviceError: a GPU was requested, but cannot be used.
    """
    provider = provider_of(settings.device)
    gpu = next(iter(find_gpus()), None)
    on_gpu = provider == CUDA
    fault = "" if settings.encoder == SOFTWARE else nvenc_fault()
    uses_nvenc = settings.encoder != SOFTWARE and not fault
    facts = {
        "device": (gpu.name if gpu else "gpu") if on_gpu else _CPU,
        "provider": provider,
        "driver": gpu.driver if gpu else None,
        "encoder": "nvenc" if uses_nvenc else SOFTWARE,
    }
    return facts | ({"encoder_fault": fault} if fault else {})
