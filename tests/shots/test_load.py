"""Loading shot detectors by name, with and without weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.config import Settings
from app.errors import ConfigError, PackError
from app.identity.gallery import Gallery
from app.packs.catalogue import load_pack
from app.pipeline import FaceBlur, load_parts
from app.shots import ContentShots, NoShots, TransNetShots, load_shot_detector
from testmedia.clip import Clip
from testmedia.transnet_weights import converted
from testmedia.truth import leaked


def test_every_name_loads_its_detector() -> None:
    converted()
    kinds = {"content": ContentShots, "none": NoShots, "transnet": TransNetShots}
    for name, kind in kinds.items():
        assert type(load_shot_detector(name)) is kind
        settings = Settings.model_validate({"shots": name})
        assert type(load_shot_detector(settings.shots)) is kind


def test_missing_weights_say_how_to_fetch_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "models" / "transnet"
    folder.mkdir(parents=True)
    (folder / "pack.toml").write_bytes((load_pack("transnet").folder / "pack.toml").read_bytes())
    with pytest.raises(PackError, match="run: face-blur models fetch transnet"):
        load_shot_detector("transnet", models_root=folder.parent)


@pytest.mark.parametrize("part", ["detector", "recogniser"])
def test_pack_for_shots_has_no_face_parts(part: str) -> None:
    settings = Settings.model_validate({part: "transnet", "people": "people"})
    with pytest.raises(ConfigError, match=f"transnet: the pack has no {part}"):
        load_parts(settings)


def test_network_finds_the_cuts_of_a_video(clip: Callable[[str], Clip]) -> None:
    converted()
    made, settings = clip("dissolve"), Settings(shots="transnet")
    plan = FaceBlur(settings, parts=load_parts(settings), gallery=Gallery(())).analyse(made.path)
    assert plan.settings["shots"] == "transnet"
    assert len(plan.shots) == 2
    assert leaked(made.truth, plan, made.truth.people, share=0.9, margin=0.2) == []
