"""Another tool to measure against: ``deface``, in an environment of its own.

It hides every face with CenterFace, as Face blur does by default when nobody is listed.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from app.packs.archives import cache_folder

LOCK = Path(__file__).resolve().parent / "requirements-deface.txt"


def deface() -> Path:
    """The command, installed from its lock into the cache where it is not there yet.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    version = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = cache_folder() / f"deface-{sys.version_info.major}{sys.version_info.minor}-{version}"
    command = folder / "bin" / "deface"
    done = folder / "ready"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        install += ["--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
        subprocess.run(install, check=True)
        done.touch()
    return command


def hide(source: Path, output: Path) -> list[str]:
    """The command line that hides every face with the tool's own defaults, keeping the sound."""
    return [str(deface()), str(source), "--output", str(output), "--keep-audio"]
