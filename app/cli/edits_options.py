"""The options of ``face-blur edits``; the parser needs them before the libraries are loaded."""

from pathlib import Path
from typing import Any


def add_edits(commands: Any) -> None:
    """Add the command ``edits``; ``commands`` are the subparsers of the parser."""
    parser = commands.add_parser(
        "edits",
        help="list the edits of a plan, take them back, check them, or take over those of a plan",
        description="List the edits of a plan and the open doubts. The edits are in a journal"
        " beside the plan, PLAN.edits.jsonl.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", type=Path, metavar="PLAN", help="plan written by analyse")
    parser.add_argument(
        "--edits", type=Path, metavar="FILE", help="edits of the plan, if they are elsewhere"
    )
    _add_actions(parser.add_mutually_exclusive_group())
    parser.add_argument(
        "--reviewer",
        metavar="NAME",
        help="who makes the change (default: the name of the user on this machine)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="show no warnings")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")


def _add_actions(actions: Any) -> None:
    actions.add_argument("--undo", action="store_true", help="take back the last edit in effect")
    actions.add_argument("--redo", action="store_true", help="make the edit again")
    actions.add_argument(
        "--check", action="store_true", help="only check that no line was changed or is missing"
    )
    actions.add_argument(
        "--export", type=Path, metavar="FILE", help="write the edited plan as a plan of its own"
    )
    actions.add_argument(
        "--from",
        dest="old_plan",
        type=Path,
        metavar="PLAN",
        help="take over the edits of an older plan of the same video, and list the others",
    )
