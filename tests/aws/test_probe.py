"""Facts of a first run that differ from what the documentation assumes."""

from typing import Any

import pytest

from scripts.aws.probe_summary import nvenc_fault, summary
from scripts.aws.probe_surprises import find_surprises
from scripts.aws.quotas import find_quotas
from scripts.aws.variables import Variables

GPU = Variables()
NAME = "folder/probe.mp4"


def facts(**ready: Any) -> dict[str, Any]:
    """The facts of a run in which all is as assumed, but for these fields of ``ready``."""
    ours = {"uid": 0, "spool": "/tmp", "free_bytes": 25 * 10**9, "cpus": 4, "memory_bytes": 10**10}
    ours |= {"device": "Tesla T4", "provider": "CUDAExecutionProvider", "driver": "535.183.01"}
    ours |= {"encoder": "software", "encoder_fault": "the driver is too old"}
    job = {"fault": "", "status": "Completed", "instance_type": "ml.g4dn.xlarge", "instances": 1}
    result = {"name": f"transform/{NAME}.out", "frames": 50, "sounds": 1}
    whole = {"version": "1", "region": "eu-north-1", "image": "one", "quotas": {}}
    return {**whole, "transform": {**job, "ready": ours | ready, "result": result}}


def test_what_is_as_assumed_is_no_surprise() -> None:
    assert find_surprises(GPU, facts()) == []


@pytest.mark.parametrize(
    ("ready", "words"),
    [
        ({"uid": 10001}, "the container runs as user 10001, not 0"),
        ({"spool": "/var/tmp"}, "temporary files are in /var/tmp"),
        ({"free_bytes": 3 * 10**9}, "3 GB are free"),
        ({"cpus": 2}, "ml.g4dn.xlarge has 2 CPUs, not 4"),
        ({"provider": "CPUExecutionProvider"}, "the GPU of ml.g4dn.xlarge is not used"),
        ({"driver": "470.256.02"}, "the driver is 470.256.02, not 535"),
        ({"driver": None}, "the driver is None, not 535"),
        ({"encoder": "nvenc"}, "NVENC works"),
    ],
)
def test_each_fact_that_differs_is_one_surprise(ready: dict[str, Any], words: str) -> None:
    (line,) = find_surprises(GPU, facts(**ready))
    assert words in line
    assert "docs/" in line


def test_other_names_instances_and_contents_of_results_are_surprises() -> None:
    found = facts()
    found["transform"]["result"] |= {"name": "transform/input/probe.mp4.out", "sounds": 0}
    found["transform"]["instance_type"] = "ml.p2.xlarge"
    assert len(find_surprises(GPU, found)) == 3
    found["transform"]["work"] = {"hidden": 0}
    assert "transform: 0 faces were hidden, and the video has one" in find_surprises(GPU, found)
    found["transform"]["ready"] = {}
    assert "transform: the log has no line ready (docs/service.md)" in find_surprises(GPU, found)


def test_of_a_failed_job_nothing_is_a_surprise() -> None:
    found = facts(uid=5)
    found["transform"]["fault"] = "it failed"
    assert find_surprises(GPU, found) == []


def test_nvenc_is_told_with_its_reason() -> None:
    found = facts()
    assert nvenc_fault(found["transform"]) == "the driver is too old"
    assert nvenc_fault(facts(encoder="nvenc")["transform"]) == ""
    lines = summary(found | {"surprises": []})
    assert "transform: NVENC: the driver is too old" in lines
    assert lines[-1] == "surprise: none"


class Account:
    """Lists quotas as AWS does: those of the account first, then the defaults."""

    def __init__(self, **listings: dict[str, float]) -> None:
        self._listings = listings

    def pages(self, service: str, operation: str, key: str, **request: Any) -> Any:
        assert (service, key, request) == ("service-quotas", "Quotas", {"ServiceCode": "sagemaker"})
        listed = self._listings[operation]
        return ({"QuotaName": name, "Value": value} for name, value in listed.items())


def test_quotas_of_the_account_come_before_defaults() -> None:
    account: Any = Account(
        list_service_quotas={"a": 2}, list_aws_default_service_quotas={"a": 9, "b": 1}
    )
    assert find_quotas(account, ["a", "b", "c"]) == {
        "a": 2.0,
        "b": 1.0,
        "c": "unknown: there is no quota of this name",
    }
