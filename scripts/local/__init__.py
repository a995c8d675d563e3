"""Batch Transform without an account: a simulation of SageMaker on top of moto's S3.

``job`` parses requests and finds a job's objects, ``containers`` starts the service and writes its
log, ``invocation`` sends it requests, ``transformer`` processes one object, ``job_runner`` runs a
job on its instances, and ``sagemaker`` is the server in front of moto.
"""
