"""The state machines of the pipeline, played by moto over the jobs of this machine.

moto does not start state machines for events, and after a rule that should, it stops looking for
others. So rules with the patterns of the template take the place of those of the stack: they put
events into queues, and ``deliver`` starts what the rules of the template would start.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, cast
from unittest.mock import patch
from uuid import uuid4

from botocore.response import StreamingBody
from moto.core.config import default_user_config
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_aws_sdk as sdk,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_sfn as sfn,
)
from moto.stepfunctions.parser.asl.eval.program_state import ProgramError
from moto.stepfunctions.parser.backend.execution import (
    BaseExecutionWorkerCommunication as Communication,
)

from scripts.aws.cloud import Cloud
from scripts.infrastructure import TEMPLATE, find_stack, outputs_of
from scripts.local.sagemaker import SageMaker
from scripts.local.template import Template

ACCOUNT = "123456789012"
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/local"
_SERVICES = {"sagemaker": "SageMaker", "s3": "S3", "sns": "Sns"}
"""The names of services in errors, which moto knows for few of them."""
_RULES = {"ObjectRule": "GateMachine", "EndRule": "CleanupMachine"}
"""The rules of the template, and what they start."""
_ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
_POLL_SECONDS = 0.1


@contextmanager
def playing(sagemaker: SageMaker) -> Iterator[None]:
    """Let moto execute state machines, whose calls go to this server."""
    clients = _Clients(sagemaker)
    with ExitStack() as stack:
        executing = {"execute_state_machine": True}
        stack.enter_context(patch.dict(default_user_config, {"stepfunctions": executing}))
        for module in (sdk, sfn):
            stack.enter_context(patch.object(module, "boto_client_for", clients.make))
        stack.enter_context(patch.object(Communication, "terminated", _terminated))
        stack.enter_context(patch.dict(sdk._SERVICE_ERROR_NAMES, _SERVICES))
        yield


def _terminated(ended: Any) -> None:
    """Stand in for the method of moto, which looks at a wrong place for an execution's error."""
    state = ended.execution.exec_worker.env.program_state()
    if isinstance(state, ProgramError):
        error = cast("dict[str, Any]", state.error)
        for details in [one for one in error.values() if isinstance(one, Mapping)]:
            error |= {name: details.get(name) for name in ("error", "cause")}
    ended._reflect_execution_status()


class _Clients:
    """Clients for the tasks of state machines, one for each service.

    Step Functions writes the parameters of all services with a capital letter, as moto does not:
    each client gets the names of its own service.
    """

    def __init__(self, sagemaker: SageMaker) -> None:
        self._sagemaker = sagemaker
        self._made: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def make(self, region: str, service: str, state_credentials: object = None) -> Any:  # noqa: ARG002
        """Stand in for the function of moto."""
        with self._lock:
            if (service, region) not in self._made:
                client = self._sagemaker.client(service, region)
                client.meta.events.register("provide-client-params", _rename)
                client.meta.events.register("after-call", _as_json)
                self._made[service, region] = client
            return self._made[service, region]


def _rename(params: dict[str, Any], model: Any, **_: object) -> dict[str, Any]:
    """Write parameters as the service does, and contents as JSON: a text gets quotes too."""
    known = model.input_shape.members
    named = {
        name if name in known else name[:1].lower() + name[1:]: value
        for name, value in params.items()
    }
    contents = {name for name, shape in known.items() if shape.type_name == "blob"}
    return {
        name: json.dumps(value).encode() if name in contents else value
        for name, value in named.items()
    }


def _as_json(parsed: dict[str, Any], **_: object) -> None:
    """Turn times and bodies of a response into text, as Step Functions does.

    Names get a capital letter, as there. The others stay too: moto itself reads them.
    """
    for name, value in tuple(parsed.items()):
        if isinstance(value, datetime):
            parsed[name] = value.isoformat()
        elif isinstance(value, StreamingBody):
            parsed[name] = value.read().decode()
        elif isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    _as_json(one)
        parsed.setdefault(name[:1].upper() + name[1:], parsed[name])


