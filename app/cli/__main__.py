"""``python -m app.cli`` runs ``face-blur``."""

from app.cli import process

process()
