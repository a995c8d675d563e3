"""The life of a job on AWS: what the commands of this folder's parent are made of."""
