#!/usr/bin/env python3
"""Stands in for the container of a Processing job: starts, and works until it is stopped."""

import sys
import time
from pathlib import Path

if __name__ == "__main__":
    Path(sys.argv[1], "started").touch()
    time.sleep(600)
