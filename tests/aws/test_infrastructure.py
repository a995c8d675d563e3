"""The stack: its template, the requests, and stacks of others."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from scripts.aws.cloud import PROJECT_TAG, Cloud, CloudError, UntaggedError, project_tags
from scripts.aws.variables import Variables
from scripts.infrastructure import KEEP, TEMPLATE, create_or_update, template_body

OURS = {PROJECT_TAG: "face-blur"}
NOTHING: dict[str, int | None] = dict.fromkeys(KEEP)


def resources() -> dict[str, Any]:
    return dict(cfn_yaml.load(str(TEMPLATE))["Resources"])


def statements(cloud: Cloud, policy: str) -> dict[str, Any]:
    role = cloud.outputs["RoleArn"].rpartition("/")[2]
    found = cloud.read("iam", "get_role_policy", RoleName=role, PolicyName=policy)
    document = found["PolicyDocument"]
    # moto returns a stack policy in Python's notation.
    parsed = json.loads(document.replace("'", '"')) if isinstance(document, str) else document
    return {statement["Sid"]: statement for statement in parsed["Statement"]}


def test_cfn_lint_finds_nothing() -> None:
    regions = ["--regions", "eu-north-1", "us-east-1"]
    lint = [str(Path(sys.executable).with_name("cfn-lint")), *regions, "--", str(TEMPLATE)]
    found = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_bucket_is_closed_to_all_others() -> None:
    # Properties that moto does not apply.
    bucket = resources()["Bucket"]["Properties"]
    assert bucket["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert "VersioningConfiguration" not in bucket
    policy = resources()["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [(one["Effect"], one["Principal"], one["Action"]) for one in policy] == [
        ("Deny", "*", "s3:*"),
        ("Deny", "*", "s3:*"),
    ]
    assert [one["Condition"] for one in policy] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    ]


def test_everything_in_the_bucket_expires() -> None:
    rules = {
        rule["Id"]: rule
        for rule in resources()["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    }
    assert all(rule["Status"] == "Enabled" for rule in rules.values())
    assert rules["videos"]["Prefix"] == {"Ref": "InputPrefix"}
    assert rules["results"]["Prefix"] == {"Ref": "OutputPrefix"}
    assert rules["videos"]["ExpirationInDays"] == {"Ref": "KeepDays"}
    assert rules["results"]["ExpirationInDays"] == {"Ref": "KeepDays"}
    assert "Prefix" not in rules["everything"]
    assert rules["everything"]["ExpirationInDays"] == {"Ref": "KeepRestDays"}
    assert rules["everything"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 3}
    assert rules["everything"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_videos_survive_the_deletion_of_the_stack() -> None:
    found = resources()
    for name in ("Bucket", "BucketPolicy"):
        assert found[name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert found[name]["UpdateReplacePolicy"] == "Retain"


def test_images_expire_and_are_scanned() -> None:
    repository = resources()["Repository"]["Properties"]
    rules = json.loads(repository["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert [rule["action"] for rule in rules] == [{"type": "expire"}] * 2
    untagged, every = (rule["selection"] for rule in rules)
    assert untagged["tagStatus"] == "untagged"
    assert (every["tagStatus"], every["countType"]) == ("any", "imageCountMoreThan")
    # ECR requires that a rule for any image comes last.
    assert rules[0]["rulePriority"] < rules[1]["rulePriority"]
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_the_stack_is_created_and_its_resources_are_tagged(cloud: Cloud) -> None:
    outputs = create_or_update(cloud, NOTHING)
    assert outputs == cloud.outputs
    assert set(outputs) == {"Bucket", "Repository", "RepositoryUri", "RoleArn"}
    assert outputs["RepositoryUri"].endswith(".dkr.ecr.eu-north-1.amazonaws.com/face-blur")
    tags = cloud.read("s3", "get_bucket_tagging", Bucket=outputs["Bucket"])["TagSet"]
    assert tags == project_tags("face-blur")
    encryption = cloud.read("s3", "get_bucket_encryption", Bucket=outputs["Bucket"])
    (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    (repository,) = cloud.read("ecr", "describe_repositories")["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    arn = repository["repositoryArn"]
    assert cloud.read("ecr", "list_tags_for_resource", resourceArn=arn)["tags"] == project_tags(
        "face-blur"
    )
    role = outputs["RoleArn"].rpartition("/")[2]
    assert cloud.read("iam", "get_role", RoleName=role)["Role"]["Tags"] == project_tags("face-blur")


def test_only_sagemaker_of_this_account_can_use_the_role(cloud: Cloud) -> None:
    role = create_or_update(cloud, NOTHING)["RoleArn"].rpartition("/")[2]
    trust = cloud.read("iam", "get_role", RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        }
    ]
    names = cloud.read("iam", "list_role_policies", RoleName=role)["PolicyNames"]
    assert names == ["jobs"]


def test_the_role_has_the_permissions_of_jobs_and_no_more(cloud: Cloud) -> None:
    outputs = create_or_update(cloud, NOTHING)
    bucket = f"arn:aws:s3:::{outputs['Bucket']}"
    may = statements(cloud, "jobs")
    assert may["FindObjects"]["Resource"] == bucket
    assert may["ReadObjects"]["Resource"] == f"{bucket}/*"
    assert may["WriteResults"]["Resource"] == f"{bucket}/output/*"
    assert may["PullImage"]["Resource"].endswith(":123456789012:repository/face-blur")
    assert may["WriteLogs"]["Resource"].endswith(":123456789012:log-group:/aws/sagemaker/*")
    # Actions that cannot be restricted to resources.
    assert {name for name, one in may.items() if one["Resource"] == "*"} == {
        "LogInToRegistry",
        "WriteMetrics",
    }
    assert may["LogInToRegistry"]["Action"] == "ecr:GetAuthorizationToken"
    assert "cloudwatch:namespace" in may["WriteMetrics"]["Condition"]["StringLike"]
    actions = {
        action
        for one in may.values()
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert not [action for action in actions if "*" in action or "Delete" in action]


def test_subnets_and_a_key_add_permissions(cloud: Cloud) -> None:
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    cloud.client("kms").create_alias(AliasName="alias/videos", TargetKeyId=key)
    ours = Cloud(Variables(subnets="subnet-1", kms_key="alias/videos"))
    outputs = create_or_update(ours, NOTHING)
    assert statements(ours, "network")["AttachToNetwork"]["Effect"] == "Allow"
    use = statements(ours, "key")
    assert {one["Resource"] for one in use.values()} == {key}
    assert use["LendKey"]["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
    encryption = cloud.read("s3", "get_bucket_encryption", Bucket=outputs["Bucket"])
    (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == key


def test_the_topic_of_alarms_takes_messages_of_eventbridge() -> None:
    # "You can't use Condition blocks in Amazon SNS topic policies for EventBridge", and it cannot
    # use the key that AWS manages for SNS.
    found = resources()
    (statement,) = found["AlarmPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert "Condition" not in statement
    assert "KmsMasterKeyId" not in found["Alarm"]["Properties"]


def test_a_boundary_and_an_alarm_are_made_on_request(cloud: Cloud) -> None:
    most = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
    boundary = cloud.client("iam").create_policy(
        PolicyName="most", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": most})
    )["Policy"]["Arn"]
    ours = Cloud(Variables(boundary_arn=boundary, alarm_email="ops@example.org"))
    outputs = create_or_update(ours, NOTHING)
    role = cloud.read("iam", "get_role", RoleName=outputs["RoleArn"].rpartition("/")[2])["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    (topic,) = cloud.read("sns", "list_topics")["Topics"]
    (told,) = cloud.read("sns", "list_subscriptions")["Subscriptions"]
    assert (told["Protocol"], told["Endpoint"]) == ("email", "ops@example.org")
    rules = cloud.read("events", "list_rules")["Rules"]
    patterns = [json.loads(rule["EventPattern"]) for rule in rules]
    assert sorted(one["detail-type"][0] for one in patterns) == [
        "SageMaker Processing Job State Change",
        "SageMaker Transform Job State Change",
    ]
    for rule, pattern in zip(rules, patterns, strict=True):
        assert ["Failed"] in pattern["detail"].values()
        assert [{"prefix": "face-blur-"}] in pattern["detail"].values()
        targets = cloud.read("events", "list_targets_by_rule", Rule=rule["Name"])["Targets"]
        assert [one["Arn"] for one in targets] == [topic["TopicArn"]]


def test_running_again_is_safe(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    first = create_or_update(cloud, NOTHING | {"KeepDays": 7})
    assert create_or_update(cloud, NOTHING) == first
    subnets = Cloud(Variables(subnets="subnet-1"))
    assert create_or_update(subnets, NOTHING) == first
    (stack,) = cloud.read("cloudformation", "describe_stacks", StackName="face-blur")["Stacks"]
    has = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
    kept = {"KeepDays": "7", "KeepRestDays": "365", "UseNetwork": "true"}
    assert kept.items() <= has.items()


def test_nothing_to_update_is_not_an_error(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = create_or_update(cloud, NOTHING)
    change = cloud.change

    def nothing_to_do(service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "update_stack":
            # The response of AWS, which moto does not give.
            text = "cloudformation update_stack: ValidationError: No updates are to be performed."
            raise CloudError(text, "ValidationError")
        return change(service, operation, **request)

    monkeypatch.setattr(cloud, "change", nothing_to_do)
    assert create_or_update(cloud, NOTHING) == first
    assert "is up to date" in capsys.readouterr().err


def test_a_stack_without_our_tag_is_left_alone(cloud: Cloud) -> None:
    body = json.dumps({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    cloud.client("cloudformation").create_stack(StackName="face-blur", TemplateBody=body)
    with pytest.raises(
        UntaggedError, match=r"does not have the tag of this project; choose another PROJECT"
    ):
        create_or_update(cloud, NOTHING)
    resources = cloud.pages(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName="face-blur"
    )
    assert [one["LogicalResourceId"] for one in resources] == ["Bucket"]


def test_a_failed_stack_gives_its_reasons(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def waited(*_: object, **__: object) -> None:
        raise CloudError("cloudformation stack_create_complete: Waiter failed")

    def events(*_: object, **__: object) -> list[dict[str, str]]:
        told = [
            ("face-blur", "ROLLBACK_IN_PROGRESS", "the following resource(s) failed"),
            ("Role", "CREATE_FAILED", "Resource creation cancelled"),
            ("Repository", "CREATE_FAILED", "face-blur already exists"),
            ("Bucket", "CREATE_COMPLETE", ""),
        ]
        keys = ("LogicalResourceId", "ResourceStatus", "ResourceStatusReason")
        return [dict(zip(keys, one, strict=True)) for one in told]

    monkeypatch.setattr(cloud, "wait", waited)
    monkeypatch.setattr(cloud, "pages", events)
    with pytest.raises(CloudError, match=r"^the stack .+: Repository: face-blur already exists$"):
        create_or_update(cloud, NOTHING)


def test_a_stack_in_progress_is_not_changed(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    create_or_update(cloud, NOTHING)
    read = cloud.read

    def busy(service: str, operation: str, **request: Any) -> dict[str, Any]:
        answer = read(service, operation, **request)
        answer["Stacks"][0]["StackStatus"] = "UPDATE_IN_PROGRESS"
        return answer

    monkeypatch.setattr(cloud, "read", busy)
    with pytest.raises(CloudError, match=r"is being changed \(UPDATE_IN_PROGRESS\); try again"):
        create_or_update(cloud, NOTHING)


def test_a_dry_run_prints_the_request_and_creates_nothing(cloud: Cloud) -> None:
    out = io.StringIO()
    assert create_or_update(Cloud(cloud.variables, dry_run=True, out=out), NOTHING) == {}
    (line,) = out.getvalue().splitlines()
    asked = json.loads(line)
    assert (asked["service"], asked["operation"]) == ("cloudformation", "create_stack")
    request = asked["request"]
    assert request["TemplateBody"] == template_body()
    assert request["Capabilities"] == ["CAPABILITY_IAM"]
    assert request["Tags"] == project_tags("face-blur")
    assert {one["ParameterKey"]: one["ParameterValue"] for one in request["Parameters"]} == {
        "Project": "face-blur",
        "InputPrefix": "input/",
        "OutputPrefix": "output/",
        "KmsKeyArn": "",
        "UseNetwork": "false",
        "KeepDays": "30",
        "KeepRestDays": "365",
        "BoundaryArn": "",
        "AlarmEmail": "",
    }
    assert cloud.read("s3", "list_buckets")["Buckets"] == []


def test_a_dry_run_of_a_change_lists_what_would_change(cloud: Cloud) -> None:
    body = json.dumps({"Resources": {"Other": {"Type": "AWS::SNS::Topic"}}})
    cloud.client("cloudformation").create_stack(
        StackName="face-blur", TemplateBody=body, Tags=project_tags("face-blur")
    )
    out = io.StringIO()
    create_or_update(Cloud(cloud.variables, dry_run=True, out=out), NOTHING | {"KeepDays": 7})
    (asked,) = (json.loads(line) for line in out.getvalue().splitlines())
    assert asked["operation"] == "update_stack"
    request = asked["request"]
    assert "TemplateBody" not in request
    assert {"ParameterKey": "KeepDays", "ParameterValue": "7"} in request["Parameters"]
    changes = {(one["action"], one["resource"]) for one in request["Changes"]}
    assert {("Add", "Role"), ("Add", "Bucket"), ("Remove", "Other")} <= changes
    left = cloud.read("cloudformation", "list_change_sets", StackName="face-blur")["Summaries"]
    assert left == []
    listed = cloud.read("cloudformation", "describe_stack_resources", StackName="face-blur")
    assert [one["LogicalResourceId"] for one in listed["StackResources"]] == ["Other"]


@pytest.mark.parametrize("reason", ["ExpiredToken", "AccessDenied"])
def test_wrong_credentials_do_not_lead_to_another_stack(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    def refused(service: str, operation: str, **request: Any) -> dict[str, Any]:
        raise CloudError(f"{service} {operation}: {reason}: no", reason)

    with pytest.raises(CloudError, match=r"does not exist; run scripts/infrastructure\.py, or set"):
        Cloud(Variables(project="none")).bucket  # noqa: B018 - it is read from the stack
    monkeypatch.setattr(cloud, "read", refused)
    with pytest.raises(CloudError, match=f"{reason}: no$") as caught:
        cloud.bucket  # noqa: B018 - it is read from the stack
    assert caught.value.reason == reason


def test_a_dry_run_without_credentials_does_not_ask_for_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    out = io.StringIO()
    blind = Cloud(Variables(kms_key="alias/videos"), dry_run=True, out=out)
    create_or_update(blind, NOTHING)
    request = json.loads(out.getvalue())["request"]
    assert {"ParameterKey": "KmsKeyArn", "ParameterValue": "alias/videos"} in request["Parameters"]


def test_logs_expire_only_on_request(cloud: Cloud, run_command: Any) -> None:
    """The groups belong to all jobs of the account."""
    logs = cloud.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TransformJobs")
    made = run_command("infrastructure")
    assert "logs never expire" in made.err
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    made = run_command("infrastructure", "--keep-log-days", 90)
    assert made.code == 0, made.err
    found = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    assert {one["logGroupName"]: one["retentionInDays"] for one in found} == {
        "/aws/sagemaker/ProcessingJobs": 90,
        "/aws/sagemaker/TransformJobs": 90,
    }
    again = run_command("infrastructure")
    assert "logs never expire" not in again.err
    refused = run_command("infrastructure", "--keep-log-days", 8)
    assert refused.code == 2, "CloudWatch allows only some numbers"


def test_the_command(cloud: Cloud, run_command: Any) -> None:
    dry = run_command("infrastructure", "--dry-run")
    assert (dry.code, json.loads(dry.out)["operation"]) == (0, "create_stack")
    made = run_command("infrastructure", "--project", "news", "--keep-days", 7)
    assert made.code == 0, made.err
    found = dict(line.split(": ") for line in made.out.splitlines())
    assert found == Cloud(Variables(project="news")).outputs
    refused = run_command("infrastructure", "--keep-days", 0)
    assert refused.code == 2
    assert "--keep-days" in refused.err
