"""``python -m app.web`` runs the service."""

import sys

from app.web.server import main

sys.exit(main())
