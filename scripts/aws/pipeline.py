"""Parameters of the pipeline in the template."""

import json
from collections.abc import Iterable, Mapping

from app.errors import UsageError
from scripts.aws.cloud import Cloud
from scripts.aws.command import check_settings
from scripts.aws.jobs import image_uri
from scripts.aws.limits import has_gpu, has_own_disk

SWITCH = "Pipeline"
CHOICES = (
    *("Hide", "CuttingInstanceType", "MaxInstances", "MaxRuntimeSeconds", "MaxVideoSeconds"),
    *("PieceSeconds", "DirectBytes", "PipelineVolumeGb", "NotifyEmail"),
)
"""Parameters with a default in the template, which only the user changes."""
_DERIVED = (
    *("PipelineImage", "PipelineInstanceType", "PipelineDevice", "PipelineOwnDisk"),
    *("PipelineSettings", "PeoplePrefix"),
)
"""Parameters that follow the variables whenever the pipeline is switched on."""
_MOST_LETTERS = 18
"""Of the project: with a hash of 32, ``-transform-3`` and a hyphen, a job has a name of 63."""
_MOST_OF_SETTING = 256
"""Characters of a variable in the environment of a Processing job."""


def parse_choices(texts: Iterable[str]) -> dict[str, str]:
    """Return the parameters in ``NAME=VALUE``.

    Raises:
        UsageError: a text has another form, or names no choice.

    >>> parse_choices(["Hide=listed"])
    {'Hide': 'listed'}
    """
    out: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in CHOICES:
            raise UsageError(f"{text}: must be NAME=VALUE with one of {', '.join(CHOICES)}")
        out[name] = value
    return out


def pipeline_parameters(
    cloud: Cloud, switch: str | None, choices: Mapping[str, str], has: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters that differ from the defaults of the template.

    Args:
        cloud: the account.
        switch: ``on``, ``off``, or None to leave the pipeline as it is.
        choices: the parameters that the user gives.
        has: the parameters of the stack.

    Raises:
        UsageError: the settings are wrong, nobody would be hidden by them, or the name of the
            project is too long.
        CloudError: there is no image.
    """
    is_on = has.get(SWITCH) == "on" if switch is None else switch == "on"
    if not is_on:
        # Nothing is kept: when it is switched on again, everyone is hidden unless that is chosen.
        return dict(choices) if switch is None else {**choices, SWITCH: "off"}
    kept = {name: has[name] for name in (*CHOICES, *_DERIVED) if name in has}
    out = {SWITCH: "on", **(kept if has.get(SWITCH) == "on" else {}), **choices}
    return out | (_derived(cloud, out.get("Hide", "everyone")) if switch == "on" else {})


def _derived(cloud: Cloud, hide: str) -> dict[str, str]:
    variables = cloud.variables
    settings = dict(variables.options)
    _check_lengths(variables.project, settings)
    check_settings(settings | {"FACE_BLUR_BLUR": hide}, people=hide != "everyone")
    return {
        "PipelineImage": image_uri(cloud),
        "PipelineInstanceType": variables.transform_type,
        "PipelineDevice": "gpu" if has_gpu(variables.transform_type) else "cpu",
        "PipelineOwnDisk": "true" if has_own_disk(variables.transform_type) else "false",
        "PipelineSettings": json.dumps(settings, sort_keys=True),
        "PeoplePrefix": variables.people_prefix,
    }


def _check_lengths(project: str, settings: Mapping[str, str]) -> None:
    """Check what SageMaker would refuse only after the upload of a video.

    Raises:
        UsageError: a name or a value is too long.
    """
    if len(project) > _MOST_LETTERS:
        raise UsageError(
            f"PROJECT has {len(project)} letters; with the pipeline it may have {_MOST_LETTERS}, "
            "because jobs are named after it"
        )
    for name, value in settings.items():
        if len(value) > _MOST_OF_SETTING:
            raise UsageError(
                f"{name} has {len(value)} characters; Processing jobs take {_MOST_OF_SETTING}"
            )
