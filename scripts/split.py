"""Cuts one long film into pieces that many machines can work on, without encoding it.

    python -m scripts.split VIDEO -o FOLDER [--seconds 60 | --pieces N] [--inside-shots] [--dry-run]

The pieces hold the video alone; scripts/join.py puts the results together and takes the sound from
the film itself. docs/long-videos.md tells how.
"""

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from app.errors import FaceBlurError, Interrupted, UsageError
from app.pieces import Proposal, propose, split

_SECONDS = Fraction(60)


def make_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        description="Cut a film into pieces, without encoding it.", allow_abbrev=False
    )
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--seconds", help="length of a piece, about (default: 60)")
    size.add_argument("--pieces", type=int, metavar="N", help="number of pieces, at most")
    parser.add_argument(
        "--inside-shots",
        action="store_true",
        help="cut at other key frames too, where no cut is near: faces may be missed beside them",
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing; say where to cut")
    return parser


def run(args: argparse.Namespace) -> None:
    """Split, or say how.

    Raises:
        FaceBlurError: nothing has been written then.
    """
    seconds = _seconds(args.seconds) if args.pieces is None else None
    proposal = propose(
        args.video, seconds=seconds, pieces=args.pieces, inside_shots=args.inside_shots
    )
    for line in lines(proposal):
        print(line)
    if not args.dry_run:
        split(proposal, args.output)
        print(f"{args.output}: {len(proposal.firsts)} pieces and their manifest")


def lines(proposal: Proposal) -> list[str]:
    """What the pieces are, one line each, and what is notable about the film."""
    cuts = [None, *(border.is_cut for border in proposal.borders)]
    how = {None: "", True: "at a cut", False: "inside a shot"}
    told = [
        f"{proposal.name(n)}  frame {first}  {proposal.counts[n]} frames  "
        f"{float(proposal.duration(n)):.1f} s  {how[cuts[n]]}".rstrip()
        for n, first in enumerate(proposal.firsts)
    ]
    if len(proposal.firsts) == 1:
        told.append(f"{proposal.path.name}: no key frame at a cut, it stays in one piece")
    return told


def _seconds(text: str | None) -> Fraction:
    try:
        return _SECONDS if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--seconds takes a number, not {text!r}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, 1 failed, 2 usage or bad input, 130."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        print("split: error: interrupted, nothing was written", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"split: error: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
