"""The pipeline in the template: its switch, its rights and its definitions."""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import session
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from app.errors import ConfigError, UsageError
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.limits import has_gpu, has_own_disk
from scripts.aws.pipeline import CHOICES, parse_choices, pipeline_parameters
from scripts.aws.variables import Variables
from scripts.infrastructure import KEEP, TEMPLATE, create_or_update, find_stack, template_body
from scripts.local.template import Template

NOTHING: dict[str, int | None] = dict.fromkeys(KEEP)
IMAGE = "123456789012.dkr.ecr.eu-north-1.amazonaws.com/face-blur@sha256:" + "0" * 64
MOST_BYTES = 51_200
"""What CloudFormation takes in a request."""
ROLES = ("PipelineRole", "GateRole", "CleanupRole", "EventsRole")
WITHOUT_NAMES = {"sagemaker:ListProcessingJobs", "sagemaker:ListTransformJobs"}
"""Actions that cannot be restricted to resources."""


@pytest.fixture(scope="module")
def content() -> dict[str, Any]:
    return dict(cfn_yaml.load(str(TEMPLATE)))


def statements(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for role in ROLES:
        for policy in content["Resources"][role]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield role, statement


def parameters(cloud: Cloud) -> dict[str, str]:
    stack = find_stack(cloud) or {}
    return {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}


def test_the_template_is_small_enough(content: dict[str, Any], tmp_path: Path) -> None:
    body = template_body()
    assert len(body.encode()) <= MOST_BYTES
    (tmp_path / "body.yaml").write_text(body, encoding="utf-8")
    assert cfn_yaml.load(str(tmp_path / "body.yaml")) == content


def test_everything_of_the_pipeline_is_off_by_default(content: dict[str, Any]) -> None:
    assert content["Parameters"]["Pipeline"]["Default"] == "off"
    always = {"Bucket", "BucketPolicy", "Repository", "Role", "RoleOfKey", "RoleInNetwork"}
    added = {name: one for name, one in content["Resources"].items() if name not in always}
    on = {"HasPipeline", "HasEmail", "HasPipelineAndKey"}
    others = {name for name, one in added.items() if one.get("Condition") not in on}
    assert others == {"Alarm", "AlarmPolicy", "FailedTransform", "FailedProcessing"}
    for name in on - {"HasPipeline"}:
        assert {"Condition": "HasPipeline"} in content["Conditions"][name]["Fn::And"]


def test_rights_are_restricted_to_our_names_and_tags(content: dict[str, Any]) -> None:
    for role, one in statements(content):
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        assert not [action for action in actions if "*" in action], role
        if one["Resource"] == "*":
            assert set(actions) <= WITHOUT_NAMES, role
        if any(action.startswith("sagemaker:Create") for action in actions):
            assert "aws:RequestTag/face-blur:project" in json.dumps(one["Condition"])
        if any(action.startswith(("sagemaker:Stop", "sagemaker:Delete")) for action in actions):
            assert "aws:ResourceTag/face-blur:project" in json.dumps(one["Condition"])


def test_no_role_of_the_pipeline_reads_videos_or_deletes_objects(content: dict[str, Any]) -> None:
    places = [
        (action, json.dumps(one["Resource"]))
        for _, one in statements(content)
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
        if action.startswith("s3:")
    ]
    assert {action for action, _ in places} == {"s3:GetObject", "s3:PutObject"}
    assert all("/work/*" in place for action, place in places if action == "s3:GetObject")
    assert not [place for _, place in places if "utput" in place or "nput" in place]


def test_every_request_to_aws_may_fail_and_leads_to_a_reason(content: dict[str, Any]) -> None:
    found = content["Resources"]["PipelineMachine"]["Properties"]["Definition"]["States"]
    tasks = {name: one for name, one in found.items() if one["Type"] == "Task"}
    for name, one in tasks.items():
        assert "States.ALL" in one["Catch"][-1]["ErrorEquals"], name
    for name in ("CreateProcessing", "CreateModel", "CreateTransform"):
        (scarce, *_) = found[name]["Retry"]
        assert scarce["ErrorEquals"] == ["SageMaker.ResourceLimitExceededException"]
        assert scarce["BackoffRate"] > 1
    ended = {"Done", "Failed"}
    assert {name for name, one in found.items() if one["Type"] in {"Fail", "Succeed"}} == ended


def test_polls_of_the_longest_jobs_fit_into_the_history(content: dict[str, Any]) -> None:
    longest = content["Parameters"]["MaxRuntimeSeconds"]["MaxValue"]
    properties = content["Resources"]["PipelineMachine"]["Properties"]
    polls = longest / int(properties["DefinitionSubstitutions"]["PollSeconds"])
    processing, transform = 9, 13
    assert 3 * polls * processing + polls * transform < 25_000


def test_it_is_switched_on_and_stays_on(cloud: Cloud) -> None:
    ours = Cloud(
        Variables(
            image_uri=IMAGE,
            instance_type="ml.c6i.2xlarge",
            options={"FACE_BLUR_EFFECT": "solid"},
        )
    )
    outputs = create_or_update(ours, NOTHING, "on", {"Hide": "listed"})
    assert {"PipelineMachine", "PipelineTopic"} <= set(outputs)
    first = parameters(ours)
    assert first["PipelineDevice"] == "cpu"
    assert json.loads(first["PipelineSettings"]) == {"FACE_BLUR_EFFECT": "solid"}
    # What an update sends: moto cannot update resources that have a condition.
    out = io.StringIO()
    create_or_update(Cloud(ours.variables, dry_run=True, out=out), NOTHING)
    sent = json.loads(out.getvalue())["request"]["Parameters"]
    assert {one["ParameterKey"]: one["ParameterValue"] for one in sent} == first


def test_switching_it_off_forgets_its_choices(cloud: Cloud) -> None:
    has = {"Pipeline": "on", "Hide": "listed", "PipelineImage": IMAGE}
    assert pipeline_parameters(cloud, "off", {}, has) == {"Pipeline": "off"}
    assert pipeline_parameters(cloud, None, {}, {"Pipeline": "off", "Hide": "listed"}) == {}
    assert pipeline_parameters(cloud, None, {}, has) == has


def test_without_an_image_it_is_not_switched_on(cloud: Cloud) -> None:
    create_or_update(cloud, NOTHING)
    with pytest.raises(CloudError, match=r"push an image with scripts/push_image\.py"):
        create_or_update(cloud, NOTHING, "on")
    assert parameters(cloud).get("Pipeline", "off") == "off"


def test_wrong_settings_are_refused_before_anything_is_changed(cloud: Cloud) -> None:
    wrong = Cloud(Variables(image_uri=IMAGE, options={"FACE_BLUR_EFFECT": "none at all"}))
    with pytest.raises(ConfigError):
        create_or_update(wrong, NOTHING, "on")
    assert find_stack(cloud) is None


@pytest.mark.parametrize("text", ["Hide", "Pipeline=on", "PipelineImage=x", "=1"])
def test_only_choices_are_taken(text: str) -> None:
    with pytest.raises(UsageError, match="must be NAME=VALUE"):
        parse_choices([text])


def test_choices_are_parameters(content: dict[str, Any]) -> None:
    assert set(CHOICES) <= set(content["Parameters"])
    assert all("Default" in content["Parameters"][name] for name in CHOICES)


def nulls(value: Any, place: str) -> Iterator[str]:
    """Yield the places of all nulls in a part of the template."""
    if value is None:
        yield place
    if isinstance(value, dict):
        for name, one in value.items():
            yield from nulls(one, f"{place}/{name}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from nulls(one, f"{place}/{number}")


def test_the_template_has_no_null(content: dict[str, Any]) -> None:
    # CloudFormation: "'null' values are not allowed in templates". cfn-lint lets them pass.
    assert list(nulls(content, "")) == []


@pytest.mark.parametrize("compute", ["gpu", "cpu"])
def test_the_parameters_that_are_sent_are_allowed(
    cloud: Cloud, content: dict[str, Any], compute: str
) -> None:
    # moto takes any value.
    ours = Cloud(Variables(image_uri=IMAGE, compute=compute))
    create_or_update(ours, NOTHING, "on")
    sent = parameters(ours)
    assert {"PipelineInstanceType", "PipelineOwnDisk", "InputPrefix"} <= set(sent)
    assert sent["PipelineDevice"] == compute
    for name, value in sent.items():
        rule = content["Parameters"][name]
        assert value in rule.get("AllowedValues", (value,)), name
        assert re.fullmatch(rule.get("AllowedPattern", ".*"), value), (name, value)


@pytest.mark.parametrize(
    ("kind", "disk"), [("ml.g4dn.xlarge", "unkeyed"), ("ml.c6i.2xlarge", "keyed")]
)
def test_an_instance_with_an_own_disk_gets_no_key_for_it(
    cloud: Cloud, kind: str, disk: str
) -> None:
    # SageMaker refuses VolumeKmsKeyId for instance types with local storage.
    key = cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
    ours = Cloud(Variables(image_uri=IMAGE, instance_type=kind, kms_key=key))
    create_or_update(ours, NOTHING, "on")
    given = {"AWS::Partition": "aws", "AWS::Region": "eu-north-1", "AWS::AccountId": "1" * 12}
    template = Template.read(
        TEMPLATE, {**given, **parameters(ours), "PipelineTopic": "topic"}, {"Role.Arn": "role"}
    )
    states = template.definition("PipelineMachine")["States"]
    disks = {
        name: one["Parameters"]["disk.$"]
        for name, one in states.items()
        if "disk.$" in one.get("Parameters", ())
    }
    rendering = f"$.disks.{disk}"
    assert disks == {
        "OrderSplit": "$.disks.keyed",
        "OrderHide": rendering,
        "OrderJoin": "$.disks.keyed",
        "OrderVerify": rendering,
    }
    resources = states["CreateTransform"]["Parameters"]["TransformResources.$"]
    assert f"{rendering}," in resources
    outputs = states["CreateTransform"]["Parameters"]["TransformOutput.$"]
    assert "$.keys.keyed" in outputs


@pytest.mark.parametrize("kind", ["ml.g4dn.xlarge", "ml.r5d.large", "ml.p3.2xlarge"])
def test_pieces_are_cut_on_instances_whose_disk_takes_a_key(
    content: dict[str, Any], kind: str
) -> None:
    pattern = content["Parameters"]["CuttingInstanceType"]["AllowedPattern"]
    assert has_own_disk(kind) or has_gpu(kind)
    assert not re.fullmatch(pattern, kind)
    for good in ("ml.c6i.xlarge", "ml.c7i-flex.large", "ml.m5.large", "ml.t3.medium"):
        assert re.fullmatch(pattern, good)


def test_names_of_jobs_fit_into_their_limit(cloud: Cloud, content: dict[str, Any]) -> None:
    identify = content["Resources"]["GateMachine"]["Properties"]["Definition"]["States"]["Identify"]
    (algorithm,) = re.findall(r"'([A-Z0-9-]+)'\)$", identify["Parameters"]["name.$"])
    digest = hashlib.new(algorithm.replace("-", "").lower()).hexdigest()
    states = content["Resources"]["PipelineMachine"]["Properties"]["Definition"]["States"]
    steps = [one["Parameters"]["step"] for name, one in states.items() if "Order" in name]
    most = session.get_session().get_service_model("sagemaker").shape_for("TransformJobName")
    room = most.metadata["max"] - len(f"-{digest}-{max(steps, key=len)}-3")
    longest = "p" * room
    variables = Variables(image_uri=IMAGE, project=longest)
    pipeline_parameters(Cloud(variables), "on", {}, {})
    variables = Variables(image_uri=IMAGE, project=longest + "p")
    with pytest.raises(UsageError, match="PROJECT"):
        pipeline_parameters(Cloud(variables), "on", {}, {})


def test_a_setting_that_a_job_would_refuse_is_refused_at_once(cloud: Cloud) -> None:
    points = ";".join(f"{n}:10,10" for n in range(100))
    variables = Variables(image_uri=IMAGE, options={"FACE_BLUR_SELECT": points})
    with pytest.raises(UsageError, match="FACE_BLUR_SELECT has"):
        pipeline_parameters(Cloud(variables), "on", {}, {})


def test_objects_are_written_as_json_not_as_quoted_text(content: dict[str, Any]) -> None:
    # A text becomes a JSON string, with quotes around it.
    written = [
        one["Parameters"]["Body.$"]
        for machine in ("PipelineMachine", "CleanupMachine")
        for one in content["Resources"][machine]["Properties"]["Definition"]["States"].values()
        if str(one.get("Resource", "")).endswith("s3:putObject")
    ]
    assert written == ["States.Array($.all, $.key)", "$.failure", "$.failure"]
