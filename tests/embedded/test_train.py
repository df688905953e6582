import argparse
import json

import pytest
import torch

from texcsd.embedded import train
from texcsd.embedded.model import TextToImage, load_pipeline, save_pipeline
from texcsd.guidance.denoiser import load_denoiser


def arguments(run, **options):
    defaults = {
        "run": str(run),
        "start_from": None,
        "steps": 2,
        "minutes": 60.0,
        "batch": 2,
        "learning_rate": 1e-3,
        "text_rate": 1.0,
        "cooldown": 0.5,
        "average": 0.9,
        "replay": 66,
        "fill": 1,
        "fresh": 0.1,
        "shapes": 8,
        "workers": 1,
        "seed": 0,
        "device": "cpu",
        "compile": False,
        "log_every": 1,
        "save_every": 100,
    }
    return argparse.Namespace(**defaults | options)


def test_a_run_goes_on_from_its_checkpoint_and_leaves_a_model_that_loads(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(train, "SHEET_PROMPTS", ("gold",))
    monkeypatch.setattr(train, "VALIDATION_TIMESTEPS", (500,))
    train.train(arguments(tmp_path))
    train.train(arguments(tmp_path, steps=3))
    steps = [json.loads(line).get("step") for line in capsys.readouterr().out.splitlines()]
    assert steps == [1, 2, 2, 3, 3]
    denoiser = load_denoiser(str(tmp_path / "weights"))
    assert denoiser.image_size == 64 and denoiser.licence == "Apache-2.0"
    assert (tmp_path / "sheet-0000003.png").exists()


def test_saved_weights_are_what_a_new_run_can_start_from(tmp_path):
    torch.manual_seed(0)
    saved, loaded = TextToImage(), TextToImage()
    save_pipeline(saved, tmp_path, {})
    load_pipeline(loaded, tmp_path)
    for (name, first), second in zip(saved.named_parameters(), loaded.parameters(), strict=True):
        assert torch.equal(first.half(), second.half()), name


def test_the_learning_rate_warms_up_stays_and_falls_to_zero():
    factors = [train.learning_rate_factor(step, step / 1e4, cooldown=0.3) for step in range(10_000)]
    assert factors[0] < 0.01 and factors[5_000] == 1 and factors[-1] < 0.001
    falls = torch.tensor(factors[7_000:]).diff()
    assert (falls <= 0).all()


def test_velocity_and_noisy_image_give_back_clean_image_and_noise():
    clean, noise = torch.randn(3, 3, 4, 4), torch.randn(3, 3, 4, 4)
    alpha_cumprod = torch.tensor([0.9, 0.5, 0.1])
    noisy, velocity = train.velocity_target(clean, noise, alpha_cumprod)
    alpha, sigma = (a.sqrt().view(-1, 1, 1, 1) for a in (alpha_cumprod, 1 - alpha_cumprod))
    assert torch.allclose(alpha * noisy - sigma * velocity, clean, atol=1e-5)
    assert torch.allclose(sigma * noisy + alpha * velocity, noise, atol=1e-5)


def test_an_error_in_the_background_counts_a_fifth_of_one_on_the_object():
    target = torch.zeros(1, 3, 2, 2)
    geometry = torch.zeros(1, 1, 2, 2)
    # As it comes out of 8 bits: the background is not quite 0.
    geometry[..., 0] = 0.5
    geometry[..., 1] = 0.004
    on_object, beside = torch.zeros_like(target), torch.zeros_like(target)
    on_object[..., 0], beside[..., 1] = 1.0, 1.0
    assert train.object_loss(on_object, target, geometry) == pytest.approx(0.5)
    assert train.object_loss(beside, target, geometry) == pytest.approx(0.1)


def test_the_replay_buffer_keeps_the_newest_scenes_within_8_bits():
    scenes = train.make_chunk(5, 6, "cpu")
    replay = train.Replay(capacity=42, device="cpu")
    replay.add(train.make_chunk(4, 2, "cpu"))
    replay.add(scenes)
    newest = len(scenes.captions) - 1
    slot = (12 + newest) % 42
    stored = replay.pixels[slot, :3].permute(1, 2, 0) / 255
    assert (stored - scenes.images[newest]).abs().max() <= 0.51 / 255
    assert replay.captions[slot] == scenes.captions[newest]
    told = replay.geometry[slot // train.LOOKS_PER_SHAPE].permute(1, 2, 0) / 127.5 - 1
    expected = scenes.geometry[newest // train.LOOKS_PER_SHAPE]
    assert (told - expected).abs().max() <= 1.02 / 255


@pytest.mark.parametrize("seed", [1, 2])
def test_a_chunk_depends_on_its_seed_alone(seed):
    first, again = train.make_chunk(seed, 2, "cpu"), train.make_chunk(seed, 2, "cpu")
    assert torch.equal(first.images, again.images) and first.captions == again.captions


def test_a_run_ends_when_its_minutes_are_over_and_saves_what_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SHEET_PROMPTS", ("gold",))
    monkeypatch.setattr(train, "VALIDATION_TIMESTEPS", (500,))
    train.train(arguments(tmp_path, steps=10_000, minutes=1e-6, workers=0))
    notes = json.loads((tmp_path / "weights" / "training.json").read_text())
    assert notes["step"] == 1


def test_a_text_rate_of_0_leaves_the_text_encoder_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "SHEET_PROMPTS", ("gold",))
    monkeypatch.setattr(train, "VALIDATION_TIMESTEPS", (500,))
    begun, ended = TextToImage(), TextToImage()
    save_pipeline(begun, tmp_path / "begun", {})
    train.train(arguments(tmp_path, start_from=str(tmp_path / "begun"), workers=0, text_rate=0.0))
    load_pipeline(ended, tmp_path / "weights")
    for part, same in (("text_encoder", True), ("unet", False)):
        before, after = (getattr(model, part).half().state_dict() for model in (begun, ended))
        assert all(torch.equal(before[name], after[name]) for name in before) is same
