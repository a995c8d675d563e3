"""ONNX Runtime sessions: quiet, bounded, without telemetry, and on the requested device."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from app.control_groups import kernel_text
from app.errors import DeviceError, ModelError
from app.machine import available_cpus

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
CUDA = "CUDAExecutionProvider"
GPU_BYTES = 2 << 30
"""Limit of the GPU memory of one session, so that several workers can share a GPU."""
_CUDA_OPTIONS = {
    "gpu_mem_limit": str(GPU_BYTES),
    "arena_extend_strategy": "kSameAsRequested",
    # Inputs have many sizes: an exhaustive search for each takes longer than it saves.
    "cudnn_conv_algo_search": "HEURISTIC",
}

_SYSTEM = Path("/")


def prefers_int8(root: Path = _SYSTEM) -> bool:
    """Whether this CPU has instructions for 8-bit dot products.

    Without them 8-bit networks are slower and overflow. They are VNNI (AVX-512 or AVX) on x86, and
    ``asimddp`` on ARM.
    """
    text = kernel_text(root / "proc/cpuinfo")
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return bool({"avx512_vnni", "avx_vnni", "asimddp"} & set(" ".join(lines[:1]).split()))


@dataclass(frozen=True, slots=True)
class Runtime:
    """The device and the threads of networks.

    Attributes:
        threads: the maximum number of threads; None: ``available_cpus()``.
        device: ``auto`` uses a GPU if there is one that works.
    """

    threads: int | None = None
    device: Device = "cpu"


CPU = Runtime()
"""The CPUs that this process may use."""


def open_session(model: Path | bytes, runtime: Runtime = CPU) -> "onnxruntime.InferenceSession":
    """Open a session for an ONNX file.

    Args:
        model: the path or the bytes of an ONNX file.
        runtime: the device and the threads.

    Raises:
        ModelError: ONNX Runtime cannot load the model.
        DeviceError: ``cuda`` was requested, but no GPU can be used.
    """
    # From version 1.29 on, ONNX Runtime sends telemetry unless this is set before it is imported.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.threads or available_cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # By default, waiting threads spin, which wastes CPU time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Inputs have many sizes. All of them reuse the arena (without it each run takes a third longer,
    # for fresh pages), but a memory pattern would be planned and kept for every size.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    source = model if isinstance(model, bytes) else str(model)
    device = runtime.device
    if device == "cuda" or (device == "auto" and _has_gpu(onnxruntime.get_available_providers())):
        try:
            return _open_on_gpu(source, options)
        except DeviceError:
            if device == "cuda":
                raise
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        name = "the model" if isinstance(model, bytes) else str(model)
        reason = str(error).splitlines()[0]
        raise ModelError(f"{name}: ONNX Runtime cannot load it: {reason}") from error


def _has_gpu(providers: Sequence[str], root: Path = _SYSTEM) -> bool:
    """Whether there is a GPU with its driver, and an ONNX Runtime that supports GPUs."""
    return CUDA in providers and (root / "dev/nvidiactl").exists()


def _open_on_gpu(
    source: bytes | str, options: "onnxruntime.SessionOptions"
) -> "onnxruntime.InferenceSession":
    """Open a session on the GPU, without the fallback to the CPU.

    Raises:
        DeviceError: no GPU can be used.
    """
    import onnxruntime

    if CUDA not in onnxruntime.get_available_providers():
        raise DeviceError(
            "a GPU was requested, but onnxruntime-gpu is not installed; install it or use the CPU"
        )
    onnxruntime.preload_dlls()
    try:
        # With its fallback, ONNX Runtime would print a page of text and continue on the CPU.
        session = onnxruntime.InferenceSession(
            source,
            options,
            providers=[(CUDA, _CUDA_OPTIONS), "CPUExecutionProvider"],
            enable_fallback=0,
        )
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        raise DeviceError(f"a GPU was requested, but cannot be used: {reason}") from error
    if CUDA not in session.get_providers():
        raise DeviceError(
            "a GPU was requested, but cannot be used; check its driver or use the CPU"
        )
    return session


def is_on_gpu(session: "onnxruntime.InferenceSession") -> bool:
    """Whether a session runs on a GPU."""
    return CUDA in session.get_providers()
