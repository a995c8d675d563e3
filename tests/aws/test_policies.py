"""The policies for people name every call that the commands make, and nothing that they do not."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[2] / "scripts"
OPERATOR, ADMINISTRATOR = SCRIPTS / "operator-policy.json", SCRIPTS / "administrator-policy.json"
ADMINISTERING = {"infrastructure.py", "teardown.py"}
"""Commands that make and remove resources; all others are for operators."""
ACTIONS = {
    "s3:CopyObject": ("GetObject", "PutObject", "GetObjectTagging", "PutObjectTagging"),
    "s3:PutObject": ("PutObject", "PutObjectTagging", "ListMultipartUploadParts"),
    "s3:DownloadFile": ("GetObject",),
    "s3:HeadObject": ("GetObject",),
    "s3:ListObjectsV2": ("ListBucket",),
    "s3:ListObjectVersions": ("ListBucketVersions",),
    "s3:ListMultipartUploads": ("ListBucketMultipartUploads",),
    "s3:ListBuckets": ("ListAllMyBuckets",),
    "s3:DeleteObjects": ("DeleteObject", "DeleteObjectVersion"),
    "s3:Copy": ("GetObject", "PutObject", "GetObjectTagging", "PutObjectTagging"),
}
"""IAM's names of calls whose name is another one."""
DYNAMIC = {
    f"sagemaker:{verb}{kind}Job"
    for verb in ("Describe", "Stop")
    for kind in ("Transform", "Processing")
} | {
    *("sagemaker:ListTransformJobs", "sagemaker:ListProcessingJobs"),
    *("servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"),
}
"""Calls whose name the commands put together."""


def calls() -> Iterator[tuple[str, str]]:
    """Yield the file and the IAM action of each call in the commands."""
    for path in [*SCRIPTS.glob("*.py"), *(SCRIPTS / "aws").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            named = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
            if node.func.attr not in {"read", "change", "pages"} or len(named) != 2:
                continue
            service, operation = map(str, named)
            name = "".join(word.title() for word in operation.split("_")).replace("V2", "V2")
            for action in ACTIONS.get(f"{service}:{name}", (name,)):
                yield path.name, f"{service}:{action}"


def statements(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text("utf-8"))["Statement"])


def actions(path: Path) -> set[str]:
    return {action for one in statements(path) for action in one["Action"]}


def test_the_operator_may_do_all_that_the_commands_for_jobs_do() -> None:
    needed = {action for file, action in calls() if file not in ADMINISTERING} | DYNAMIC
    assert needed
    # Calls that administrators make from shared modules have their own policy.
    assert needed - actions(OPERATOR) == set()
    assert {"iam:PassRole", "sagemaker:AddTags", "s3:PutObjectTagging"} <= actions(OPERATOR)


def test_the_administrator_may_do_all_that_the_stack_needs() -> None:
    needed = {action for _, action in calls()} | DYNAMIC
    assert needed - actions(OPERATOR) - actions(ADMINISTRATOR) == set()
    made = {"ecr:CreateRepository", "iam:CreateRole", "s3:CreateBucket", "sns:CreateTopic"}
    assert made <= actions(ADMINISTRATOR)


def test_no_policy_has_more_than_names() -> None:
    for path in (OPERATOR, ADMINISTRATOR):
        assert not [action for action in actions(path) if "*" in action]
        everywhere = {one["Sid"] for one in statements(path) if one["Resource"] == "*"}
        # These calls cannot be restricted to resources.
        assert everywhere <= {
            "FindJobs",
            "FindBuckets",
            "LogInToRegistry",
            "FindLogs",
            "ReadQuotas",
        }
        for one in statements(path):
            assert re.fullmatch(r"[A-Za-z]+", one["Sid"])


def test_a_role_is_given_to_sagemaker_only() -> None:
    (one,) = (one for one in statements(OPERATOR) if "iam:PassRole" in one["Action"])
    assert one["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert not [action for action in actions(OPERATOR) if action.startswith("iam:Create")]
