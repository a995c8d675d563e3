"""The HTTP service: ``/ping``, ``/execution-parameters``, ``/invocations`` and ``/metrics``.

A thin Flask layer (``routes``) takes requests apart (``intake``, ``form``, ``options``); a runner
(``runner``) says whose turn it is and what has to stop; the work itself (``work``) is a few calls
of ``app.pipeline``. ``server`` puts all of it into gunicorn.
"""
