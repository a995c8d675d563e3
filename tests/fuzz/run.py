"""Fuzz our own readers, guided by the branches that their code takes.

    python -m tests.fuzz.run [--seconds 60] [READER ...]

Each reader runs in a process of its own. Inputs that take new branches are kept in ``.fuzz`` for
the next run; so is an input that is a finding, whose name is printed. A finding becomes a line of
``tests/fuzz/findings.py``, so that it is tried in every run of the tests.

This needs the package ``atheris``, which ``make fuzz`` installs beside the others.
"""

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".fuzz"
_MEMORY_FOLDER = Path("/dev/shm")
"""For temporary files, where it exists: removing folders from a disk may take longer than reading.
"""
_SECONDS_EACH = 5
"""Longest time for one input: a slow reader is a finding, too."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz the readers one after the other; return 1 if there is a finding."""
    parser = argparse.ArgumentParser(description="Fuzz our own readers.")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (%(default)s)")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("readers", nargs="*", metavar="READER", help="default: all readers")
    arguments = parser.parse_args(argv)
    if arguments.only:
        _fuzz(arguments.only, arguments.seconds)
    from tests.fuzz.readers import READERS

    if unknown := sorted(set(arguments.readers) - READERS.keys()):
        parser.error(f"unknown reader {unknown[0]}; choose from {', '.join(READERS)}")
    names = arguments.readers or list(READERS)
    failed = [name for name in names if not _run(name, arguments.seconds)]
    print(f"fuzz: {len(names)} readers, findings in: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def _run(name: str, seconds: int) -> bool:
    """Fuzz one reader in a process of its own; return whether there is no finding."""
    from tests.fuzz.corpus import seeds

    folder = KEPT / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(seed)
    command = [sys.executable, "-m", "tests.fuzz.run", "--only", name, f"--seconds={seconds}"]
    print(f"fuzz: {name}", flush=True)
    spool = {"TMPDIR": str(_MEMORY_FOLDER)} if _MEMORY_FOLDER.is_dir() else {}
    return subprocess.run(command, cwd=ROOT, env=os.environ | spool, check=False).returncode == 0


def _fuzz(name: str, seconds: int) -> None:
    """Fuzz one reader in this process, and end it."""
    # Not in the environment of the tests.
    atheris: Any = importlib.import_module("atheris")

    with atheris.instrument_imports(include=["app"]):
        from tests.fuzz.readers import READERS, attempt

    reader = READERS[name]
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={_SECONDS_EACH}",
        f"-rss_limit_mb={reader.memory}",
        f"-max_len={reader.most}",
        f"-artifact_prefix={KEPT / name}-",
        "-verbosity=1",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(KEPT / name)], lambda data: attempt(reader, data))
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
