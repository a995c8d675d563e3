"""What this process has to work with: its user, its folder for temporary files, its devices."""

import os
import shutil
from pathlib import Path
from typing import Any


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
