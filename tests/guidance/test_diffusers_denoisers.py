"""Every kind of model against diffusers' own pipeline of that kind, on small random weights.

What the pipeline feeds its UNet in a denoising step is recorded; the denoiser must feed the same.
"""

import inspect
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
import trimesh
from diffusers import StableDiffusionControlNetPipeline, StableDiffusionXLControlNetPipeline
from random_pipelines import (
    LATENT,
    XL_OPTIONS,
    deepfloyd_if,
    random_controlnet,
    random_tiny_vae,
    random_vae,
    save,
    stable_diffusion,
    stable_diffusion_depth,
    stable_diffusion_xl,
)
from safetensors.torch import load_file, save_file
from textured_meshes import write_glb

import texcsd
from texcsd.errors import TexcsdError
from texcsd.guidance.denoiser import load_denoiser
from texcsd.guidance.latent_denoiser import ACTIVATIONS, LatentDenoiser
from texcsd.guidance.pixel_denoiser import PixelDenoiser
from texcsd.guidance.score import (
    Geometry,
    PromptEmbeddings,
    csd_weights,
    score_direction,
    surrogate_loss,
)
from texcsd.guidance.text_encoders import append_pooled, split_pooled
from texcsd.settings import PaintSettings
from texcsd.synthesis import BYTES_PER_PIXEL, SUPERSAMPLING, choose_views

SIZE = 2 * LATENT
PROMPT = "red stone"
CONTROL_SCALE = 0.7


def xl_controlnet():
    return random_controlnet(20, **XL_OPTIONS)


def with_controlnet(cls, pipeline, controlnet):
    return cls(**pipeline.components, controlnet=controlnet)


