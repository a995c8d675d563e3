"""``face-blur completion``: print the script that lets a shell complete commands and options."""

import argparse
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SHELLS = ("bash", "zsh", "tcsh")
"""Shells for which the library writes a script."""
_FOLDER = "DIR"
"""The placeholder of options that take a folder."""
_FILES = frozenset({"FILE", "OUT", "PLAN"})
"""Placeholders of options that take a file, whatever turns their text into a path."""


def add_completion(commands: Any) -> None:
    """Add the command ``completion``; ``commands`` are the subparsers of the parser."""
    parser = commands.add_parser(
        "completion",
        help="print the completion of commands, options and files for a shell",
        description="Print a script that completes commands, options and files in a shell. For"
        " bash: face-blur completion bash > ~/.local/share/bash-completion/completions/face-blur."
        " For zsh: save it as _face-blur in a folder of $fpath. For tcsh: save it, and source it"
        " in ~/.tcshrc.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell that will read the script")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")
    parser.set_defaults(run=print_completion)


def print_completion(args: Namespace) -> None:
    """Print the script for the shell ``args.shell``."""
    import shtab

    from app.cli.parser import make_parser

    parser = make_parser()
    for action in _actions(parser):
        if action.metavar == _FOLDER:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.type is Path or action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the options and places of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
