import argparse
import re

import pytest

from app.cli import main
from app.cli.parser import ANALYSIS_OPTIONS, RENDER_OPTIONS, make_parser
from app.config import Settings
from app.errors import UsageError


def _options(command: str) -> dict[str, argparse.Action]:
    (commands,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    parser: argparse.ArgumentParser = commands.choices[command]
    return {action.dest: action for action in parser._actions}


@pytest.mark.parametrize("command", ["blur", "analyse"])
def test_the_help_of_options_is_that_of_the_settings(command: str) -> None:
    options = _options(command)
    for name in (*ANALYSIS_OPTIONS, *RENDER_OPTIONS):
        if command == "analyse" and name in {"encoder", "verify"}:
            assert name not in options, "it would have no effect"
            continue
        assert str(Settings.model_fields[name].description) in str(options[name].help)


def test_help_lists_every_setting_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    output = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        line = next(line for line in output.splitlines() if re.match(rf"  {name} ", line))
        assert str(field.description) in line
        if field.default not in {None, (), False}:
            assert f"(default: {field.default})" in line


def test_choices_are_those_of_the_settings() -> None:
    options = _options("blur")
    assert options["blur"].choices == ("listed", "others", "everyone")
    assert options["effect"].choices == ("blur", "pixelate", "solid")
    assert options["quality"].choices is None


def test_an_absent_option_is_none() -> None:
    """Otherwise it would override the environment and the file."""
    args = make_parser().parse_args(["blur", "in", "-o", "out"])
    assert [getattr(args, name) for name in (*ANALYSIS_OPTIONS, *RENDER_OPTIONS)] == [None] * len(
        (*ANALYSIS_OPTIONS, *RENDER_OPTIONS)
    )


@pytest.mark.parametrize(
    "line",
    [
        "hide in -o out",
        "blur in",
        "blur in -o",
        "blur in -o out --effect smudge",
        "blur in -o out --unknown",
        "blur in -o out --over",
        "analyse in other -o out",
        "models steal",
    ],
)
def test_usage_errors_are_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        make_parser().parse_args(line.split())
    assert main(line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"face-blur: error: .+ \(see face-blur.* --help\)\n", captured.err)
