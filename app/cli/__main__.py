"""``python -m app.cli`` is ``face-blur``."""

from app.cli import process

process()
