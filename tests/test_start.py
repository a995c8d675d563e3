"""The start of the command: what it sets before the libraries are loaded."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "threads"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_numpy_multiplies_in_one_thread_unless_the_user_says_more(
    given: dict[str, str], threads: str
) -> None:
    code = """
import os, sys, atexit
import app.cli
assert "numpy" not in sys.modules, "it has chosen its threads already"
def main():
    import numpy
    numpy.ones((500, 500)) @ numpy.ones((500, 500))
    print(os.environ["OPENBLAS_NUM_THREADS"], len(os.listdir("/proc/self/task")), flush=True)
    return 0
app.cli.main = main
app.cli.process()
"""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"} | given
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    cores = len(os.sched_getaffinity(0))
    assert done.stdout.split() == [threads, str(min(int(threads), cores))], done.stderr
