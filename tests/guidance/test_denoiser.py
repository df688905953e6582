"""The loader, on small random pipelines of the classes real models are made of."""

import json
import shutil

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from texcsd.embedded.model import build_tokenizer
from texcsd.embedded.place import GEOMETRY_CHANNELS, MIXING_WEIGHTS, MODEL_CHANNELS
from texcsd.errors import TexcsdError
from texcsd.guidance.denoiser import EMBEDDED_FOLDER, load_denoiser
from texcsd.guidance.diffusers_denoiser import to_noise_prediction
from texcsd.guidance.score import Geometry


def save_random_pipeline(
    folder, in_channels=3, out_channels=3, prediction_type="epsilon", pooled_width=0
):
    """A small random pipeline; with a pooled width, its text encoder also pools."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=out_channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    tokenizer = build_tokenizer()
    text_class = CLIPTextModelWithProjection if pooled_width else CLIPTextModel
    text_encoder = text_class(
        CLIPTextConfig(
            projection_dim=pooled_width or 8,
            vocab_size=len(tokenizer),
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=16,
        )
    )
    unet.save_pretrained(folder / "unet")
    text_encoder.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    DDIMScheduler(prediction_type=prediction_type).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", text_class.__name__],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "scheduler": ["diffusers", "DDIMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return save_random_pipeline(tmp_path_factory.mktemp("pipeline"))


@pytest.fixture
def copy(pipeline, tmp_path):
    return shutil.copytree(pipeline, tmp_path / "copy")


def predict(denoiser, views=2, depth=0.5, width=1.0, normal=0.0, position=0.0):
    size = denoiser.image_size
    pixels = torch.ones(views, 2 * size, 2 * size, 3)
    geometry = Geometry(depth * pixels[..., :1], normal * pixels, position * pixels)
    generator = torch.Generator().manual_seed(1)
    noisy = torch.randn(views, 3, size, size, generator=generator)
    embeddings = denoiser.encode_prompts(["red leather"] * views)
    return denoiser.predict_noise(
        noisy,
        torch.full((views,), 300),
        embeddings,
        denoiser.encode_geometry(geometry),
        torch.full((views,), width),
    )


def test_a_plain_pixel_model_loads_from_its_folder_and_ignores_depth(pipeline):
    denoiser = load_denoiser(str(pipeline))
    assert denoiser.image_size == 16
    assert torch.equal(predict(denoiser, depth=0.0), predict(denoiser, depth=1.0))
    assert torch.equal(predict(denoiser, position=0.0), predict(denoiser, position=1.0))


def test_channels_beyond_the_output_take_the_depth_image(tmp_path):
    denoiser = load_denoiser(str(save_random_pipeline(tmp_path, in_channels=4)))
    assert not torch.equal(predict(denoiser, depth=0.0), predict(denoiser, depth=1.0))


def save_model_that_is_told_places(folder):
    return save_random_pipeline(folder, in_channels=3 + MODEL_CHANNELS, pooled_width=MIXING_WEIGHTS)


def test_a_model_with_many_more_channels_is_told_normals_and_positions(tmp_path):
    denoiser = load_denoiser(str(save_model_that_is_told_places(tmp_path)))
    base = predict(denoiser)
    assert denoiser.takes_positions
    assert not torch.equal(base, predict(denoiser, depth=0.9))
    assert not torch.equal(base, predict(denoiser, normal=1.0))
    assert not torch.equal(base, predict(denoiser, position=1.0))


def test_the_pooled_embedding_decides_which_fields_of_the_place_are_seen(tmp_path):
    denoiser = load_denoiser(str(save_model_that_is_told_places(tmp_path)))
    pixels = torch.ones(1, 32, 32, 3)
    condition = denoiser.encode_geometry(Geometry(pixels[..., :1], pixels, 0.3 * pixels))
    embeddings = denoiser.encode_prompts(["red leather"])
    noisy, timestep, width = torch.zeros(1, 3, 16, 16), torch.tensor([300]), torch.ones(1)
    unmixed = embeddings.clone()
    unmixed[:, denoiser.prompt_encoder.limits[0] :] = 0
    told = denoiser.predict_noise(noisy, timestep, embeddings, condition, width)
    untold = denoiser.predict_noise(noisy, timestep, unmixed, condition, width)
    assert not torch.equal(told, untold)


def test_the_channels_of_places_without_a_text_encoder_that_mixes_them_are_refused(tmp_path):
    folder = save_random_pipeline(tmp_path, in_channels=3 + MODEL_CHANNELS)
    with pytest.raises(TexcsdError, match="input and 3 output channels"):
        load_denoiser(str(folder))


def test_a_model_is_told_the_mean_of_the_pixels_it_sees_and_nothing_of_the_background(tmp_path):
    denoiser = load_denoiser(str(save_model_that_is_told_places(tmp_path)))
    half = torch.zeros(1, 32, 32, 1)
    half[:, ::2] = 0.8
    ones = torch.ones(1, 32, 32, 3)
    condition = denoiser.encode_geometry(Geometry(half, ones, 0 * ones))
    assert condition.shape == (1, GEOMETRY_CHANNELS, 16, 16)
    # Depth, normal, then sines and cosines of position 0; every other row is background.
    expected = torch.tensor([0.4] + 3 * [0.5] + 2 * (3 * [0.0] + 3 * [0.5]))
    assert torch.allclose(condition[:, :16], expected.view(1, -1, 1, 1).expand(1, 16, 16, 16))


def test_twelve_output_channels_are_pixels_folded_two_by_two(tmp_path):
    folder = save_random_pipeline(tmp_path, in_channels=16, out_channels=12)
    denoiser = load_denoiser(str(folder))
    assert denoiser.image_size == 32
    assert predict(denoiser).shape == (2, 3, 32, 32)


def test_a_latent_model_is_refused(tmp_path):
    folder = save_random_pipeline(tmp_path, in_channels=4, out_channels=4)
    with pytest.raises(TexcsdError, match="4 input and 4 output channels"):
        load_denoiser(str(folder))


def test_a_missing_folder_is_one_line():
    with pytest.raises(TexcsdError, match="no such folder; choose embedded"):
        load_denoiser("/nowhere/at-all")


def test_a_folder_without_a_pipeline_is_one_line(tmp_path):
    with pytest.raises(TexcsdError, match=r"no model_index\.json in it"):
        load_denoiser(str(tmp_path))


def test_a_class_that_is_not_on_the_list_is_refused(copy):
    index = json.loads((copy / "model_index.json").read_text())
    index["unet"] = ["os", "system"]
    (copy / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(TexcsdError, match="its unet is a os system"):
        load_denoiser(str(copy))


def test_pickled_weights_are_refused(copy):
    (weights,) = (copy / "unet").glob("*.safetensors")
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(TexcsdError, match="its unet has only pickled weights"):
        load_denoiser(str(copy))


def test_truncated_weights_are_one_line(copy):
    (weights,) = (copy / "unet").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(TexcsdError) as caught:
        load_denoiser(str(copy))
    assert "\n" not in str(caught.value)


def test_a_damaged_index_is_one_line(copy):
    (copy / "model_index.json").write_text("{")
    with pytest.raises(TexcsdError, match=r"model_index\.json cannot be read"):
        load_denoiser(str(copy))


def test_the_hash_changes_with_the_weights(copy):
    before = load_denoiser(str(copy)).weights_sha256
    (weights,) = (copy / "unet").glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert load_denoiser(str(copy)).weights_sha256 != before


def test_a_view_is_predicted_alike_alone_and_in_a_batch(pipeline):
    denoiser = load_denoiser(str(pipeline))
    # bfloat16 convolutions may sum in another order for another batch size.
    assert torch.allclose(predict(denoiser, 3)[:1], predict(denoiser, 1), atol=0.05)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_every_prediction_type_gives_the_same_noise(kind):
    clean, noise = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    alpha_cumprod = torch.tensor([0.99, 0.7, 0.3, 0.05])
    alpha, sigma = (a.sqrt().view(-1, 1, 1, 1) for a in (alpha_cumprod, 1 - alpha_cumprod))
    noisy = alpha * clean + sigma * noise
    output = {"epsilon": noise, "v_prediction": alpha * noise - sigma * clean, "sample": clean}
    found = to_noise_prediction(output[kind], kind, noisy, alpha_cumprod)
    assert torch.allclose(found, noise, atol=1e-4)


def test_the_embedded_model_lies_in_the_package_and_fits_in_16_mib():
    assert sum(p.stat().st_size for p in EMBEDDED_FOLDER.rglob("*.safetensors")) <= 16 * 2**20


def test_the_embedded_model_sees_prompt_geometry_and_view_width():
    denoiser = load_denoiser("embedded")
    assert denoiser.image_size == 64 and denoiser.licence == "Apache-2.0"
    base = predict(denoiser, depth=0.5, width=2.4)
    assert not torch.equal(base, predict(denoiser, depth=0.9, width=2.4))
    assert not torch.equal(base, predict(denoiser, depth=0.5, width=0.7))
    assert not torch.equal(base, predict(denoiser, depth=0.5, width=2.4, position=0.1))
    lava, gold = denoiser.encode_prompts(["lava", "gold"])
    assert not torch.allclose(lava, gold)


def test_the_embedded_model_leaves_sizes_to_those_who_tell_it_places():
    denoiser = load_denoiser("embedded")
    assert denoiser.pattern_scale("coarse stripes") == 2
    assert torch.equal(*denoiser.encode_prompts(["coarse stripes", "stripes"]))


LONG = "a toy chair with a pattern of the king on the head of the man"  # 15 words and the end.


def test_the_embedded_model_says_what_it_has_no_room_for():
    denoiser = load_denoiser("embedded")
    long = f"red leather, {LONG}!"
    read, unread = denoiser.split_at_limit(long)
    assert unread == "the man" and torch.equal(*denoiser.encode_prompts([long, read]))
    assert denoiser.check_prompt(long) == []


def test_the_embedded_model_refuses_a_prompt_whose_material_it_has_no_room_for():
    denoiser = load_denoiser("embedded")
    with pytest.raises(TexcsdError, match="reads no further than"):
        denoiser.check_prompt(f"{LONG} in red leather")
    assert denoiser.check_prompt(f"{LONG} in red leather", negative=True) == []


def test_the_embedded_model_names_words_it_does_not_know():
    denoiser = load_denoiser("embedded")
    assert denoiser.check_prompt("a leather armchair") == []
    assert len(denoiser.check_prompt("a flumox leather armchair")) == 1
    with pytest.raises(TexcsdError, match="nearest words"):
        denoiser.check_prompt("flumox")