class Machines:
    """The pipeline of a stack.

    Args:
        sagemaker: the server.
        cloud: the account with the stack.
        changes: substitutions of the pipeline's definition to use instead of those of the template.
    """

    def __init__(self, sagemaker: SageMaker, cloud: Cloud, changes: Mapping[str, str]) -> None:
        region = cloud.variables.region
        self.states, self._events, self._sqs = (
            sagemaker.client(service, region) for service in ("stepfunctions", "events", "sqs")
        )
        stack = find_stack(cloud) or {}
        outputs = outputs_of(stack)
        given = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
        pseudo = {"AWS::Partition": "aws", "AWS::Region": region, "AWS::AccountId": ACCOUNT}
        values = {**given, **pseudo, "Bucket": outputs["Bucket"]}
        values |= {"PipelineTopic": outputs["PipelineTopic"]}
        self._template = Template.read(TEMPLATE, values, {"Role.Arn": outputs["RoleArn"]})
        self.arns: dict[str, str] = {}
        for name, own in (
            ("PipelineMachine", changes),
            ("GateMachine", {}),
            ("CleanupMachine", {}),
        ):
            self.arns[name] = self._create(name, own)
        self._send_events(cloud)
        self._queues = {rule: self._listen(rule) for rule in _RULES}

    def _send_events(self, cloud: Cloud) -> None:
        """Do what moto's CloudFormation leaves out: events of the bucket; and drop its rules."""
        found = self._template.resolve(self._template.properties("Bucket"))
        notification = found.get("NotificationConfiguration", {})
        if notification.get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"):
            cloud.client("s3").put_bucket_notification_configuration(
                Bucket=cloud.bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
            )
        for rule in self._events.list_rules()["Rules"]:
            targets = self._events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            ids = [target["Id"] for target in targets]
            self._events.remove_targets(Rule=rule["Name"], Ids=ids)
            self._events.delete_rule(Name=rule["Name"])

    def _create(self, name: str, changes: Mapping[str, str]) -> str:
        known = Template(
            self._template.content,
            {**self._template.values, **self.arns},
            self._template.attributes,
        )
        made = self.states.create_state_machine(
            name=f"{name}-local",
            definition=json.dumps(known.definition(name, **changes)),
            roleArn=_ROLE,
        )
        return str(made["stateMachineArn"])

    def _listen(self, rule: str) -> str:
        """Create a rule with the pattern of the template, and a queue for its events."""
        values = {**self._template.values, **self.arns}
        known = Template(self._template.content, values, self._template.attributes)
        pattern = known.resolve(known.properties(rule)["EventPattern"])
        queue: str = self._sqs.create_queue(QueueName=f"{rule}-local")["QueueUrl"]
        self._events.put_rule(Name=f"{rule}-local", EventPattern=json.dumps(pattern))
        arn = f"arn:aws:sqs:{self._sqs.meta.region_name}:{ACCOUNT}:{rule}-local"
        self._events.put_targets(Rule=f"{rule}-local", Targets=[{"Id": "queue", "Arn": arn}])
        return queue

    def deliver(self) -> list[str]:
        """Start what the rules would start; return the ARNs of the executions."""
        started: list[str] = []
        for rule, queue in self._queues.items():
            answer = self._sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            for message in answer.get("Messages", ()):
                self._sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                arn = self.arns[_RULES[rule]]
                # moto writes the name of this field in its own way.
                event = message["Body"].replace('"eTag":', '"etag":')
                made = self.states.start_execution(
                    stateMachineArn=arn, input=event, name=uuid4().hex
                )
                started.append(str(made["executionArn"]))
        return started

    def announce_end(self, arn: str) -> None:
        """Send the event that AWS sends when an execution has ended."""
        found = self.states.describe_execution(executionArn=arn)
        names = ("executionArn", "stateMachineArn", "name", "status", "input")
        entry = {
            "Source": "aws.states",
            "DetailType": "Step Functions Execution Status Change",
            "Detail": json.dumps({name: found[name] for name in names}),
        }
        self._events.put_events(Entries=[entry])

    def executions(self, machine: str) -> list[dict[str, Any]]:
        """Return the executions of a state machine."""
        found = self.states.list_executions(stateMachineArn=self.arns[machine])
        return list(found["executions"])

    def wait(self, arn: str, seconds: float = 300.0) -> dict[str, Any]:
        """Return the description of an execution when it has ended.

        Raises:
            TimeoutError: it has not ended in time.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found: dict[str, Any] = self.states.describe_execution(executionArn=arn)
            if found["status"] in _ENDED:
                return found
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"{arn}: has not ended in {seconds:g} s")

    def history(self, arn: str) -> list[dict[str, Any]]:
        """Return the events of an execution."""
        pages = self.states.get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]
