"""The shot detector of the settings, including the network."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import PackError
from app.packs.catalogue import load_pack
from app.pipeline import analyse, load_parts
from app.pipeline.analysis import shot_detector
from app.shots import ContentShots, NoShots, TransNetShots
from testmedia.clip import Clip
from testmedia.transnet_weights import converted
from testmedia.truth import leaked


def test_each_setting_gives_its_detector() -> None:
    converted()
    kinds = {"content": ContentShots, "none": NoShots, "transnet": TransNetShots}
    for name, kind in kinds.items():
        assert type(shot_detector(Settings.model_validate({"shots": name}))) is kind


def test_missing_weights_are_reported_with_the_command_to_fetch_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "models" / "transnet"
    folder.mkdir(parents=True)
    (folder / "pack.toml").write_bytes((load_pack("transnet").folder / "pack.toml").read_bytes())
    with pytest.raises(PackError, match="run: face-blur models fetch transnet"):
        shot_detector(Settings(shots="transnet", models_root=folder.parent))


@pytest.mark.parametrize("part", ["detector", "recogniser"])
def test_a_pack_for_shots_cannot_find_or_recognise_faces(part: str) -> None:
    settings = Settings.model_validate({part: "transnet", "people": "people"})
    with pytest.raises(PackError, match=f"transnet: the pack has no {part}"):
        load_parts(settings)


def test_the_network_finds_the_cuts_of_a_clip(clip: Callable[[str], Clip]) -> None:
    converted()
    made, settings = clip("dissolve"), Settings(shots="transnet")
    plan = analyse(made.path, settings, load_parts(settings))
    assert plan.settings["shots"] == "transnet"
    assert len(plan.shots) == 2
    assert leaked(made.truth, plan, made.truth.people, share=0.9, margin=0.2) == []
