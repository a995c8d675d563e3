"""Settings without effect are refused, and every error is in our own words."""

import re
from pathlib import Path

import pytest
from PIL import Image

from app.cli import main
from app.cli.given import USED
from app.config import ENV_PREFIX, ServiceSettings, Settings
from app.errors import ConfigError
from testmedia.videos import VideoSpec
from tests.foreign_phrases import foreign

WRONG: tuple[object, ...] = (
    *("?", "", " ", "-1", "1e400", "nan", "x" * 500, "1,2", "\0", "9" * 5000),
    *(-1, 10**30, 2.5, float("nan"), True, None, [], [1], ["?"], [[]], {}, {"a": 1}, b"\xff"),
)
"""Values that some settings refuse: wrong types, out of range, unknown words, wrong lists."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return VideoSpec(count=3).write(tmp_path / "in.mp4")


def refused(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    """Run a command that is refused before any work, and return its error."""
    capsys.readouterr()
    assert main(list(map(str, command))) == 2, command
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("face-blur: error: ")
    assert captured.err.count("\n") == 1
    assert foreign(captured.err) == [], captured.err
    return captured.err


@pytest.mark.parametrize("kind", [Settings, ServiceSettings])
def test_wrong_values_of_all_settings_are_in_own_words(
    kind: type[Settings] | type[ServiceSettings],
) -> None:
    counts = dict.fromkeys(kind.model_fields, 0)
    for name in kind.model_fields:
        for value in WRONG:
            try:
                kind(**{name: value})
            except ConfigError as error:
                counts[name] += 1
                said = str(error)
                assert said.startswith((f"{name}: ", "blur=")), said
                assert (foreign(said), "\n" in said) == ([], False), said
                assert len(said) < 300
    assert [name for name, count in counts.items() if count < 5] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_wrong_values_in_set_and_toml(
    name: str, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "settings.toml"
    for text in ("[[[1]]]", "{a = 1}", "1979-05-27", "nan"):
        config.write_text(f"{name} = {text}\n")
        command = ("blur", video, "-o", tmp_path / "out.mp4", "--config", config)
        assert f"{name}: " in refused(capsys, *command)
    if Settings.model_fields[name].annotation not in {str, str | None, Path | None}:
        wrong = ("blur", video, "-o", tmp_path / "out.mp4", "--set", f"{name}=?")
        assert refused(capsys, *wrong).endswith(" (see face-blur blur --help)\n")


@pytest.mark.parametrize(
    "content",
    [
        *(b"margin", b"margin = ", b'margin = "', b"\xff\xfe", b"[a", b"a = 1\na = 2", b"\0"),
        *(b"a = " + b"[" * 5000, b"margin = 0.1 0.2", b"= 3", b"margin = 2020-99-99"),
    ],
)
def test_what_is_not_toml_is_refused_in_own_words(
    content: bytes, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "settings.toml"
    config.write_bytes(content)
    error = refused(capsys, "blur", video, "-o", tmp_path / "out.mp4", "--config", config)
    assert re.search("not valid TOML|nested too deeply", error)


USELESS = (
    ("blur", "--people {folder} --blur everyone", "--people"),
    ("blur", "--select 0,1,1 --blur everyone", "--select"),
    ("blur", "--unclear keep", "--unclear"),
    ("blur", "--unclear keep --people {folder} --blur others", "--unclear"),
    ("blur", "--recogniser open", "--recogniser"),
    ("blur", "--set sure=0.5", "--set sure"),
    ("blur", "--set doubtful=0.5 --blur everyone", "--set doubtful"),
    ("blur", "--effect solid --set cells=2", "--set cells"),
    ("blur", "--set sampling=every --set look_every=0.5", "--set look_every"),
    ("blur", "--preset faster --encoder nvenc", "--preset"),
    ("blur", "--models open --detector open", "--models"),
    ("blur", "--models a --detector b --recogniser c --people {folder}", "--models"),
    ("analyse", "--set encoder=auto", "--set encoder"),
    ("analyse", "--people {folder} --blur everyone", "--people"),
)


@pytest.mark.parametrize(("command", "options", "named"), USELESS)
def test_a_combination_without_effect_is_refused(
    command: str,
    options: str,
    named: str,
    tmp_path: Path,
    video: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = options.format(folder=tmp_path).split()
    error = refused(capsys, command, video, "-o", tmp_path / "out.mp4", *filled)
    assert f"error: {named} has no effect " in error
    assert "remove " in error
    assert error.endswith(f" (see face-blur {command} --help)\n")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_command_refuses_what_it_does_not_use(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files are missing, so a setting that is accepted gives another error."""
    value = {
        **dict.fromkeys(("margin", "look_every", "sure", "doubtful"), "0.5"),
        **dict.fromkeys(("quality", "threads", "pad", "cells"), "3"),
        "blur": "everyone",
        "unclear": "keep",
        "select": "0,1,1",
        "effect": "blur",
        "shape": "ellipse",
        "feather": "0",
        "precision": "auto",
        "device": "cpu",
        "encoder": "auto",
        "preset": "faster",
        "copy_untouched": "never",
        "keep_location": "true",
        "accept_truncated": "true",
        "drop_stream": "audio",
        "shots": "none",
        "sampling": "every",
        "rotate": "none",
        "verify": "true",
    }.get(name, "x")
    none = tmp_path / "none"
    commands = {
        "analyse": ("analyse", none, "-o", none),
        "people": ("people", none),
        "verify": ("verify", none, none),
        "models": ("models", "list"),
    }
    for command, words in commands.items():
        if name not in USED[command]:
            error = refused(capsys, *words, "--set", f"{name}={value}")
            assert f"--set {name} has no effect on {command}; remove it" in error


