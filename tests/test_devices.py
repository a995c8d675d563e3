"""The devices that a run really uses are named, and a machine without NVENC is told from a bug."""

import stat
import subprocess
import sys
from pathlib import Path

import av.logging
import pytest

from app.config import Settings
from app.devices import Gpu, device_facts, find_gpus, lacks_nvenc, nvenc_fault, provider_of
from tests.gpu.gpu_memory import GpuMemory

ROOT = Path(__file__).parents[1]
HAS_GPU = Path("/dev/nvidiactl").exists()


def program(folder: Path, text: str) -> str:
    """A stand-in for nvidia-smi that prints a text."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!{sys.executable}\nprint({text!r}, end='')\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_gpus_are_read_from_the_program_of_the_driver(tmp_path: Path) -> None:
    listed = program(tmp_path, "Tesla T4, 535.216.01, 15360\nNVIDIA GB10, 580.95, [N/A]\n")
    assert find_gpus(listed) == (
        Gpu("Tesla T4", "535.216.01", 15360 << 20),
        Gpu("NVIDIA GB10", "580.95", 0),
    )


@pytest.mark.parametrize("text", ["", "No devices were found\n"])
def test_without_a_gpu_there_is_none(tmp_path: Path, text: str) -> None:
    assert find_gpus(program(tmp_path, text)) == ()
    assert find_gpus(str(tmp_path / "missing")) == ()


@pytest.mark.skipif(HAS_GPU, reason="has a GPU")
def test_without_a_gpu_the_facts_say_cpu_and_why_there_is_no_encoder() -> None:
    assert provider_of("auto") == "CPUExecutionProvider"
    facts = device_facts(Settings(encoder="auto"))
    fault = facts.pop("encoder_fault")
    assert facts == {
        "device": "cpu",
        "provider": "CPUExecutionProvider",
        "driver": None,
        "encoder": "software",
    }
    # FFmpeg's words, not ours: it looks for the library of the driver.
    assert "libcuda" in fault
    assert lacks_nvenc(fault)
    assert "encoder_fault" not in device_facts(Settings())


def test_asking_for_the_reason_leaves_the_settings_of_the_log() -> None:
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    nvenc_fault()
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before


def test_the_reason_is_the_same_each_time() -> None:
    assert len({nvenc_fault() for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1",
        "The minimum required Nvidia driver for nvenc is 570.0 or newer",
        "OpenEncodeSessionEx failed: unsupported device (2): (no details)",
        "No capable devices found",
    ],
)
def test_old_drivers_and_gpus_without_an_encoder_are_no_bug(fault: str) -> None:
    assert lacks_nvenc(fault)


def test_the_check_of_a_gpu_tries_the_encoder_last() -> None:
    """A GPU without NVENC, such as H100, must not keep the networks from being tested."""
    told = subprocess.run(
        ["make", "-n", "--always-make", "gpu-check"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    steps = [told.index(one) for one in ("tests/gpu/test_gpu.py", "bench.gpu", "test_nvenc.py")]
    assert steps == sorted(steps)


def driver(folder: Path, processes: str, used: int) -> str:
    """A stand-in for nvidia-smi that answers both questions about memory."""
    path = folder / f"nvidia-smi-{used}"
    answer = f"print({processes!r} if 'compute-apps' in sys.argv[1] else '{used}')"
    path.write_text(f"#!{sys.executable}\nimport sys\n{answer}\n")
    path.chmod(0o755)
    return str(path)


def test_the_gpu_memory_of_a_process_is_seen_in_a_container_too(tmp_path: Path) -> None:
    before = GpuMemory.read(driver(tmp_path, "900, 500", 500))
    after = GpuMemory.read(driver(tmp_path, "900, 500\n1234, 700", 1200))
    assert after.used_since(before, process=1234) == 700 << 20
    # The driver lists ids of the host: this process has another one in its container.
    assert after.used_since(before, process=7) == 700 << 20
    hidden = GpuMemory.read(driver(tmp_path, "", 1300))
    assert hidden.used_since(before, process=7) == 800 << 20
