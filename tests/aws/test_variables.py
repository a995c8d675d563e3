"""The variables of the commands: their sources, and their errors."""

import runpy
from pathlib import Path

import pytest

from app.errors import ConfigError
from scripts.aws.variables import Variables
from tests.foreign_phrases import foreign

EXAMPLE = Path(__file__).parents[2] / "scripts" / "ex_variables.py"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "variables.py"
    path.write_text('from os import path\nPROJECT = "of-file"\nBUCKET = "of-file"\nVOLUME_GB = 7\n')
    return path


def test_the_example_explains_every_variable_and_has_the_defaults() -> None:
    example = {key: value for key, value in runpy.run_path(str(EXAMPLE)).items() if key.isupper()}
    assert {key.lower() for key in example} == set(Variables.model_fields)
    assert example.pop("OPTIONS") == {"FACE_BLUR_EFFECT": "blur"}
    assert Variables.load({}, EXAMPLE, {}) == Variables(options={"FACE_BLUR_EFFECT": "blur"})
    defaults = Variables().model_dump(exclude={"options"})
    assert {key.lower(): value for key, value in example.items()} == {
        key: list(value) if isinstance(value, tuple) else value for key, value in defaults.items()
    }


def test_options_override_the_environment_and_that_the_file(file: Path) -> None:
    environment = {"DEPLOY_BUCKET": "of-environment", "DEPLOY_PROJECT": "environment", "HOME": "/"}
    found = Variables.load({"project": "option"}, file, environment)
    assert (found.project, found.bucket, found.volume_gb) == ("option", "of-environment", 7)
    assert found.region == "eu-north-1"


def test_without_a_file_the_defaults_apply() -> None:
    assert Variables.load({}, None, {}) == Variables()


def test_the_default_file_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.aws.variables.FILE", file)
    assert Variables.load({}, None, {}).bucket == "of-file"


def test_lists_can_be_text() -> None:
    found = Variables.load(
        {"subnets": "subnet-1,subnet-2"},
        None,
        {"DEPLOY_OPTIONS": "FACE_BLUR_EFFECT=solid, FACE_BLUR_SELECT=1,2,3 ,FACE_BLUR_PAD=4"},
    )
    assert found.subnets == ("subnet-1", "subnet-2")
    assert found.options == {
        "FACE_BLUR_EFFECT": "solid",
        "FACE_BLUR_SELECT": "1,2,3",
        "FACE_BLUR_PAD": "4",
    }
    assert Variables.load({"subnets": "", "options": ""}, None, {}) == Variables()


def test_all_errors_are_in_one_line() -> None:
    wrong = {
        "region": "north",
        "project": "Face_Blur",
        "timeout_seconds": "3601",
        "instance_count": "many",
        "input_prefix": "/videos",
        "options": "EFFECT=solid",
        "colour": "red",
    }
    with pytest.raises(ConfigError) as caught:
        Variables.load(wrong, None, {})
    text = str(caught.value)
    assert "\n" not in text
    assert [fault.split(":")[0] for fault in text.split("; ")] == [
        "REGION",
        "PROJECT",
        "INPUT_PREFIX",
        "INSTANCE_COUNT",
        "TIMEOUT_SECONDS",
        "OPTIONS",
        "COLOUR",
    ]
    assert text.endswith("COLOUR: unknown variable")
    assert foreign(text) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bucket", "Videos"),
        ("bucket", "s3://videos"),
        ("repository", "UPPER"),
        ("role_arn", "role/x"),
        ("image_tag", "a b"),
        ("output_prefix", "output"),
        ("people_prefix", "/people/"),
        ("instance_type", "g4dn.xlarge"),
        ("volume_gb", 0),
        ("max_runtime_seconds", 777_601),
        ("kms_key", "my key"),
        ("security_groups", "a,b,c,d,e,f"),
    ],
)
def test_values_that_aws_would_refuse_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name.upper()}: "):
        Variables(**{name: value})


@pytest.mark.parametrize("prefix", ["work/", "failed/", "work/videos/"])
@pytest.mark.parametrize("name", ["input_prefix", "output_prefix", "people_prefix"])
def test_the_prefixes_of_the_pipeline_are_reserved(name: str, prefix: str) -> None:
    # Pieces and failures below input_prefix would be processed as videos again and again.
    with pytest.raises(ConfigError, match="overlap"):
        Variables(**{name: prefix})


@pytest.mark.parametrize("character", ["'", '"', "{", "}", "*", "?", "$"])
def test_prefixes_have_no_characters_with_a_meaning_in_policies_and_definitions(
    character: str,
) -> None:
    with pytest.raises(ConfigError, match="INPUT_PREFIX"):
        Variables(input_prefix=f"a{character}b/")


@pytest.mark.parametrize(
    ("inner", "outer"), [("output", "input"), ("people", "input"), ("input", "output")]
)
def test_prefixes_must_not_overlap(inner: str, outer: str) -> None:
    prefixes = {f"{inner}_prefix": "videos/inner/", f"{outer}_prefix": "videos/"}
    with pytest.raises(ConfigError, match=r"prefixes videos/ and videos/inner/ overlap"):
        Variables(**prefixes)
    with pytest.raises(ConfigError, match="overlap"):
        Variables(**dict.fromkeys(prefixes, "videos/"))
    assert Variables(**prefixes | {f"{outer}_prefix": "video/"})


@pytest.mark.parametrize("text", ["BUCKET = ", "raise ValueError('no')", "import no_such_module"])
def test_the_error_names_a_file_that_cannot_be_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"mine\.py: cannot be run: \w+Error"):
        Variables.load({}, path, {})


def test_the_error_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.py: cannot be run: FileNotFoundError"):
        Variables.load({}, tmp_path / "no.py", {})


def test_an_unknown_name_in_the_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "variables.py"
    path.write_text('BUKET = "videos"')
    with pytest.raises(ConfigError, match=r"^BUKET: unknown variable$"):
        Variables.load({}, path, {})
