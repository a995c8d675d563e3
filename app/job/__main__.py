"""``python -m app.job`` is the command ``process`` of the image."""

from app.job import process

process()
