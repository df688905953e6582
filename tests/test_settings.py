"""Options are defined once, checked wherever they come from, and complained about in one line."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from texcsd.errors import TexcsdError
from texcsd.settings import EditSettings, PaintSettings, options, read_settings


def settings_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("prompt", "", "the prompt is empty"),
        ("prompt", " \t\n", "the prompt is empty"),
        ("prompt", 3, "prompt is 3; expected text"),
        ("model", "", "model is empty"),
        ("controlnet", " ", "controlnet is empty"),
        ("controlnet_scale_start", -0.1, "controlnet_scale_start is -0.1"),
        ("controlnet_scale_end", 11.0, "controlnet_scale_end is 11"),
        ("vae", " ", "vae is empty; choose auto, tiny, a folder or a hub id"),
        ("front", "y+", "front is y+ and up y+; they must be two different axes"),
        ("up", "+y", 'up "+y" is unknown; choose y+, z+, x+, y-, z- or x-'),
        ("perp_neg", -1.0, "perp_neg is -1"),
        ("weights", "positive", 'weights "positive" cannot be read'),
        ("weights", "positive=1, more=2", 'weights name "more", which is none of positive'),
        ("weights", "positive=1:2:3", 'weights "positive=1:2:3" cannot be read'),
        ("weights", "positive=nan", 'weights "positive=nan" cannot be read'),
        (
            "vae_checkpointing",
            "maybe",
            'vae_checkpointing "maybe" is unknown; choose auto, on or off',
        ),
        ("steps", 0, "steps is 0; choose a number from 1 to 1000000"),
        ("steps", True, "steps is True; expected a whole number"),
        ("steps", 1.5, "steps is 1.5; expected a whole number"),
        ("steps", "many", 'steps is "many"; expected a whole number'),
        ("views", -1, "views is -1; choose a number from 0"),
        ("texture_size", 0, "texture_size is 0; choose a number from 16 to 8192"),
        ("texture_size", 100000, "texture_size is 100000; choose a number from 16 to 8192"),
        ("seed", -1, "seed is -1; choose a number from 0"),
        ("seed", 2**63, "seed is 9223372036854775808; choose"),
        ("unwrap", "sometimes", 'unwrap "sometimes" is unknown; choose auto, always or never'),
        ("displace", 0.2, "displace is 0.2; choose a number from 0.0 to 0.1"),
        ("displace_steps", 0, "displace_steps is 0; choose a number from 1"),
        ("displace_detail", 0.0, "displace_detail is 0.0; choose a number from 0.001 to 1.0"),
        ("dmtet", 1, "dmtet is 1; expected true or false"),
        ("dmtet", "yes", 'dmtet is "yes"; expected true or false'),
        ("dmtet_resolution", 100, "dmtet_resolution is 100; choose one of 32, 64, 128, 256"),
        ("dmtet_strength", 0.0, "dmtet_strength is 0.0; choose a number from 0.001 to 0.5"),
        ("dmtet_steps", 0, "dmtet_steps is 0; choose a number from 1"),
        ("isosurface", "cubes", 'isosurface "cubes" is unknown; choose auto, tetrahedra'),
        ("target_faces", -1, "target_faces is -1; choose a number from 0"),
        ("device", "tpu", 'device "tpu" is unknown; choose auto, cpu or cuda'),
        ("device", ["cpu"], "device"),
        ("learning_rate", 0.0, "learning_rate is 0.0; choose a number from 1e-06 to 1.0"),
        ("learning_rate", float("nan"), "learning_rate is nan"),
        ("guidance", "vsd", 'guidance "vsd" is unknown; choose csd, sds, nfsd, bridge or asd'),
        ("guidance_scale", -1.0, "guidance_scale is -1.0"),
        ("timestep_schedule", "cosine", 'timestep_schedule "cosine" is unknown; choose constant'),
        ("timestep_weight", "snr", 'timestep_weight "snr" is unknown; choose uniform, noise or'),
        ("chunk", -1, "chunk is -1; choose a number from 0"),
        ("negative_scale_start", -1.0, "negative_scale_start is -1.0"),
        ("negative_scale_end", float("inf"), "negative_scale_end is inf"),
        ("timestep_max_start", 1.01, "timestep_max_start is 1.01"),
        ("timestep_max_end", 0.25, "timestep_max_end is 0.25; choose a number above 0.25 to 1.0"),
        ("timestep_min", -0.1, "timestep_min is -0.1"),
        ("close_up_fraction", 1.5, "close_up_fraction is 1.5"),
        ("prompt", "caf\udce9", "prompt has no letter at place 4, but 0xdce9, half of one"),
        ("negative_prompt", "\ud800", "negative_prompt has no letter at place 1"),
        ("weights", ",", 'weights "," gives every prediction the weight 0'),
        ("weights", " ", 'weights " " gives every prediction the weight 0'),
        ("weights", "positive=0, noise=0:-0.0", "gives every prediction the weight 0"),
        ("weights", "positive=1, noise=1, positive=2", "weights names positive twice"),
    ],
)
def test_a_bad_value_is_refused_in_one_line(name: str, value: object, complaint: str) -> None:
    with pytest.raises(TexcsdError, match=re.escape(complaint)) as raised:
        PaintSettings(**{"prompt": "gold", name: value})  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("digits", [400, 5000], ids=str)
def test_a_number_of_far_too_many_digits_is_refused_without_them(digits: int) -> None:
    for name, expected in (("learning_rate", "expected a number"), ("steps", "choose a number")):
        for sign in (1, -1):
            with pytest.raises(TexcsdError, match=f"{name} is a number of too many.*{expected}"):
                PaintSettings("gold", **{name: sign * 10**digits})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 1),
        ("texture_size", 16),
        ("texture_size", 8192),
        ("seed", 2**63 - 1),
        ("close_up_fraction", 0.0),
        ("close_up_fraction", 1.0),
        ("timestep_max_end", 1.0),
        ("negative_scale_end", 0.0),
    ],
)
def test_the_limits_themselves_are_allowed(name: str, value: object) -> None:
    settings = PaintSettings(**{"prompt": "gold", name: value})  # type: ignore[arg-type]
    assert getattr(settings, name) == value


def test_a_whole_number_is_a_float_where_a_float_is_meant() -> None:
    settings = PaintSettings("gold", learning_rate=1)
    assert isinstance(settings.learning_rate, float)


def test_json_restores_the_same_settings() -> None:
    settings = PaintSettings("gold", learning_rate=0.1 + 0.2, seed=2**63 - 1, unwrap="always")
    assert PaintSettings(**json.loads(json.dumps(settings.to_json()))) == settings


def test_every_field_has_a_help_text_of_its_own() -> None:
    names = [field.name for field in dataclasses.fields(PaintSettings)]
    assert [option.name for option in options()] == names
    texts = [option.help for option in options()]
    assert len(set(texts)) == len(texts)
    assert all(text.endswith(".") for text in texts)


def test_the_file_may_use_hyphens_and_underscores(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'texture-size = 512\nlearning_rate = 1\nunwrap = "never"\n')
    assert read_settings(path) == {"texture_size": 512, "learning_rate": 1, "unwrap": "never"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("texture_sice = 512", 'unknown setting "texture_sice"; did you mean "texture_size"?'),
        ("[paint]\nsteps = 3", 'unknown setting "paint"; did you mean'),
        ("zzz = 1", 'unknown setting "zzz"; did you mean'),
        ("steps = ", "is not valid TOML"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = settings_file(tmp_path, text)
    with pytest.raises(TexcsdError, match=re.escape(f"{path}: {complaint}")) as raised:
        read_settings(path)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TexcsdError, match="is not valid TOML"):
        read_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TexcsdError, match=r"nowhere\.toml: cannot be read"):
        read_settings(tmp_path / "nowhere.toml")


def edit_settings(**options) -> EditSettings:
    return EditSettings(**{"prompt": "wood", "source_prompt": "brick"} | options)


def test_editing_has_the_settings_of_painting_but_for_those_it_decides_itself() -> None:
    painting, editing = ({o.name for o in options(kind)} for kind in (PaintSettings, EditSettings))
    assert editing - painting == {"source_prompt", "mask"}
    assert painting - editing == set(EditSettings.not_offered)
    texts = [option.help for option in options(EditSettings)]
    assert len(set(texts)) == len(texts) and all(text.endswith(".") for text in texts)


def test_settings_of_editing_come_back_from_json() -> None:
    settings = edit_settings(mask="mask.png", texture_size=8)
    assert EditSettings(**json.loads(json.dumps(settings.to_json()))) == settings


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"source_prompt": " "}, "the source prompt is empty; say what the texture looks like now"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"guidance": "sds"}, "guidance is not a setting of edit; leave it out"),
        ({"negative_prompt": "dull"}, "negative_prompt is not a setting of edit"),
        ({"texture_size": 8193}, "texture_size is 8193; choose a number from 0 to 8192"),
        ({"only": 3}, "only is 3; expected text"),
    ],
)
def test_a_bad_setting_of_editing_is_refused_in_one_line(options: dict, complaint: str) -> None:
    with pytest.raises(TexcsdError, match=re.escape(complaint)):
        edit_settings(**options)


def test_a_file_may_have_the_settings_of_editing(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'mask = "seat.png"\n')
    assert read_settings(path, EditSettings) == {"mask": "seat.png"}
    with pytest.raises(TexcsdError, match='unknown setting "mask"'):
        read_settings(path)
