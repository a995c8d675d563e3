"""The policies for people name every call that the commands and the stack make."""

import ast
import fnmatch
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cfnlint  # type: ignore[import-untyped]
import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from scripts.infrastructure import TEMPLATE

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
SERVICES = {"sagemaker-runtime": "sagemaker", "stepfunctions": "states"}
"""IAM's names of services whose name is another one."""
DYNAMIC = {
    f"sagemaker:{verb}{kind}Job"
    for verb in ("Describe", "Stop")
    for kind in ("Transform", "Processing")
} | {
    *("sagemaker:ListTransformJobs", "sagemaker:ListProcessingJobs"),
    *("servicequotas:ListServiceQuotas", "servicequotas:ListAWSDefaultServiceQuotas"),
}
"""Calls whose name the commands put together."""

UNUSED_FEATURES = (
    *("s3tables:*", "s3:*Metadata*", "s3:*Abac", "s3:*Website", "s3:*Cors", "s3:*CORS"),
    *("s3:*Replication*", "s3:*ObjectLock*", "s3:*Analytics*", "s3:*Inventory*", "s3:*Metrics*"),
    *("s3:*Accelerate*", "s3:*Tiering*", "s3:*Versioning", "s3:*Logging", "s3:*Acl"),
    # Tags of buckets have an action of their own; policies, rules and topics of this stack have
    # no data protection, no role of deliveries, and no tags.
    *("s3:TagResource", "s3:UntagResource", "sns:*DataProtectionPolicy"),
    *("events:TagResource", "events:UntagResource", "ecr:*RepositoryPolicy", "kms:*"),
    *("iam:*UserPolicy", "iam:*GroupPolicy", "iam:AttachRolePolicy", "iam:DetachRolePolicy"),
    *("s3:GetObjectVersion", "s3:DeleteBucketEncryption", "s3:DeleteBucketLifecycle"),
)
"""What handlers of CloudFormation need only for properties that the template does not set."""


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
                yield path.name, f"{SERVICES.get(service, service)}:{action}"


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


def handlers(kind: str) -> set[str]:
    """Return the IAM actions that CloudFormation's handlers of a type of resource declare."""
    schemas = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
    for path in schemas.glob("*.json"):
        schema = json.loads(path.read_text("utf-8"))
        if schema.get("typeName") == kind and schema.get("handlers"):
            found = {name: one.get("permissions", ()) for name, one in schema["handlers"].items()}
            return {
                action for name in ("create", "update", "delete") for action in found.get(name, ())
            }
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind", sorted({one["Type"] for one in cfn_yaml.load(str(TEMPLATE))["Resources"].values()})
)
def test_the_administrator_may_do_all_that_cloudformation_does_for_a_resource(kind: str) -> None:
    needed = {
        action
        for action in handlers(kind)
        if not any(fnmatch.fnmatch(action, one) for one in UNUSED_FEATURES)
    }
    assert needed - actions(OPERATOR) - actions(ADMINISTRATOR) == set()


def test_roles_can_be_given_to_whatever_the_stack_gives_them_to() -> None:
    given = {
        service
        for one in statements(ADMINISTRATOR)
        if one["Action"] == ["iam:PassRole"]
        for service in one["Condition"]["StringEquals"]["iam:PassedToService"]
    }
    trusted = {
        one["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        for one in cfn_yaml.load(str(TEMPLATE))["Resources"].values()
        if one["Type"] == "AWS::IAM::Role"
    }
    assert given == trusted - {"sagemaker.amazonaws.com"}


def test_no_policy_has_more_than_names() -> None:
    for path in (OPERATOR, ADMINISTRATOR):
        assert not [action for action in actions(path) if "*" in action]
        everywhere = {one["Sid"] for one in statements(path) if one["Resource"] == "*"}
        # These calls cannot be restricted to resources.
        assert everywhere <= {
            *("FindJobs", "FindEndpoints", "FindBuckets", "LogInToRegistry", "FindLogs"),
            "ReadQuotas",
        }
        for one in statements(path):
            assert re.fullmatch(r"[A-Za-z]+", one["Sid"])


def test_a_role_is_given_to_sagemaker_only() -> None:
    (one,) = (one for one in statements(OPERATOR) if "iam:PassRole" in one["Action"])
    assert one["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert not [action for action in actions(OPERATOR) if action.startswith("iam:Create")]


def test_the_only_role_for_another_service_is_that_of_scaling() -> None:
    (one,) = (one for one in statements(ADMINISTRATOR) if "iam:CreateServiceLinkedRole" in str(one))
    service = "sagemaker.application-autoscaling.amazonaws.com"
    assert one["Condition"] == {"StringEquals": {"iam:AWSServiceName": service}}
    assert f"role/aws-service-role/{service}/" in one["Resource"]
