"""ONNX Runtime: quiet, bounded, without telemetry, and on the device that was asked for."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from app.errors import DeviceError, ModelError

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
CUDA = "CUDAExecutionProvider"
GPU_BYTES = 2 << 30
"""Memory of the GPU that a session takes at most, so that several workers share one."""
_CUDA_OPTIONS = {
    "gpu_mem_limit": str(GPU_BYTES),
    "arena_extend_strategy": "kSameAsRequested",
    # Inputs come in many sizes; an exhaustive search for each would take longer than it saves.
    "cudnn_conv_algo_search": "HEURISTIC",
}

_SYSTEM = Path("/")


def available_cpus(root: Path = _SYSTEM) -> int:
    """How many CPUs this process may really use: its affinity, and the quota of its container.

    Args:
        root: of the file system; ``/proc`` and ``/sys`` below it tell the quota.

    Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (``cpu.max``) and
    https://docs.kernel.org/scheduler/sched-bwc.html (``cpu.cfs_quota_us``).
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    quotas = [quota for quota in (_quota_v2(root), _quota_v1(root)) if quota is not None]
    # a share of a CPU still is a thread
    return max(1, min([count, *(int(quota) for quota in quotas)]))


def _quota_v2(root: Path) -> float | None:
    """The smallest ``cpu.max`` from this process's group up to the root of the hierarchy."""
    base = root / "sys/fs/cgroup"
    group = re.search(r"^0::/(.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    folder = base / (group.group(1).strip() if group else "")
    folders = [folder, *(path for path in folder.parents if path.is_relative_to(base))]
    limits = [_text(path / "cpu.max").split() for path in folders]
    shares = [int(a) / int(b) for a, b in (pair for pair in limits if len(pair) == 2) if a != "max"]
    return min(shares, default=None)


def _quota_v1(root: Path) -> float | None:
    for name in ("cpu", "cpu,cpuacct"):
        folder = root / "sys/fs/cgroup" / name
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.strip() and period.strip() and int(quota) > 0:
            return int(quota) / int(period)
    return None


def _text(path: Path) -> str:
    """The text of a file of the kernel; empty where this kernel has no such file."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def prefers_int8(root: Path = _SYSTEM) -> bool:
    """Whether this CPU has 8-bit dot products, without which 8-bit files are slower, and overflow.

    Those are VNNI (AVX-512 or AVX) on x86 and ``asimddp`` on ARM.
    """
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    return bool({"avx512_vnni", "avx_vnni", "asimddp"} & set(" ".join(lines[:1]).split()))


def open_session(
    model: Path | bytes, threads: int | None = None, device: Device = "cpu"
) -> "onnxruntime.InferenceSession":
    """A session over a file or the bytes of one.

    Args:
        model: an ONNX file, or what is in one.
        threads: at most; default ``available_cpus()``.
        device: ``auto`` takes a GPU where there is one that works.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        DeviceError: a GPU was asked for and cannot be used.
    """
    # ONNX Runtime sends telemetry from 1.29 on, unless told so before it is loaded
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # waiting threads would spin: CPU time that nobody gets anything for
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # inputs come in many sizes. The arena is reused by all of them (without it each run pays a
    # third more for fresh pages); a pattern would be planned and kept for every size.
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    source = model if isinstance(model, bytes) else str(model)
    if device == "cuda" or (device == "auto" and _has_gpu(onnxruntime.get_available_providers())):
        try:
            return _on_gpu(source, options)
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
    """Whether there is a GPU with its driver, and an ONNX Runtime that can use one."""
    return CUDA in providers and (root / "dev/nvidiactl").exists()


def _on_gpu(
    source: bytes | str, options: "onnxruntime.SessionOptions"
) -> "onnxruntime.InferenceSession":
    """A session that surely runs on the GPU.

    Raises:
        DeviceError: it cannot.
    """
    import onnxruntime  # noqa: PLC0415 - see open_session

    if CUDA not in onnxruntime.get_available_providers():
        raise DeviceError("a GPU was asked for, but onnxruntime-gpu is not installed; use the CPU")
    onnxruntime.preload_dlls()
    try:
        # without its fallback: ONNX Runtime would print a page and go on with the CPU
        session = onnxruntime.InferenceSession(
            source,
            options,
            providers=[(CUDA, _CUDA_OPTIONS), "CPUExecutionProvider"],
            enable_fallback=0,
        )
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        raise DeviceError(f"a GPU was asked for, but cannot be used: {reason}") from error
    if CUDA not in session.get_providers():
        raise DeviceError("a GPU was asked for, but cannot be used; see its driver, or use the CPU")
    return session


def on_gpu(session: "onnxruntime.InferenceSession") -> bool:
    """Whether a session runs on a GPU."""
    return CUDA in session.get_providers()