def test_the_settings_of_the_first_pass_are_refused_by_render(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.json"
    assert main(["analyse", str(video), "-o", str(plan), "--rotate", "none", "--quiet"]) == 0
    command = ("render", video, plan, "-o", tmp_path / "out.mp4")
    for name in ("people=x", "select=0,1,1", "pad=4", "blur=others", "models=open", "sure=0.5"):
        assert "has no effect on render; remove it" in refused(capsys, *command, "--set", name)
    assert "there is no option --people" in refused(capsys, *command, "--people", "x")
    assert "face-blur render --help" in refused(capsys, *command, "--people", "x")
    error = refused(capsys, *command, "--effect", "solid", "--set", "cells=3")
    assert "--set cells has no effect with effect=solid" in error
    assert not (tmp_path / "out.mp4").exists()


def test_the_environment_and_the_file_may_hold_settings_of_other_commands(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("cells = 2\nlook_every = 0.5\n")
    monkeypatch.setenv("FACE_BLUR_PAD", "5")
    monkeypatch.setenv("FACE_BLUR_UNCLEAR", "keep")
    plan, result = tmp_path / "plan.json", tmp_path / "out.mp4"
    options = ["--config", str(config), "--quiet", "--set", "effect=solid"]
    analysis = ["--rotate", "none", "--set", "sampling=every"]
    assert main(["analyse", str(video), "-o", str(plan), *options, *analysis]) == 0
    assert main(["render", str(video), str(plan), "-o", str(result), *options]) == 0


@pytest.mark.parametrize(
    ("action", "option"),
    [
        ("list", "--part=detector"),
        ("list", "--accept-licence"),
        ("list", "--from=x"),
        ("list", "--no-substitute"),
        ("verify", "--accept-licence"),
        ("verify", "--from=x"),
        ("verify", "--no-substitute"),
    ],
)
def test_options_of_fetch_are_refused_by_other_actions(
    action: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = option.partition("=")[0]
    assert f"{name} has no effect on models {action}" in refused(capsys, "models", action, option)


def test_a_setting_that_an_image_does_not_use_causes_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (64, 48)).save(path)
    command = ["blur", str(path), "-o", str(tmp_path / "out.png"), "--rotate", "none"]
    useless = ["--encoder", "software", "--set", "pad=4", "--quality", "50"]
    assert main([*command, *useless, "--set", "margin=0.3"]) == 0
    warned = re.findall(r"warning: .*in\.png: (\S+( \w+)?) has no effect", capsys.readouterr().err)
    assert [name for name, _ in warned] == ["--encoder", "--set pad", "--quality"]


@pytest.mark.parametrize(
    "line",
    [
        *("blur", "blur a", "blur a -o", "blur a -o b --effect dots", "blur a -o b --no --way=1"),
        *("analyse a b -o c", "models steal", "hide a", "blur a -o b --quiet=1", "--set a=b blur"),
        *("blur {missing} -o b.mp4", "blur {folder} -o b.mp4"),
        *("analyse {video} -o {folder}", "analyse {video} -o {missing}/b.json"),
        *("people {missing}", "people {video}", "render {video} {missing} -o b.mp4"),
        *("render {video} {folder} -o b.mp4", "render {video} {video} -o b.mp4"),
        *(
            "blur {video} -o {long}",
            "blur {long} -o b.mp4",
            "blur {video} -o b.mp4 --config {folder}",
        ),
        *("blur {text} -o b.mp4", "blur {broken} -o b.mp4", "blur {picture} -o b.png"),
        *("blur {video} -o {loop}/b.mp4", "blur {loop} -o b.mp4", "blur {secret} -o b.mp4"),
        *("analyse {video} -o {secret}/b.json", "people {pictures}"),
    ],
)
def test_no_command_shows_a_foreign_phrase(
    line: str, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {
        **{name: tmp_path / name for name in ("missing", "folder", "text", "loop", "secret")},
        "video": video,
        "broken": tmp_path / "broken.mp4",
        "long": tmp_path / ("n" * 300),
        "picture": tmp_path / "broken.png",
        "pictures": tmp_path / "pictures",
    }
    places["folder"].mkdir()
    places["text"].write_text("no video")
    places["loop"].symlink_to(places["loop"])
    places["secret"].touch(mode=0)
    places["broken"].write_bytes(b"\0\0\0\x18ftypisom" + b"\xff" * 500)
    Image.effect_noise((64, 64), 50).save(places["picture"])
    content = bytearray(places["picture"].read_bytes())
    content[60:600] = bytes(540)
    places["picture"].write_bytes(content)
    places["pictures"].mkdir()
    (places["pictures"] / "a.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    assert "see face-blur" in refused(capsys, *line.format(**places).split()) or "{" in line


@pytest.mark.parametrize(
    "line",
    [
        *("models verify none", "models list none", "models fetch none"),
        *("models fetch transnet --part detector", "models fetch open --from {missing}"),
        *("blur {video} -o b.mp4 --models none", "blur {video} -o b.mp4 --detector transnet"),
        *("analyse {video} -o b.json --select 0,1,1 --recogniser transnet",),
        *("blur {video} -o b.mp4 --device cuda", "blur {video} -o b.mp4 --encoder nvenc"),
    ],
)
def test_packs_parts_and_devices_that_do_not_exist_are_wrong_options(
    line: str, tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if Path("/dev/nvidiactl").exists() and ("cuda" in line or "nvenc" in line):
        pytest.skip("there is a GPU here")
    refused(capsys, *line.format(video=video, missing=tmp_path / "missing").split(), "--quiet")


def test_missing_weights_are_a_failure(
    tmp_path: Path, video: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option is right, and works once the weights have been fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "models" / "open").mkdir(parents=True)
    description = Path(__file__).parents[2] / "models" / "open" / "pack.toml"
    (tmp_path / "models" / "open" / "pack.toml").write_bytes(description.read_bytes())
    command = ["blur", str(video), "-o", str(tmp_path / "b.mp4"), "--models", "open"]
    assert main([*command, "--set", f"models_root={tmp_path / 'models'}", "--quiet"]) == 1
    assert "the weights are missing; run: face-blur models fetch open" in capsys.readouterr().err