KINDS = {
    "sd": (stable_diffusion, None),
    "sd-v": (lambda: stable_diffusion("v_prediction"), None),
    "sd-depth": (stable_diffusion_depth, None),
    "sd-control": (stable_diffusion, random_controlnet),
    "sdxl": (stable_diffusion_xl, None),
    "sdxl-control": (stable_diffusion_xl, xl_controlnet),
    "if": (deepfloyd_if, None),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """For each kind the folder of the model and that of the ControlNet."""
    saved = {}
    for kind, (pipeline, controlnet) in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        save(pipeline(), folder / "model")
        control = str(save(controlnet(), folder / "control")) if controlnet else "auto"
        saved[kind] = str(folder / "model"), control
    return saved


@pytest.fixture
def copy(folders, tmp_path):
    return lambda kind: Path(shutil.copytree(folders[kind][0], tmp_path / "copy"))


def load(folders, kind, **options):
    """In float32, to be compared with float32."""
    model, control = folders[kind]
    denoiser = load_denoiser(model, controlnet=control, **options)
    denoiser.controlnet_scale, denoiser.autocast = CONTROL_SCALE, False
    return denoiser


def depth_blocks(views=1):
    """Random depths, constant over 8 x 8 pixels, so that every resampling gives the same."""
    generator = torch.Generator().manual_seed(3)
    blocks = torch.rand(views, 1, LATENT, LATENT, generator=generator)
    blocks[:, :, 0] = 0  # Background.
    return blocks.repeat_interleave(8, 2).repeat_interleave(8, 3).permute(0, 2, 3, 1)


def geometry_of(depth):
    return Geometry(depth, depth.expand(-1, -1, -1, 3), depth.expand(-1, -1, -1, 3))


def record(module, calls):
    """Notes what a module is called with, by the names of its parameters, and what it returns."""
    signature = inspect.signature(type(module).forward)

    def hook(module, arguments, options, output):
        given = signature.bind(module, *arguments, **options).arguments
        calls.append((given, output if isinstance(output, tuple) else (output.sample,)))

    module.register_forward_hook(hook, with_kwargs=True)


def run_pipeline(kind, depth):
    """One denoising step of diffusers' own pipeline; returns what its UNet was given and gave."""
    pipeline, controlnet = (make and make() for make in KINDS[kind])
    options = {}
    if controlnet:
        is_xl = kind == "sdxl-control"
        cls = StableDiffusionXLControlNetPipeline if is_xl else StableDiffusionControlNetPipeline
        options["requires_safety_checker"] = False
        parts = pipeline.components | {"controlnet": controlnet}
        pipeline = cls(**parts) if is_xl else cls(**parts, **options)
        image = torch.nn.functional.adaptive_avg_pool2d(depth.permute(0, 3, 1, 2), SIZE)
        options = {
            "image": image.expand(-1, 3, -1, -1),
            "controlnet_conditioning_scale": CONTROL_SCALE,
        }
    if kind == "sd-depth":
        options = {"image": torch.zeros(1, 3, SIZE, SIZE), "depth_map": depth[..., 0]}
    calls = []
    record(pipeline.unet, calls)
    # One step, from pure noise; the depth pipeline begins halfway, from an image.
    pipeline.set_progress_bar_config(disable=True)
    output_type = "pt" if kind == "if" else "latent"
    steps = 2 if kind == "sd-depth" else 1
    generator = torch.Generator().manual_seed(0)
    pipeline(
        PROMPT, num_inference_steps=steps, generator=generator, output_type=output_type, **options
    )
    return calls[0]


def assert_same(ours, theirs, name):
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        ours, theirs = list(ours.values()), [theirs[key] for key in ours]
    if isinstance(theirs, torch.Tensor):
        ours, theirs = [ours], [theirs]
    for our, their in zip(ours, theirs, strict=True):
        their = their.expand_as(our).to(our)
        torch.testing.assert_close(our, their, atol=1e-5, rtol=1e-4, msg=lambda m: f"{name}: {m}")


# diffusers' Euler sampler hands a tensor to numpy in a way that is to go.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_unet_is_given_what_diffusers_pipeline_gives_it(folders, kind):
    depth = depth_blocks()
    theirs, (their_output,) = run_pipeline(kind, depth)
    denoiser, calls = load(folders, kind), []
    record(denoiser.unet, calls)
    channels = 3 if kind == "if" else 4
    noisy = theirs["sample"][:, :channels]
    timestep = theirs["timestep"].long().expand(len(noisy))
    predicted = denoiser.predict_noise(
        noisy,
        timestep,
        denoiser.encode_prompts(["", PROMPT]),
        denoiser.encode_geometry(geometry_of(depth)).repeat(2, 1, 1, 1),
        torch.ones(2),
    )
    ours, (our_output,) = calls[0]
    for name, value in theirs.items():
        if value is not None and name not in ("self", "return_dict"):
            assert_same(ours[name], value, name)
    assert_same(our_output, their_output, "output")
    # With a prediction of the velocity the noise is alpha * velocity + sigma * noisy.
    expected = their_output[:, :channels]
    if kind == "sd-v":
        alpha = denoiser.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        expected = alpha.sqrt() * expected + (1 - alpha).sqrt() * noisy
    assert_same(predicted, expected, "noise prediction")


@pytest.mark.parametrize(
    ("kind", "cls", "size"),
    [("sd", LatentDenoiser, SIZE), ("sdxl", LatentDenoiser, SIZE), ("if", PixelDenoiser, 16)],
)
def test_the_kind_is_read_from_the_configuration(folders, kind, cls, size):
    denoiser = load(folders, kind)
    assert type(denoiser) is cls and denoiser.image_size == size
    assert not denoiser.takes_positions


@pytest.mark.parametrize("kind", KINDS)
def test_only_models_that_are_told_the_depth_change_with_it(folders, kind):
    denoiser = load(folders, kind)
    depth = depth_blocks()
    embeddings = denoiser.encode_prompts([PROMPT])
    noisy = denoiser.encode_images(torch.full((1, SIZE, SIZE, 3), 0.3)).detach()
    near, far = (
        denoiser.predict_noise(
            noisy,
            torch.tensor([300]),
            embeddings,
            denoiser.encode_geometry(geometry_of(d)),
            torch.ones(1),
        )
        for d in (depth, depth.flip(1))
    )
    told = kind in ("sd-depth", "sd-control", "sdxl-control")
    assert torch.equal(near, far) != told


def test_depth_is_concatenated_from_minus_one_at_the_farthest_to_one_at_the_nearest(folders):
    denoiser = load(folders, "sd-depth")
    depth = depth_blocks(2)
    condition = denoiser.encode_geometry(geometry_of(depth))
    assert condition.shape == (2, 1, LATENT, LATENT)
    for view, image in zip(condition, depth, strict=True):
        assert view.min() == -1 and view.max() == 1
        assert view.argmax() == image[::8, ::8].argmax()
    empty = denoiser.encode_geometry(geometry_of(torch.zeros_like(depth)))
    assert torch.equal(empty, -torch.ones_like(empty))


def test_a_controlnet_sees_the_depth_image_three_times_from_zero_to_one(folders):
    depth = depth_blocks()
    condition = load(folders, "sd-control").encode_geometry(geometry_of(depth))
    assert condition.shape == (1, 3, SIZE, SIZE)
    assert torch.allclose(condition[0, 0, ::2, ::2], depth[0, ::8, ::8, 0])
    assert torch.equal(condition[:, 0], condition[:, 2])


@pytest.mark.parametrize("shift_factor", [None, 0.2])
def test_latents_are_the_scaled_mean_of_the_vae(tmp_path, shift_factor):
    pipeline = stable_diffusion()
    pipeline.register_modules(vae=random_vae(scaling_factor=0.5, shift_factor=shift_factor))
    denoiser = load_denoiser(str(save(pipeline, tmp_path)))
    images = torch.rand(2, SIZE, SIZE, 3)
    pixels = 2 * images.permute(0, 3, 1, 2) - 1
    mean = pipeline.vae.encode(pixels).latent_dist.mean
    latents = denoiser.encode_images(images)
    torch.testing.assert_close(latents, (mean - (shift_factor or 0)) * 0.5)


@pytest.mark.parametrize("checkpoint_encoder", [True, False])
def test_the_gradient_of_images_through_the_vae_is_that_of_finite_differences(
    folders, checkpoint_encoder
):
    denoiser = load(folders, "sd", checkpoint_encoder=checkpoint_encoder)
    assert isinstance(denoiser, LatentDenoiser)
    denoiser.vae.double()
    images, along = torch.rand(2, 2, SIZE, SIZE, 3, dtype=torch.float64)
    wanted = torch.randn(2, 4, LATENT, LATENT, dtype=torch.float64)
    images.requires_grad_()
    surrogate_loss(denoiser.encode_images(images), wanted).backward()
    assert images.grad is not None

    def value(step):
        with torch.no_grad():
            return surrogate_loss(denoiser.encode_images(images + step * along), wanted)

    difference = (value(1e-4) - value(-1e-4)) / 2e-4
    torch.testing.assert_close((images.grad * along).sum(), difference, rtol=1e-5, atol=1e-8)


def test_checkpointing_changes_no_latent_and_no_gradient(folders):
    found = []
    for checkpoint_encoder in (True, False):
        denoiser = load(folders, "sd", checkpoint_encoder=checkpoint_encoder)
        images = torch.linspace(0, 1, 2 * SIZE * SIZE * 3).view(2, SIZE, SIZE, 3).requires_grad_()
        latents = denoiser.encode_images(images)
        latents.square().sum().backward()
        found.append((latents.detach(), images.grad))
    torch.testing.assert_close(found[0], found[1])


@pytest.fixture(scope="module")
def tiny_vae(tmp_path_factory):
    """The folder of a tiny autoencoder, and what it holds."""
    folder = save(random_tiny_vae(), tmp_path_factory.mktemp("tiny"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return str(folder), random_tiny_vae()


def test_a_tiny_autoencoder_takes_the_place_of_the_models_own(folders, tiny_vae):
    folder, vae = tiny_vae
    denoiser = load(folders, "sd-control", vae=folder)
    images = torch.rand(2, SIZE, SIZE, 3, requires_grad=True)
    latents = denoiser.encode_images(images)
    torch.testing.assert_close(latents, vae.encode(2 * images.permute(0, 3, 1, 2) - 1).latents)
    (gradient,) = torch.autograd.grad(latents.square().sum(), images)
    assert gradient.abs().max() > 0 and denoiser.image_size == SIZE
    own = load(folders, "sd-control")
    assert denoiser.weights_sha256 != own.weights_sha256
    assert denoiser.licence == own.licence + "; VAE: mit"


@pytest.mark.parametrize(
    ("kind", "vae", "complaint"),
    [
        ("if", "tiny", "has no vae, and needs none; leave out --vae"),
        ("sd", "/nowhere", 'vae "/nowhere": no such folder; choose auto, tiny, or an autoencoder'),
        ("sd", "unet", "its vae is a diffusers UNet2DConditionModel; texcsd can use AutoencoderKL"),
        ("sd", "other", "for 3 of the vae"),
    ],
)
def test_an_autoencoder_that_does_not_fit_is_refused(folders, tmp_path, kind, vae, complaint):
    if vae == "unet":
        vae = str(Path(folders["sd"][0]) / "unet")
    if vae == "other":
        vae = str(save(random_tiny_vae(latent_channels=3), tmp_path))
    with pytest.raises(TexcsdError, match=re.escape(complaint)):
        load(folders, kind, vae=vae)


def test_there_is_no_tiny_autoencoder_for_just_any_latents(tmp_path):
    pipeline = stable_diffusion()
    pipeline.register_modules(vae=random_vae(scaling_factor=0.5))
    with pytest.raises(TexcsdError, match=r"scaling factor 0\.5, for which no tiny autoencoder"):
        load_denoiser(str(save(pipeline, tmp_path)), vae="tiny")


def test_bfloat16_overflows_in_no_vae_and_changes_latents_and_gradients_little(folders):
    """Activations of Stable Diffusion's VAE go beyond what float16 holds: so do these."""
    found = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        denoiser = load(folders, "sd")
        assert isinstance(denoiser, LatentDenoiser)
        denoiser.vae.encoder.conv_in.weight.mul_(1e6)
        denoiser.vae.to(dtype)
        images = torch.linspace(0, 1, 2 * SIZE * SIZE * 3).view(2, SIZE, SIZE, 3).requires_grad_()
        latents = denoiser.encode_images(images)
        (gradient,) = torch.autograd.grad(latents.square().sum(), images)
        found.append((latents, gradient))
    (exact, slope), (near, near_slope), (overflown, _) = found
    assert near.dtype == near_slope.dtype == torch.float32
    assert (near - exact).norm() < 0.05 * exact.norm()
    assert torch.cosine_similarity(slope.flatten(), near_slope.flatten(), 0) > 0.95
    assert not overflown.isfinite().all()


@pytest.mark.parametrize(("free", "checkpointed"), [(1e9, False), (1e4, True)])
def test_a_gpu_with_room_keeps_what_the_vae_computes(folders, monkeypatch, free, checkpointed):
    denoiser = load(folders, "sd")
    assert isinstance(denoiser, LatentDenoiser)
    monkeypatch.setattr(denoiser, "device", torch.device("cuda"))
    monkeypatch.setattr("texcsd.guidance.latent_denoiser.free_memory", lambda device: free)
    passes = []
    denoiser.vae.encoder.register_forward_hook(lambda *call: passes.append(len(call[1][0])))
    images = torch.rand(2, SIZE, SIZE, 3, requires_grad=True)
    denoiser.encode_images(images).sum().backward()
    assert passes == ([1] * 4 if checkpointed else [2])


VIEW_BYTES = BYTES_PER_PIXEL * (SUPERSAMPLING * SIZE) ** 2


@pytest.mark.parametrize(
    ("views", "found"), [(100, 6), (6, 6), (5.9, 5), (2.5, 2), (0.5, 1), (-3, 1)]
)
def test_there_are_fewer_views_where_a_gpu_has_no_memory_for_their_pixels(
    folders, monkeypatch, views, found
):
    denoiser = load(folders, "sd")
    assert isinstance(denoiser, LatentDenoiser)
    monkeypatch.setattr(denoiser, "device", torch.device("cuda"))
    one_view = ACTIVATIONS * 8 * 4 * SIZE**2
    free = one_view + int(views * VIEW_BYTES)
    monkeypatch.setattr("texcsd.guidance.latent_denoiser.free_memory", lambda device: free)
    assert choose_views(PaintSettings(PROMPT), denoiser) == found
    assert choose_views(PaintSettings(PROMPT, views=8), denoiser) == 8, "asked for, tried"


def test_a_cpu_and_a_model_of_pixels_have_memory_for_the_usual_views(folders):
    for kind in ("sd", "if"):
        assert choose_views(PaintSettings(PROMPT), load(folders, kind)) == 6


@pytest.mark.parametrize("kind", ["sd-depth", "sd-control", "sdxl-control"])
def test_every_branch_of_every_view_is_told_its_own_depth(folders, kind):
    """Each view alone and both in a batch of three branches: the same direction."""
    denoiser, calls = load(folders, kind), []
    if denoiser.controlnet is not None:
        record(denoiser.controlnet, calls)
    prompts = PromptEmbeddings(*denoiser.encode_prompts([PROMPT, "grey", ""]))
    condition = denoiser.encode_geometry(geometry_of(depth_blocks(2)))
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 2, 4, LATENT, LATENT, generator=generator)
    timestep = torch.tensor([200, 700])

    def direction(views):
        return score_direction(
            denoiser,
            clean[views],
            timestep[views],
            noise[views],
            prompts,
            csd_weights(0.5),
            condition[views],
            torch.ones(2)[views],
        )

    both = direction(slice(0, 2))
    torch.testing.assert_close(both[:1], direction(slice(0, 1)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(both[1:], direction(slice(1, 2)), atol=1e-5, rtol=1e-4)
    for given, _ in calls[:1]:
        assert torch.equal(given["controlnet_cond"], condition.repeat(3, 1, 1, 1))
        assert given["conditioning_scale"] == CONTROL_SCALE


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_in_chunks_are_those_of_one_batch(folders, kind):
    denoiser = load(folders, kind)
    prompts = PromptEmbeddings(*denoiser.encode_prompts([PROMPT, "grey", ""]))
    condition = denoiser.encode_geometry(geometry_of(depth_blocks(2)))
    clean = denoiser.encode_images(
        torch.full((2, denoiser.image_size, denoiser.image_size, 3), 0.3)
    )
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    inputs = denoiser, clean.detach(), torch.tensor([200, 700]), noise, prompts, csd_weights(0.5)
    whole, *parts = (
        score_direction(*inputs, condition, torch.ones(2), chunk) for chunk in (0, 1, 4)
    )
    for part in parts:  # In float32 sums have another order for another number of them.
        torch.testing.assert_close(part, whole, atol=1e-5, rtol=1e-4)


def test_a_controlnet_inside_a_pipelines_folder_is_used_unless_told_otherwise(tmp_path):
    parts = stable_diffusion().components | {"controlnet": random_controlnet()}
    pipeline = StableDiffusionControlNetPipeline(**parts, requires_safety_checker=False)
    folder = str(save(pipeline, tmp_path))
    assert load_denoiser(folder).controlnet is not None
    assert load_denoiser(folder, controlnet="none").controlnet is None


@pytest.mark.parametrize("kind", ["sd", "sdxl", "if"])
def test_text_encoders_are_freed_after_use_and_loaded_again_when_needed(folders, kind):
    denoiser = load(folders, kind)
    first = denoiser.encode_prompts([PROMPT, ""])
    assert denoiser.prompt_encoder.models is None
    assert torch.equal(first, denoiser.encode_prompts([PROMPT, ""]))


@pytest.mark.parametrize("kind", ["sd", "sdxl", "if"])
def test_a_prompt_is_read_as_far_as_there_is_room_for_whole_words(folders, kind):
    denoiser = load(folders, kind)
    assert denoiser.split_at_limit("red") == ("red", "")
    text = ", ".join(["red stone and more"] * 60)
    read, unread = denoiser.split_at_limit(text)
    assert read and unread and text.replace(", ", " ").endswith(unread.replace(", ", " "))
    assert len(read.split()) + len(unread.split()) == len(text.split())
    assert denoiser.split_at_limit(read) == (read, "")
    whole, cut = denoiser.encode_prompts([text, f"{read} {unread.split()[0]}"])
    assert whole.shape == cut.shape


def test_what_is_not_read_is_named_from_the_first_word_that_is_cut(folders):
    denoiser = load(folders, "sd")  # Reads 16 tokens, and this makes 17.
    assert denoiser.split_at_limit("red stone and more!") == ("red stone and", "more!")
    assert denoiser.encode_prompts(["red stone and more"]).shape == (1, 16, 8)


def test_deepfloyd_reads_lower_case(folders):
    denoiser = load(folders, "if")
    lower, upper = denoiser.encode_prompts(["red stone", " Red STONE"])
    assert torch.equal(lower, upper)


def test_a_pooled_embedding_goes_in_and_out_as_a_token():
    tokens, pooled = torch.randn(2, 5, 8), torch.randn(2, 3)
    found = split_pooled(append_pooled(tokens, pooled), 3)
    assert torch.equal(found[0], tokens) and torch.equal(found[1], pooled)


def test_weights_may_be_in_half_precision(tmp_path):
    folder = save(stable_diffusion().to(torch.float16), tmp_path, variant="fp16")
    assert not (folder / "unet" / "diffusion_pytorch_model.safetensors").exists()
    denoiser = load_denoiser(str(folder))
    assert denoiser.unet.dtype == denoiser.vae.dtype == torch.float32


def test_the_licence_and_the_hash_cover_the_controlnet(folders, tmp_path):
    model, control = folders["sd-control"]
    copy = shutil.copytree(control, tmp_path / "control")
    (copy / "README.md").write_text("---\nlicense: openrail\n---\n")
    plain, controlled = load_denoiser(model), load_denoiser(model, controlnet=str(copy))
    assert plain.licence == "not stated"
    assert controlled.licence == "not stated; ControlNet: openrail"
    assert plain.weights_sha256 != controlled.weights_sha256


@pytest.mark.parametrize("kind", KINDS)
def test_painting_a_few_steps(folders, kind, tmp_path, no_pictures):
    mesh = tmp_path / "box.obj"
    trimesh.creation.box().export(mesh)
    model, controlnet = folders[kind]
    result = texcsd.paint(
        mesh,
        PROMPT,
        tmp_path / "out",
        quiet=True,
        model=model,
        controlnet=controlnet,
        steps=3,
        views=2,
        texture_size=32,
        negative_scale_start=0.5,
    )
    assert result.glb.is_file() and result.report["unseen_fraction"] < 1
    assert result.report["model"]["negative_prompt"] == "blurry, noisy, low quality"
    assert result.report["texture"] == ("pyramid" if kind == "if" else "field")


@pytest.mark.parametrize(
    ("options", "predictions"),
    [
        # The prompt, none, and later; or the prompt and none; and Perp-Neg's front and side.
        ({"guidance": "asd", "perp_neg": 1.0}, 5),
        ({"guidance": "csd", "perp_neg": 1.0, "negative_scale_end": 0.0}, 4),
        ({"weights": "positive=1, negative=-1:-0.5, unconditional=0:-0.5"}, 3),
    ],
)
def test_other_mixes_of_predictions_and_a_controlnet_that_lets_go(
    folders, tmp_path, monkeypatch, no_pictures, options, predictions
):
    mesh = tmp_path / "box.obj"
    trimesh.creation.box().export(mesh)
    denoiser, calls = load(folders, "sd-control"), []
    record(denoiser.controlnet, calls)
    monkeypatch.setattr("texcsd.painting.load_denoiser", lambda *choices: denoiser)
    sizes = {"steps": 3, "views": 2, "texture_size": 32, "controlnet_scale_end": 0.5}
    texcsd.paint(mesh, PROMPT, tmp_path / "out", quiet=True, **sizes | options)
    assert [given["conditioning_scale"] for given, _ in calls] == [1.0, 0.75, 0.5]
    assert len(calls[-1][0]["sample"]) == 2 * predictions


def test_editing_a_few_steps(folders, tmp_path, no_pictures):
    model, controlnet = folders["sd-control"]
    mesh = write_glb(tmp_path / "mesh.glb")
    options = {"model": model, "controlnet": controlnet, "steps": 3, "views": 2, "only": "left"}
    result = texcsd.edit(mesh, "red brick", PROMPT, tmp_path / "out", quiet=True, **options)
    assert result.report["model"]["negative_prompt"] == "red brick"
    assert result.report["texture"] == "field"
    assert result.report["edit"]["changed_texels"] > 0 < result.report["edit"]["kept_texels"]


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder, **options):
    with pytest.raises(TexcsdError) as caught:
        load_denoiser(str(folder), **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_pickled_weights_of_any_part_are_refused(copy):
    folder = copy("sd")
    (weights,) = (folder / "vae").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    assert "its vae has only pickled weights, and texcsd reads none but safetensors" in refused(
        folder
    )


def test_a_missing_folder_of_a_part_is_named(copy):
    folder = copy("sd")
    shutil.rmtree(folder / "vae")
    assert "has no folder vae; copy it again" in refused(folder)


def test_a_pipeline_that_lacks_a_part_is_refused(copy):
    folder = copy("sdxl")
    edit_json(folder / "model_index.json", text_encoder_2=[None, None])
    assert "has no text_encoder_2; texcsd needs one" in refused(folder)


@pytest.mark.parametrize(
    ("part", "class_name"),
    [
        ("vae", "VQModel"),
        ("scheduler", "FlowMatchEulerDiscreteScheduler"),
        ("unet", "SD3Transformer2DModel"),
    ],
)
def test_a_part_of_another_class_is_refused(copy, part, class_name):
    folder = copy("sd")
    edit_json(folder / "model_index.json", **{part: ["diffusers", class_name]})
    assert f"its {part} is a diffusers {class_name}; texcsd can use" in refused(folder)


def test_weights_that_lack_a_tensor_are_refused_rather_than_filled_with_random_ones(copy):
    folder = copy("sd")
    for part in ("unet", "text_encoder"):
        (path,) = (folder / part).glob("*.safetensors")
        tensors = load_file(path)
        name = next(name for name in tensors if name.endswith("weight"))
        left = {key: value for key, value in tensors.items() if key != name}
        save_file(left, path, metadata={"format": "pt"})
        message = refused(folder)
        assert f"its {part} cannot be loaded (its weights lack {name})" in message
        save_file(tensors, path, metadata={"format": "pt"})


def test_a_tokenizer_that_cannot_be_read_is_one_line(copy):
    folder = copy("sd")
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    assert "its tokenizer cannot be loaded (" in refused(folder)


def with_files_of_old(folder):
    """The tokenizer as Stable Diffusion has it, and a list of pickled shards that are not there."""
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    model = json.loads(tokenizer.read_text())["model"]
    tokenizer.with_name("vocab.json").write_text(json.dumps(model["vocab"]))
    tokenizer.with_name("merges.txt").write_text("#version: 0.2\n")
    tokenizer.unlink()
    shards = {"metadata": {}, "weight_map": {"a": "pytorch_model-00001-of-00002.bin"}}
    (folder / "text_encoder" / "pytorch_model.bin.index.json").write_text(json.dumps(shards))
    return folder


def test_files_are_read_as_repositories_have_them(folders, copy):
    old = load_denoiser(str(with_files_of_old(copy("sd"))))
    assert torch.equal(
        old.encode_prompts([PROMPT]), load_denoiser(folders["sd"][0]).encode_prompts([PROMPT])
    )


def test_weights_may_be_in_several_files(folders, tmp_path):
    folder = save(stable_diffusion_xl(), tmp_path, max_shard_size="20KB")
    assert len([*(folder / "unet").glob("*.safetensors")]) > 1
    found = load_denoiser(str(folder)).unet.state_dict()
    for name, tensor in load_denoiser(folders["sdxl"][0]).unet.state_dict().items():
        assert torch.equal(found[name], tensor)


@pytest.mark.parametrize("lacking", ["sentencepiece", "google.protobuf"])
def test_what_the_tokenizer_of_deepfloyd_needs_is_named(copy, monkeypatch, lacking):
    for module in ("sentencepiece", "google", "google.protobuf"):
        monkeypatch.setitem(sys.modules, module, None if module == lacking else sys)
    folder = copy("if")
    (folder / "tokenizer" / "tokenizer.json").rename(folder / "tokenizer" / "spiece.model")
    message = refused(folder)
    assert f"its tokenizer cannot be read without {lacking}; pip install" in message


def test_the_tokenizer_of_deepfloyd_is_read_from_its_own_file(copy, tmp_path):
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick red fox jumps over a lazy brown dog"] * 50),
        model_prefix=str(tmp_path / "spiece"),
        vocab_size=30,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    folder = copy("if")
    (folder / "tokenizer" / "tokenizer.json").unlink()
    shutil.copy(tmp_path / "spiece.model", folder / "tokenizer")
    red, fox = load_denoiser(str(folder)).encode_prompts(["red", "fox"])
    assert not torch.equal(red, fox)


def test_an_inpainting_model_is_refused(tmp_path):
    message = refused(save(stable_diffusion(in_channels=9), tmp_path))
    assert "its UNet has 9 input and 4 output channels for 4 of the vae" in message


def test_an_sdxl_refiner_is_refused(tmp_path):
    pipeline = stable_diffusion_xl()
    width = 5 * 4 + 10  # Five numbers about the image instead of six.
    options = XL_OPTIONS | {"projection_class_embeddings_input_dim": width}
    pipeline.register_modules(unet=type(pipeline.unet)(**_unet_config(pipeline, options)))
    assert "texcsd needs a base model (no refiner)" in refused(save(pipeline, tmp_path))


def _unet_config(pipeline, options):
    given = {key: v for key, v in pipeline.unet.config.items() if not key.startswith("_")}
    return given | options


def test_a_controlnet_of_another_text_width_is_refused(folders, tmp_path):
    control = save(random_controlnet(12), tmp_path)
    message = refused(folders["sd"][0], controlnet=str(control))
    assert "its UNet has cross_attention_dim 8, the ControlNet 12" in message
    assert "take a depth ControlNet made for this model" in message


def test_a_controlnet_for_a_model_that_takes_depth_or_pixels_is_refused(folders):
    control = folders["sd-control"][1]
    assert "already takes the depth image" in refused(folders["sd-depth"][0], controlnet=control)
    assert "ControlNets are for latent models" in refused(folders["if"][0], controlnet=control)
    assert "ControlNets are for latent models" in refused("embedded", controlnet=control)


def test_a_folder_that_holds_no_controlnet_is_refused(folders, tmp_path):
    model = folders["sd"][0]
    assert "no such folder; choose none" in refused(model, controlnet=str(tmp_path / "nowhere"))
    assert "no config.json in it" in refused(model, controlnet=str(tmp_path))
    unet = str(Path(model) / "unet")
    assert "its controlnet is a diffusers UNet2DConditionModel" in refused(model, controlnet=unet)
