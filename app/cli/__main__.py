"""``python -m app.cli`` is ``face-blur``."""

import sys

from app.cli import main

sys.exit(main())
