"""Batch Transform without an account: a simulation of SageMaker on top of moto's S3.

``job`` parses requests and finds a job's objects, ``containers`` starts the service, ``invocation``
sends it requests, ``transformer`` processes one object, ``instance`` runs one container,
``job_runner`` runs a job, ``logs`` writes its log, ``sagemaker`` is the server in front of moto,
and ``end_to_end`` runs the commands against it.
"""
