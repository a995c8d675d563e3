#!/usr/bin/env python3
"""Stands in for docker: records its arguments, and serves as a container would."""

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path(sys.argv[0]).parent


def main() -> None:
    told = {"arguments": sys.argv[1:], "environment": dict(os.environ)}
    with (HERE / "asked").open("a") as file:
        file.write(json.dumps(told) + "\n")
    verb, name = sys.argv[1], sys.argv[-1]
    if verb == "run":
        name = sys.argv[sys.argv.index("--name") + 1]
        port = sys.argv[sys.argv.index("--publish") + 1].split(":")[1]
        (HERE / name).write_text(str(os.getpid()))
        os.environ["SAGEMAKER_BIND_TO_PORT"] = port
        wayward = os.environ["WAYWARD"]
        os.execv(sys.executable, [sys.executable, wayward, "good", str(HERE)])
    if verb == "stop":
        os.kill(int((HERE / name).read_text()), signal.SIGTERM)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
