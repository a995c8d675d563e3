"""The steps of the pipeline, each a Processing job that works on one video.

``split`` looks at the video and cuts it into pieces, or finds that it stays whole. ``hide`` does
all the work on a video that stays whole. ``join`` joins the answers of a transform job to pieces,
and ``verify`` looks at the joined video again. Only ``hide`` and ``verify`` publish, as their last
act: the output of a step that fails is empty.

Two steps are no part of the pipeline: ``doctor`` writes what the machine has, and
``verify-results`` looks at all results of another job again.
"""

from argparse import Namespace
from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.job.places import Place
from app.job.steps.diagnosing import diagnose
from app.job.steps.hiding import hide
from app.job.steps.joining import join_results
from app.job.steps.results import verify_results
from app.job.steps.splitting import look_and_split
from app.job.steps.verifying import verify_joined
from app.process import StopSignal

STEPS: Mapping[str, Callable[[Place, Namespace, StopSignal], str]] = MappingProxyType(
    {
        "split": look_and_split,
        "hide": hide,
        "join": join_results,
        "verify": verify_joined,
        "doctor": diagnose,
        "verify-results": verify_results,
    }
)
"""Each step by its name: it returns what it did, in one line without names."""
