"""Calls of AWS: dry runs, errors, and the outputs of the stack."""

import io
import json

import boto3
import pytest

from app.errors import Interrupted, UsageError
from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.command import main as run_main
from scripts.aws.command import make_parser
from scripts.aws.variables import Variables

STACK = json.dumps(
    {
        "Resources": {
            "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "videos"}}
        },
        "Outputs": {"Bucket": {"Value": {"Ref": "Bucket"}}, "RoleArn": {"Value": "arn:of:role"}},
    }
)


def make_stack(cloud: Cloud, *, tagged: bool) -> None:
    tags = project_tags("face-blur") if tagged else []
    cloud.client("cloudformation").create_stack(
        StackName="face-blur", TemplateBody=STACK, Tags=tags
    )


def test_a_dry_run_prints_the_request_and_does_not_make_it(cloud: Cloud) -> None:
    out = io.StringIO()
    dry = Cloud(cloud.variables, dry_run=True, out=out)
    request = {
        "Bucket": "videos",
        "CreateBucketConfiguration": {"LocationConstraint": "eu-north-1"},
    }
    assert dry.change("s3", "create_bucket", **request) == {}
    printed = {"service": "s3", "operation": "create_bucket", "request": request}
    assert json.loads(out.getvalue()) == printed
    assert cloud.read("s3", "list_buckets")["Buckets"] == []
    cloud.change("s3", "create_bucket", **request)
    assert [bucket["Name"] for bucket in cloud.read("s3", "list_buckets")["Buckets"]] == ["videos"]


def test_a_listing_reads_all_pages(cloud: Cloud) -> None:
    models = cloud.client("sagemaker")
    role = "arn:aws:iam::123456789012:role/x"
    for number in range(5):
        models.create_model(ModelName=f"m{number}", ExecutionRoleArn=role)
    found = cloud.pages("sagemaker", "list_models", "Models", MaxResults=2)
    assert sorted(model["ModelName"] for model in found) == ["m0", "m1", "m2", "m3", "m4"]


def test_an_error_of_aws_is_one_line_with_its_code(cloud: Cloud) -> None:
    for attempt in (cloud.read, cloud.change):
        with pytest.raises(CloudError, match=r"^s3 list_objects_v2: NoSuchBucket: .+") as caught:
            attempt("s3", "list_objects_v2", Bucket="nobodys-bucket")
        assert "\n" not in str(caught.value)
    with pytest.raises(CloudError, match=r"^s3 list_objects_v2: NoSuchBucket: "):
        list(cloud.pages("s3", "list_objects_v2", "Contents", Bucket="nobodys-bucket"))
    with pytest.raises(CloudError, match=r"^s3 list_buckets: Parameter validation failed"):
        cloud.read("s3", "list_buckets", Colour="red")


def test_missing_credentials_are_one_line(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(
        CloudError, match=r"^s3 list_buckets: this needs credentials, .+ AWS_PROFILE$"
    ):
        Cloud(cloud.variables).read("s3", "list_buckets")


def test_empty_variables_come_from_the_stack(cloud: Cloud) -> None:
    make_stack(cloud, tagged=True)
    assert (cloud.bucket, cloud.role_arn) == ("videos", "arn:of:role")
    given = Cloud(Variables(bucket="mine", role_arn="arn:aws:iam::123456789012:role/r"))
    assert (given.bucket, given.role_arn) == ("mine", "arn:aws:iam::123456789012:role/r")
    with pytest.raises(CloudError, match=r"^REPOSITORY is not set.+infrastructure\.py"):
        _ = cloud.repository


def test_a_stack_without_our_tag_is_not_used(cloud: Cloud) -> None:
    make_stack(cloud, tagged=False)
    with pytest.raises(
        CloudError, match=r"does not have the tag of this project; choose another PROJECT"
    ):
        _ = cloud.outputs
    with pytest.raises(CloudError, match=r"^BUCKET is not set.+does not have the tag"):
        _ = cloud.bucket


def test_without_a_stack_the_error_names_the_command_that_creates_it(cloud: Cloud) -> None:
    with pytest.raises(CloudError, match=r"does not exist.+run scripts/infrastructure\.py"):
        _ = cloud.bucket


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CloudError("s3 x: Denied: no\nnever"), 1, "error: s3 x: Denied: no never\n"),
        (UsageError("no such video"), 2, "error: no such video\n"),
        (Interrupted("stopped"), 130, "error: stopped\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_a_command_ends_with_one_line_and_the_code_of_its_error(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    assert run_main(make_parser("Fails."), fail, []) == code
    assert capsys.readouterr().err.endswith(said)


def test_a_command_passes_its_options_on(moto: str) -> None:
    seen: list[Cloud] = []
    argv = ["--dry-run", "--region", "us-east-1", "--subnets", "a,b"]
    assert run_main(make_parser("Looks."), lambda cloud, _: seen.append(cloud), argv) == 0
    assert seen[0].dry_run
    assert (seen[0].variables.region, seen[0].variables.subnets) == ("us-east-1", ("a", "b"))


def test_bad_variables_end_a_command_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    assert run_main(make_parser("Nothing."), never, ["--region", "north"]) == 2
    assert "error: REGION: " in capsys.readouterr().err


def test_these_tests_do_not_reach_the_network() -> None:
    assert boto3.client("s3", "eu-north-1").meta.endpoint_url == "http://127.0.0.1:9"
