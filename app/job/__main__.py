"""``python -m app.job`` is ``process`` of the image."""

from app.job import process

process()
