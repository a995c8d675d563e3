"""``face-blur doctor``: say what this machine has for Face blur."""

import json
from argparse import Namespace
from typing import Any

from app.doctor import as_text, examine
from app.errors import ModelError


def add_doctor(commands: Any) -> None:
    """Add the command ``doctor``; ``commands`` are the subparsers of the parser."""
    parser = commands.add_parser(
        "doctor",
        help="say what this machine has: user, CPUs, memory, GPU, encoders, weights",
        description="Print versions, user, folder for temporary files, CPUs, memory, GPUs with"
        " their driver, providers of ONNX Runtime, encoders and weights. Nothing is changed or"
        " sent. The exit code is 1 if Face blur cannot work here.",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    parser.set_defaults(run=show)


def show(args: Namespace) -> None:
    """Print the facts.

    Raises:
        ModelError: Face blur cannot work here; the facts have been printed.
    """
    facts = examine()
    print(json.dumps(facts, indent=1, ensure_ascii=False) if args.json else as_text(facts))
    if facts["faults"]:
        raise ModelError("; ".join(facts["faults"]))
