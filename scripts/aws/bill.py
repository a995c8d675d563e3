"""What a job can cost at most, said before it starts."""

import math
from collections.abc import Mapping
from typing import Any

from scripts.aws.capacity import minutes_of_file, minutes_per_hour, read_costs
from scripts.aws.limits import has_gpu
from scripts.aws.variables import COMPUTE_TYPES, Variables

_DEFAULT_SECONDS = 600
"""Time for a file if a job does not say it."""
_HOURS_OF_A_DAY = 24
_LINES = 1080
"""The size of video for which two types are compared."""


def transform_bill(variables: Variables, request: Mapping[str, Any], files: int) -> str:
    """Return what a transform job of some files costs at most."""
    kind, count = _instances(request["TransformResources"])
    client = request.get("ModelClientConfig", {})
    seconds = client.get("InvocationsTimeoutInSeconds", _DEFAULT_SECONDS)
    each = math.ceil(files / count)
    hours = count * each * seconds / 3600
    how = f"{_plural(files, 'file')} of at most {seconds} s on {_plural(count, 'instance')}"
    minutes = minutes_of_file(read_costs(), kind, _LINES)
    longest = "" if minutes is None else _longest(minutes * seconds / 3600)
    return _bill(variables, kind, hours, how) + longest


def processing_bill(variables: Variables, request: Mapping[str, Any]) -> str:
    """Return what a Processing job costs at most."""
    kind, count = _instances(request["ProcessingResources"]["ClusterConfig"])
    seconds = request["StoppingCondition"]["MaxRuntimeInSeconds"]
    how = f"at most {seconds} s on {_plural(count, 'instance')}"
    return _bill(variables, kind, count * seconds / 3600, how)


def endpoint_bill(variables: Variables) -> str:
    """Return what an asynchronous endpoint costs at most, for each day."""
    count = variables.async_max_instances
    how = f"each day on which requests never end, on {_plural(count, 'instance')}"
    return (
        f"{_bill(variables, variables.transform_type, count * _HOURS_OF_A_DAY, how)}; an instance "
        "starts now, and without requests the last one ends after about 15 minutes"
    )


def requests_bill(variables: Variables, kind: str, files: int) -> str:
    """Return what requests to an asynchronous endpoint cost at most."""
    seconds = variables.timeout_seconds
    how = f"{_plural(files, 'file')} of at most {seconds} s"
    return _bill(variables, kind, files * seconds / 3600, how)


def _instances(resources: Mapping[str, Any]) -> tuple[str, int]:
    return str(resources["InstanceType"]), int(resources["InstanceCount"])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _longest(minutes: float) -> str:
    return (
        f"; a file of more than about {minutes:.0f} minutes at {_LINES} lines does not fit into "
        "its time (computed; try one): use a Processing job, or split it"
    )


def _bill(variables: Variables, kind: str, hours: float, how: str) -> str:
    price = variables.prices.get(kind)
    money = (
        f"{hours * price:.2f} at {price} an hour"
        if price is not None
        else "the price is in the list of the region, or in PRICES"
    )
    worst = f"worst case: {hours:.1f} hours of {kind} ({how}), and minutes to start: {money}"
    return f"{worst}; {compared}" if (compared := _compare(variables, kind)) else worst


def _compare(variables: Variables, kind: str) -> str:
    """Say when an instance of the other sort, with or without a GPU, is cheaper."""
    other = COMPUTE_TYPES["cpu" if has_gpu(kind) else "gpu"]
    costs = read_costs()
    ours, theirs = (minutes_per_hour(costs, one, _LINES) for one in (kind, other))
    if ours is None or theirs is None:
        return ""
    ratio = theirs / ours
    known = [variables.prices[one] for one in (kind, other) if variables.prices.get(one)]
    if len(known) == 2:
        return _verdict(kind, other, known[1] / known[0] > ratio)
    bound = "at least" if has_gpu(kind) else "at most"
    return (
        f"an hour of {other} takes {bound} {ratio:.1f} times as much video (computed), so it is "
        "cheaper if its price is lower than that many times"
    )


def _verdict(kind: str, other: str, ours: bool) -> str:
    """Name the cheaper type; what a GPU saves is a bound, so only CPUs are cheaper for sure."""
    cheaper = kind if ours else other
    sure = "may be" if has_gpu(cheaper) else "is"
    return f"by your prices, {cheaper} {sure} cheaper for the same video (computed)"
