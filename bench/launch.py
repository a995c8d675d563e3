"""Run a command and write the kernel's resource counts: a small process for ``cost.py``.

    python -m bench.launch RESULT.json COMMAND...

On Linux a program's peak memory includes that of the process that started it. Measured commands are
therefore started from here, where memory use is minimal.
"""

import json
import os
import sys
import time
from pathlib import Path


def main() -> int:
    """Run the command of the command line, and return its exit code."""
    result, *command = sys.argv[1:]
    begin = time.perf_counter()
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    counted = {
        "cpu": usage.ru_utime + usage.ru_stime,
        "clock": time.perf_counter() - begin,
        "memory": usage.ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1),
    }
    Path(result).write_text(json.dumps(counted), encoding="utf-8")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
