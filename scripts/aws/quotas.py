"""How many instances the account may use at once: the quotas of Service Quotas."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from scripts.aws.cloud import Cloud, CloudError

Quotas: TypeAlias = Mapping[str, float | str]
"""The quota of each name, in instances, or ``unknown`` with the reason."""
_LISTINGS = ("list_service_quotas", "list_aws_default_service_quotas")
"""The first has only quotas that apply to this account; the default counts for all others."""


def quota_name(instance_type: str, noun: str) -> str:
    """Return the name of the quota of an instance type for a kind of job.

    >>> quota_name("ml.g4dn.xlarge", "transform")
    'ml.g4dn.xlarge for transform job usage'
    """
    return f"{instance_type} for {noun} job usage"


def find_quotas(cloud: Cloud, names: Iterable[str]) -> Quotas:
    """Return the quotas of these names. What cannot be found is a reason, never an error."""
    left = dict.fromkeys(names)
    found: dict[str, float | str] = {}
    reason = "there is no quota of this name"
    for listing in _LISTINGS:
        if not left:
            break
        try:
            for one in cloud.pages("service-quotas", listing, "Quotas", ServiceCode="sagemaker"):
                if one["QuotaName"] in left:
                    found[one["QuotaName"]] = float(one["Value"])
                    del left[one["QuotaName"]]
        except CloudError as error:
            reason = str(error)
    return found | dict.fromkeys(left, f"unknown: {reason}")
