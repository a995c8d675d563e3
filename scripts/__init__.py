"""Commands around the program: media, pieces, images, jobs on AWS. Each runs as ``python -m``."""
