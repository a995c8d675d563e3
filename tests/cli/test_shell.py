"""The version, the help, the completion of shells and the manual page."""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli import main
from app.cli.parser import make_parser

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "zsh", "tcsh")


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(found.choices)


def options() -> Iterator[tuple[str, str]]:
    """Each command with each of its options."""
    for name, parser in commands().items():
        for action in parser._actions:
            yield from ((name, option) for option in action.option_strings)


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"face-blur {project['version']}\n"


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([])
    alone = capsys.readouterr()
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    assert alone == capsys.readouterr()
    assert alone.err == ""
    assert all(re.search(rf"^    {name}\s", alone.out, re.MULTILINE) for name in commands())


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The completion for a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "completion", request.param],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    path = tmp_path / "script"
    path.write_text(done.stdout)
    return path


@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_a_script_names_every_command_and_option(script: Path) -> None:
    text = script.read_text()
    for command, option in options():
        assert command in text
        assert re.search(rf"{re.escape(option.lstrip('-'))}\b", text), option


@pytest.mark.parametrize(("script", "shell"), [(one, one) for one in SHELLS], indirect=["script"])
def test_a_script_is_valid_in_its_shell(script: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", str(script)], check=True)


def completed(script: Path, folder: Path, *words: str) -> set[str]:
    """The words that bash offers in place of the last one."""
    ask = (
        f"source {script}; function=$(complete -p face-blur | sed 's/.*-F \\([^ ]*\\).*/\\1/');"
        ' COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE};'
        ' $function face-blur "${!#}" "${COMP_WORDS[$((COMP_CWORD - 1))]}";'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", ask, "bash", "face-blur", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.strip() for line in done.stdout.splitlines() if line.strip()}


@pytest.mark.parametrize("script", ["bash"], indirect=True)
def test_bash_completes_commands_options_values_and_files(script: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    (folder / "photos").mkdir(parents=True)
    (folder / "clip.mp4").touch()
    assert completed(script, folder, "") >= set(commands())
    assert completed(script, folder, "an") == {"analyse"}
    assert completed(script, folder, "blur", "--sel") == {"--select"}
    assert completed(script, folder, "blur", "--effect", "") == {"blur", "pixelate", "solid"}
    assert completed(script, folder, "completion", "") >= set(SHELLS)
    files = {name.rstrip("/") for name in completed(script, folder, "blur", "")}
    assert {"clip.mp4", "photos"} <= files
    folders = {name.rstrip("/") for name in completed(script, folder, "blur", "--people", "")}
    assert folders == {"photos"}
    assert "clip.mp4" in completed(script, folder, "blur", "clip.mp4", "-o", "")


def test_an_unknown_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "cmd"]) == 2
    assert (
        "choose from bash, zsh, tcsh (see face-blur completion --help)" in capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The manual page as ``make man`` makes it, rendered as text."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    dry = subprocess.run(
        ["make", "--dry-run", "--always-make", "man"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = dry.stdout.replace("\\\n", " ")
    (line,) = (line for line in text.splitlines() if "argparse-manpage" in line)
    path = tmp_path_factory.mktemp("man") / "face-blur.1"
    command = line.replace("build/face-blur.1", str(path))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, check=True)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-rLL=200n", "-ww", "-P-cbou", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "", "warnings of the formatter"
    return done.stdout.replace("\N{HYPHEN}", "-").replace("\N{MINUS SIGN}", "-")


def test_the_manual_page_has_every_option_of_every_command(page: str) -> None:
    for name, parser in commands().items():
        _, found, section = page.partition(f"OPTIONS 'face-blur {name}'")
        assert found, name
        section = re.split(r"^(?:COMMAND|OPTIONS)\b", section, maxsplit=1, flags=re.MULTILINE)[0]
        assert f"face-blur {name}" in page
        for action in parser._actions:
            for option in action.option_strings:
                if option not in {"-h", "--help"}:
                    assert re.search(rf"^ +.*(?<![\w-]){option}(?![\w-])", section, re.MULTILINE), (
                        name,
                        option,
                    )
    assert "exit codes: 0 done, 1 failed, 2 usage error" in " ".join(page.split())
