"""What a process has to work with: user, folders, CPUs, memory, devices, encoders, weights."""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from app.config import ENV_PREFIX, Settings
from app.devices import device_facts, find_gpus, nvenc_fault
from app.errors import FaceBlurError
from app.isolation.limits import default_memory
from app.networks import available_cpus, prefers_int8
from app.packs.catalogue import find_packs, load_pack
from app.packs.fetch import state
from app.version import VERSION
from app.video.encodings import NVENC, Encoding, can_encode

_PACKAGES = (
    *("av", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless"),
    *("pillow", "pi-heif", "flask", "gunicorn", "boto3"),
)
"""Packages whose versions matter for a report of a fault."""
_FORMAT = "yuv420p"


def place_facts(folder: Path) -> dict[str, Any]:
    """Return facts about the process and a folder that it writes to.

    Returns:
        ``uid``, the user; ``spool``, the folder; ``free_bytes``, the space there.
    """
    return {
        "uid": os.getuid(),
        "spool": str(folder),
        "free_bytes": shutil.disk_usage(folder).free,
    }


def examine(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return all facts, JSON-ready. Nothing is changed, and nothing is asked of the network.

    A part that cannot be examined has its error instead of its facts, and is listed in ``faults``.
    """
    facts: dict[str, Any] = {
        "version": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": _packages(),
        **place_facts(Path(environment.get(f"{ENV_PREFIX}SPOOL") or tempfile.gettempdir())),
        "cpus": available_cpus(),
        "dot_products_of_8_bits": prefers_int8(),
        "memory_bytes": default_memory(),
        "gpus": [{"name": g.name, "driver": g.driver, "memory": g.memory} for g in find_gpus()],
        "providers": _providers(),
        "encoders": _encoders(),
    }
    faults: list[str] = []
    facts["packs"] = _packs(faults)
    facts["uses"] = _uses(faults)
    return facts | {"faults": faults}


def _packages() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # not in this installation
            continue
    return found


def _providers() -> list[str]:
    # As in app.networks: set before the import, which would send telemetry otherwise.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # type: ignore[import-untyped]

    return list(onnxruntime.get_available_providers())


def _encoders() -> dict[str, str]:
    """Return ``works`` or the fault of each encoder, in software and on GPUs."""
    software = {
        name: "works" if can_encode(Encoding(name, _FORMAT)) else "cannot be opened"
        for name in NVENC
    }
    return software | {name: nvenc_fault(name) or "works" for name in NVENC.values()}


def _packs(faults: list[str]) -> dict[str, str]:
    states = {}
    for name in find_packs():
        try:
            states[name] = state(load_pack(name)).value
        except FaceBlurError as error:
            states[name] = str(error)
            faults.append(str(error))
    if "ready" not in states.values():
        faults.append("no weights are installed; fetch some with: face-blur models fetch")
    return states


def _uses(faults: list[str]) -> dict[str, Any]:
    """Return what a run with the settings of the environment uses."""
    try:
        return device_facts(Settings.load())
    except FaceBlurError as error:
        faults.append(str(error))
        return {"error": str(error)}


def as_text(facts: Mapping[str, Any]) -> str:
    """Format the facts as lines for people."""
    return "\n".join(f"{name.replace('_', ' ')}: {_words(value)}" for name, value in facts.items())


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_words(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(_words(one) for one in value) or "none"
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)
