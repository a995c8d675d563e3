"""The HTTP service: ``/ping``, ``/execution-parameters``, ``/invocations`` and ``/metrics``.

``routes`` is a thin Flask layer. Requests are parsed by ``uploads``, ``options`` and ``tickets``;
``service`` holds the shared state and decides which request uses the device; ``bodies`` sends the
results; ``media_job`` and
``ticket_job`` do the work with ``app.pipeline``. ``server`` runs everything in gunicorn.
"""
