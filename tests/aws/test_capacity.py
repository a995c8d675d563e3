"""Minutes of video per hour, and the worst case of a job, against figures computed by hand."""

from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError
from scripts import run_processing, run_transform
from scripts.aws.bill import processing_bill, transform_bill
from scripts.aws.capacity import PAGE, Cost, minutes_of_file, minutes_per_hour, read_costs, table
from scripts.aws.cloud import Cloud
from scripts.aws.variables import Variables
from tests.aws_jobs import CPU, WHERE, Commands, fill

PAGE_OF_AWS = Path(__file__).parents[2] / "docs" / "aws.md"
MEASURED = """
| clip | command | CPU ms/frame | clock ms/frame | peak MiB | CPU ratio | |
| 1080 lines, two faces, 100 frames | transcode | 50.0 | 30.0 | 1 | 1.00 |  |
| 1080 lines, two faces, 100 frames | blur | 100.0 | 60.0 | 1 | 1.00 |  |
| 1080 lines, two faces, 100 frames | render | 70.0 | 40.0 | 1 | 1.00 |  |
| 1080 lines, eight faces, 50 frames | blur | 500.0 | 400.0 | 1 | 1.00 |  |
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "benchmarks.md"
    path.write_text(MEASURED)
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Commands:
    return Commands(capsys, tmp_path / "variables.py")


def test_the_minutes_follow_from_the_measured_times(page: Path) -> None:
    costs = read_costs(page)
    assert costs == {(1080, "blur"): Cost(100, 60), (1080, "render"): Cost(70, 40)}
    # 80 of 100 ms are shared by 2 CPUs: 20 + 80 / 2 = 60, as measured; 20 + 80 / 4 = 40 on 4.
    # At 25 frames a second a minute has 1500 frames: 3600 s / (1500 * 0.04 s) = 60.
    assert minutes_per_hour(costs, "ml.c6i.xlarge", 1080) == pytest.approx(60)
    # 8 CPUs work on two videos at once, each with 4 of them.
    assert minutes_per_hour(costs, "ml.c6i.2xlarge", 1080) == pytest.approx(120)
    assert minutes_of_file(costs, "ml.c6i.2xlarge", 1080) == pytest.approx(60)
    assert minutes_per_hour(costs, "ml.c6i.large", 1080) == pytest.approx(40)
    # A GPU: the second pass alone, 10 + 60 / 4 = 25 ms.
    assert minutes_per_hour(costs, "ml.g4dn.xlarge", 1080) == pytest.approx(96)
    assert minutes_per_hour(costs, "ml.c6i.2xlarge", 2160) is None
    assert minutes_per_hour(costs, "ml.c6i.metal", 1080) is None


def test_a_page_without_figures_gives_none(tmp_path: Path) -> None:
    assert read_costs(tmp_path / "missing.md") == {}
    assert "| `ml.c6i.xlarge` | 4 | 1 | ? | ? | ? |" in table(page=tmp_path / "missing.md")


def test_the_page_of_aws_has_the_table_of_the_benchmarks() -> None:
    assert {lines for lines, _ in read_costs(PAGE)} == {360, 1080, 2160}
    # Otherwise: python -m scripts.capacity, and put its table there.
    assert table() in PAGE_OF_AWS.read_text("utf-8")


def transform(kind: str, count: int, seconds: int) -> dict[str, Any]:
    return {
        "TransformResources": {"InstanceType": kind, "InstanceCount": count},
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": seconds},
    }


def test_the_worst_case_of_a_transform_job() -> None:
    # 5 files on 2 instances: one gets 3, and both run until it ends: 2 * 3 * 1800 s.
    said = transform_bill(Variables(), transform("ml.g4dn.xlarge", 2, 1800), 5)
    assert "worst case: 3.0 hours of ml.g4dn.xlarge (5 files of at most 1800 s on 2 in" in said
    assert "the price is in the list of the region, or in PRICES" in said
    priced = Variables(prices="ml.g4dn.xlarge=0.5,ml.c6i.2xlarge=0.25")
    said = transform_bill(priced, transform("ml.g4dn.xlarge", 2, 1800), 5)
    assert "1.50 at 0.5 an hour" in said
    assert "by your prices, ml.c6i.2xlarge is cheaper" in said
    dear = Variables(prices="ml.g4dn.xlarge=0.5,ml.c6i.2xlarge=5")
    said = transform_bill(dear, transform("ml.c6i.2xlarge", 1, 3600), 1)
    # What a GPU saves is a bound, so nothing surer can be said.
    assert "by your prices, ml.g4dn.xlarge may be cheaper" in said


def test_the_worst_case_of_a_processing_job() -> None:
    request = {
        "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.odd", "InstanceCount": 4}},
        "StoppingCondition": {"MaxRuntimeInSeconds": 5400},
    }
    said = processing_bill(Variables(), request)
    assert "worst case: 6.0 hours of ml.odd (at most 5400 s on 4 instances)" in said
    assert "computed" not in said, "nothing is known about such a type"


def test_each_job_says_its_worst_case_first(cloud: Cloud, run: Commands) -> None:
    fill(cloud, {"input/a.mp4": b"a", "input/b.mp4": b"b"})
    ran = run(run_transform, *CPU, "--timeout-seconds", "1800")
    assert "worst case: 1.0 hours of ml.c6i.xlarge (2 files of at most 1800 s on 1 inst" in ran.err
    ran = run(run_processing, *WHERE, "--max-runtime-seconds", "3600", "--dry-run")
    assert "worst case: 1.0 hours of ml.c6i.2xlarge" in ran.err


def test_one_option_takes_cpus(cloud: Cloud, run: Commands) -> None:
    assert Variables().transform_type == "ml.g4dn.xlarge"
    chosen = Variables(compute="cpu", image_tag="first")
    assert (chosen.transform_type, chosen.tag) == ("ml.c6i.2xlarge", "first-cpu")
    own = Variables(compute="cpu", instance_type="ml.c7i.4xlarge")
    assert own.transform_type == "ml.c7i.4xlarge"
    with pytest.raises(ConfigError, match="COMPUTE"):
        Variables(compute="quantum")
    with pytest.raises(ConfigError, match="PRICES"):
        Variables(prices="ml.c6i.xlarge=cheap")
