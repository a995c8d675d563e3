"""Commands around the program: demo, pieces of long videos, images, jobs on AWS.

Each command runs as ``python -m scripts.NAME``.
"""
