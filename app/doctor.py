"""What a process has to work with: user, folders, CPUs, memory, devices, encoders, weights."""

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from av.codec import codecs_available

from app.config import ServiceSettings, Settings
from app.devices import device_facts, find_gpus, nvenc_fault
from app.errors import FaceBlurError
from app.networks import prefers_int8
from app.packs.catalogue import find_packs, load_pack
from app.packs.fetch import State, state
from app.temporary import place_facts
from app.version import VERSION
from app.video.encodings import NVENC
from app.workers import Shares

_PACKAGES = (
    *("av", "numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless"),
    *("pillow", "pi-heif", "flask", "gunicorn", "boto3"),
)
"""Packages whose versions matter for a report of a fault."""


def examine(spool: Path | None = None, people: str | None = None) -> dict[str, Any]:
    """Return all facts, JSON-ready. Nothing is changed, and nothing is asked of the network.

    Settings come from the environment of the process; ``people`` is the place of the photos if it
    is not there. What keeps Face blur from working is listed in ``faults``.

    Raises:
        ConfigError: a setting in the environment is wrong.
    """
    given = {} if people is None else {"people": Path(people)}
    settings, service = Settings.load(**given), ServiceSettings.load()
    facts: dict[str, Any] = {
        "version": VERSION,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": _packages(),
        **place_facts(spool or service.spool or Path(tempfile.gettempdir())),
        "dot_products_of_8_bits": prefers_int8(),
        "workers": Shares.of_machine(service.workers).workers,
        "gpus": [{"name": g.name, "driver": g.driver, "memory": g.memory} for g in find_gpus()],
        "providers": _providers(),
        "encoders": _encoders(),
    }
    faults: list[str] = []
    facts["packs"] = _packs(settings.models_root, faults)
    facts["uses"] = _uses(settings, faults)
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
    """Say of each encoder whether it is there: those of software, and those of GPUs by trying.

    Software encoders are not opened: some write to stderr, or take the highest priority.
    """
    software = {name: "works" if name in codecs_available else "missing" for name in NVENC}
    return software | {name: nvenc_fault(name) or "works" for name in NVENC.values()}


def _packs(root: Path | None, faults: list[str]) -> dict[str, str]:
    states = {}
    for name in find_packs(root):
        try:
            states[name] = state(load_pack(name, root)).value
        except FaceBlurError as error:
            states[name] = str(error)
            faults.append(str(error))
    if State.READY.value not in states.values():
        faults.append("no weights are installed; fetch some with: face-blur models fetch")
    return states


def _uses(settings: Settings, faults: list[str]) -> dict[str, Any]:
    """Return what a run with these settings uses."""
    try:
        return device_facts(settings)
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
