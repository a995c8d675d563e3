"""Measurements. Each module runs as ``python -m bench.NAME``."""
