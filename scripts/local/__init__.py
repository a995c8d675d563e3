"""Batch Transform without an account: SageMaker's side of a job, played over moto's S3.

``requests`` reads what was asked for, ``objects`` finds what is to be done, ``containers`` starts
what serves, ``invoking`` asks it, ``logs`` writes what SageMaker would, ``driver`` runs a job out
of these, and ``sagemaker`` stands in front of moto and starts jobs. ``life`` is the whole of it.
"""
