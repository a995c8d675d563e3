"""Cut a long video into pieces that many machines can work on, without encoding it.

    python -m scripts.split VIDEO -o FOLDER [--seconds 60 | --pieces N] [--inside-shots] [--dry-run]

The pieces have only the video stream; scripts/join.py joins the results, and takes the sound from
the original. See docs/long-videos.md.
"""

import argparse
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from app.errors import FaceBlurError, Interrupted, UsageError
from app.logs import printable
from app.pieces import Proposal, propose, split

_SECONDS = Fraction(60)


def make_parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(
        description="Cut a video into pieces, without encoding it.", allow_abbrev=False
    )
    parser.add_argument("video", type=Path, metavar="VIDEO")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--seconds", help="approximate length of a piece (default: 60)")
    size.add_argument("--pieces", type=int, metavar="N", help="maximum number of pieces")
    parser.add_argument(
        "--inside-shots",
        action="store_true",
        help="also cut at key frames within shots: faces next to them may be missed",
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing; print where to cut")
    return parser


def run(args: argparse.Namespace) -> None:
    """Split the video, or print the proposal.

    Raises:
        FaceBlurError: splitting failed; no output was written.
    """
    seconds = _seconds(args.seconds) if args.pieces is None else None
    proposal = propose(
        args.video, seconds=seconds, pieces=args.pieces, inside_shots=args.inside_shots
    )
    for line in lines(proposal):
        print(printable(line))
    if not args.dry_run:
        split(proposal, args.output)
        print(printable(f"{args.output}: {len(proposal.firsts)} pieces and their manifest"))


def lines(proposal: Proposal) -> list[str]:
    """Return one line for each piece."""
    cuts = [None, *(border.is_cut for border in proposal.borders)]
    how = {None: "", True: "at a cut", False: "inside a shot"}
    out = [
        f"{proposal.name(n)}  frame {first}  {proposal.counts[n]} frames  "
        f"{float(proposal.duration(n)):.1f} s  {how[cuts[n]]}".rstrip()
        for n, first in enumerate(proposal.firsts)
    ]
    if len(proposal.firsts) == 1:
        out.append(f"{proposal.media.name}: no key frame is at a cut; it stays in one piece")
    return out


def _seconds(text: str | None) -> Fraction:
    try:
        return _SECONDS if text is None else Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--seconds takes a number, not {text!r}") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 usage or bad input, 130."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        print("split: error: interrupted, nothing was written", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"split: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
