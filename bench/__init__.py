"""Measurements of quality, cost and strength. Each module runs as ``python -m bench.NAME``."""
