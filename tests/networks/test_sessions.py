"""Sessions: telemetry, CPUs, devices, and errors of the runtime."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import DeviceError, ModelError
from app.networks import Runtime, open_session, prefers_int8
from app.packs.catalogue import load_pack, models_folder

MODEL = models_folder() / "open/centerface-int8.onnx"


def test_telemetry_is_off_before_the_runtime_is_imported() -> None:
    program = f"""
import os, sys
import app.faces
from pathlib import Path
assert "onnxruntime" not in sys.modules, "importing app.faces must not import it"
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("telemetry disabled:", os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Spy())
from app.networks import open_session
open_session(Path({str(MODEL)!r}))
"""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment["PYTHONPATH"] = str(models_folder().parent)
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout == "telemetry disabled: 1\n", done.stderr


def _file(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flags\t\t: fpu sse avx2 avx512_vnni\n", True),
        ("flags\t\t: fpu avx_vnni\nbugs\t\t:\n", True),
        ("Features\t: fp asimd asimddp\n", True),
        ("flags\t\t: fpu sse avx2 avx512f\n", False),
        ("Features\t: fp asimd\n", False),
        ("", False),
    ],
)
def test_cpus_with_dot_products(tmp_path: Path, text: str, *, expected: bool) -> None:
    _file(tmp_path, "proc/cpuinfo", text)
    assert prefers_int8(tmp_path) is expected


def test_file_that_is_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "damaged.onnx"
    path.write_bytes(b"damaged")
    for model in (path, b"damaged", tmp_path / "absent.onnx"):
        with pytest.raises(ModelError, match="cannot load") as caught:
            open_session(model)
        assert "\n" not in str(caught.value)


def test_missing_gpu_is_an_error() -> None:
    with pytest.raises(DeviceError, match="GPU was requested"):
        open_session(load_pack("open").path("centerface.onnx"), runtime=Runtime(device="cuda"))


def test_auto_uses_the_cpu_if_there_is_no_gpu() -> None:
    session = open_session(
        load_pack("open").path("centerface.onnx"), runtime=Runtime(device="auto")
    )
    assert session.get_providers() == ["CPUExecutionProvider"]
