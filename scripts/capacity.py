"""Print how many minutes of video an hour of an instance takes, computed from docs/benchmarks.md.

    python -m scripts.capacity [TYPE...]

Nothing is asked. The figures are computed, not measured; docs/aws.md has the table of the default
types, and says how it is computed.
"""

import argparse
import sys
from collections.abc import Sequence

from scripts.aws.capacity import TYPES, table


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Minutes of video per hour of an instance.")
    parser.add_argument("types", nargs="*", default=TYPES, metavar="TYPE", help="instance types")
    print(table(parser.parse_args(argv).types))
    return 0


if __name__ == "__main__":
    sys.exit(main())
