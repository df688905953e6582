"""The loop, on a sphere, with a denoiser that simply wants a colour."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from texcsd import synthesis
from texcsd.checkpoint import load_checkpoint
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, Part
from texcsd.guidance.score import PromptEmbeddings, ScoreWeights, without_lost_views
from texcsd.original import Original
from texcsd.progress import Progress
from texcsd.rendering import color_field, rasterize, shading
from texcsd.rendering.cameras import orbit_cameras
from texcsd.settings import EditSettings, PaintSettings

COLORS = {
    "red": (1.0, -1.0, -1.0),
    "green": (-1.0, 1.0, -1.0),
    "red, green": (0.0, 0.1, -1.0),
    "": (0.0, 0.0, 0.0),
}


class ColorDenoiser:
    """Predicts the noise as if all images of a prompt were that one colour, nearly."""

    name = licence = weights_sha256 = ""
    image_size = 16
    default_negative_prompt = ""
    takes_positions = knows_sides = False
    takes_latents = False
    controlnet_scale, most_predictions = 1.0, 0
    alphas_cumprod = torch.linspace(0.999, 0.01, 1000)

    def check_prompt(self, prompt, negative=False):
        return []

    def split_at_limit(self, prompt):
        return prompt, ""

    def pattern_scale(self, prompt):
        return 1.0

    def encode_prompts(self, prompts):
        return torch.tensor([[COLORS[prompt]] for prompt in prompts])

    def encode_images(self, images):
        return images.permute(0, 3, 1, 2) * 2 - 1

    def encode_geometry(self, geometry):
        return geometry.depth

    def predict_noise(self, noisy, timestep, embeddings, condition, view_width):
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        wanted = embeddings[:, 0, :, None, None]
        # The empty prompt allows any colour, the others only their own.
        deviation = torch.where(wanted.abs().sum(1, keepdim=True) > 0, 0.1, 1.0)
        variance = alpha * deviation**2 + 1 - alpha
        return (1 - alpha).sqrt() * (noisy - alpha.sqrt() * wanted) / variance


class Interrupting(Progress):
    """Presses Ctrl-C after some steps."""

    def __init__(self, after):
        super().__init__(1000, quiet=True)
        self.after = after

    def update(self, step):
        if step == self.after:
            raise KeyboardInterrupt


def sphere_mesh(rings=16, segments=24):
    """A unit sphere with one chart: u is the azimuth, v the height."""
    theta = torch.linspace(0, math.pi, rings + 1)
    phi = torch.linspace(0, 2 * math.pi, segments + 1)
    theta, phi = torch.meshgrid(theta, phi, indexing="ij")
    vertices = torch.stack(
        [theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], -1
    ).reshape(-1, 3)
    uv = torch.stack([phi / (2 * math.pi), 1 - theta / math.pi], -1).reshape(-1, 2)
    row, column = torch.meshgrid(torch.arange(rings), torch.arange(segments), indexing="ij")
    corner = (row * (segments + 1) + column).reshape(-1)
    below = corner + segments + 1
    faces = torch.cat(
        [
            torch.stack([corner, below, corner + 1], 1),
            torch.stack([corner + 1, below, below + 1], 1),
        ]
    )
    return Mesh(
        vertices, faces, uv, faces, vertices.clone(), faces, (Part("sphere", 0, len(faces)),)
    )


def paint(tmp_path, progress=None, mesh=None, watch=None, denoiser=None, **options):
    defaults = {"prompt": "red", "steps": 20, "views": 3, "texture_size": 32, "learning_rate": 0.1}
    settings = PaintSettings(**defaults | options)
    tmp_path.mkdir(exist_ok=True)
    progress = progress or Progress(settings.steps, quiet=True)
    mesh, denoiser = mesh or sphere_mesh(), denoiser or ColorDenoiser()
    return synthesis.synthesize(mesh, denoiser, settings, tmp_path, progress, watch=watch)


def test_a_grey_sphere_takes_the_colour_of_the_prompt(tmp_path):
    result = paint(tmp_path, steps=60)
    red, green, blue = result.base_color_maps[0][0][result.seen[0]].mean(0)
    assert red > 0.8 and green < 0.2 and blue < 0.2


@pytest.mark.parametrize("guidance", ["csd", "sds", "nfsd", "bridge"])
def test_every_method_takes_the_sphere_to_the_colour_of_the_prompt(tmp_path, guidance):
    options = {"negative_prompt": "green", "steps": 40}
    image = paint(tmp_path, guidance=guidance, **options).base_color_maps[0][0, 4:28]
    assert image[..., 0].mean() > 0.75 and image[..., 1].mean() < 0.35


SIDE_COLORS = {
    "red, front view": (1.0, -1.0, -1.0),
    "red, side view": (-1.0, 1.0, -1.0),
    "red, back view": (-1.0, -1.0, 1.0),
    "red, overhead view": (1.0, 1.0, 1.0),
}


@pytest.mark.parametrize(("front", "column"), [("auto", 0), ("x+", 8), ("z-", 16), ("x-", 24)])
def test_each_side_takes_the_colour_of_its_own_prompt(tmp_path, monkeypatch, front, column):
    monkeypatch.setattr(ColorDenoiser, "knows_sides", True)
    monkeypatch.setattr(sys.modules[__name__], "COLORS", COLORS | SIDE_COLORS)
    options = {"steps": 40, "close_up_fraction": 0.0}
    image = paint(tmp_path, front=front, **options).base_color_maps[0][0, 10:22]
    # The azimuth of the sphere goes around the texture once.
    around = image.roll(4 - column, 1).unflatten(1, (4, 8)).mean((0, 2))
    assert around.argmax(1).tolist() == [0, 1, 2, 1]


class PlaceDenoiser(ColorDenoiser):
    """Knows where it is on the pattern: red where x is greater than there, blue elsewhere."""

    takes_positions = True

    def __init__(self, middle):
        self.middle = middle

    def encode_geometry(self, geometry):
        return geometry.positions.permute(0, 3, 1, 2)[..., ::2, ::2] - self.middle

    def predict_noise(self, noisy, timestep, embeddings, condition, view_width):
        right = condition[:, :1] > 0
        wanted = torch.cat([right, right & ~right, ~right], 1) * 2.0 - 1
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        wanted = torch.where(embeddings[:, 0, 0].view(-1, 1, 1, 1) == 0, 0.0, wanted)
        return (noisy - alpha.sqrt() * wanted) / (1 - alpha).sqrt()


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_parts_that_share_a_texture_do_not_ask_for_different_colours(tmp_path, texture):
    mesh, settings = sphere_mesh(), PaintSettings(prompt="red")
    assert mesh.uv is not None
    u = mesh.uv[:, :1]
    mirrored = replace(mesh, uv=torch.cat([2 * torch.minimum(u, 1 - u), mesh.uv[:, 1:]], 1))
    offset = torch.rand(3, generator=synthesis.step_generator(settings.seed, -2))
    denoiser = PlaceDenoiser(synthesis.PATTERN_OFFSET * float(offset[0]))
    image = paint(tmp_path, mesh=mirrored, denoiser=denoiser, texture=texture, steps=60)
    red, _, blue = image.base_color_maps[0][0, 4:28, 2:30].mean((0, 1))
    # Half of the views see the other half of the sphere, which would be blue by itself.
    assert red > 0.8 and blue < 0.2


def test_a_colour_field_takes_the_colour_of_the_prompt_too(tmp_path):
    result = paint(tmp_path, texture="field", steps=60)
    (image,), (seen,) = result.base_color_maps, result.seen
    assert image.shape == (1, 32, 32, 3)
    red, green, blue = image[0][seen].mean(0)
    assert red > 0.8 and green < 0.2 and blue < 0.2


def test_an_interrupted_field_ends_with_the_same_bits(tmp_path):
    options = {"texture": "field", "steps": 8}
    whole = paint(tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path / "stopped", Interrupting(after=3), **options)
    resumed = paint(tmp_path / "stopped", **options)
    assert torch.equal(whole.base_color_maps[0], resumed.base_color_maps[0])


def test_latent_models_learn_a_field_unless_told_otherwise(tmp_path, monkeypatch):
    texels = paint(tmp_path / "pixels", steps=2)
    monkeypatch.setattr(ColorDenoiser, "takes_latents", True)
    for name, options in (("auto", {}), ("field", {"texture": "field"})):
        assert "texture.0.table" in checkpoint_of(tmp_path / name, steps=2, **options)
    chosen = paint(tmp_path / "texels", steps=2, texture="pyramid")
    assert torch.equal(chosen.base_color_maps[0], texels.base_color_maps[0])


def checkpoint_of(folder, **options):
    """Names of the tensors in the checkpoint that a painting leaves."""
    paint(folder, **options)
    checkpoint = load_checkpoint(folder)
    assert checkpoint is not None
    return checkpoint[0].keys()


@pytest.mark.parametrize(
    ("up", "front", "texels"),
    [("y+", "z+", (0, 4)), ("y-", "z+", (28, 32)), ("z+", "auto", None), ("z+", "x+", None)],
)
def test_the_top_is_where_up_says(tmp_path, monkeypatch, up, front, texels):
    """From overhead all is white; a cap of the sphere in that direction has to be."""
    monkeypatch.setattr(ColorDenoiser, "knows_sides", True)
    colors = {prompt: (-1.0, -1.0, 1.0) for prompt in SIDE_COLORS}
    colors["red, overhead view"] = (1.0, 1.0, 1.0)
    monkeypatch.setattr(sys.modules[__name__], "COLORS", COLORS | colors)
    options = {"steps": 60, "close_up_fraction": 0.0, "views": 4}
    image = paint(tmp_path, up=up, front=front, **options).base_color_maps[0][0, ..., 0]
    if texels:
        top, elsewhere = image[slice(*texels)], image[12:20]
    else:  # The azimuth of +z is 0, in the first and the last columns, and that of +x 90.
        top, elsewhere = image[12:20].roll(2, 1)[:, :4], image[12:20, 6:10]
    assert top.mean() > 1.5 * elsewhere.mean()


def test_prompts_for_sides_can_be_switched_off(tmp_path, monkeypatch):
    plain = paint(tmp_path / "a", steps=3)
    monkeypatch.setattr(ColorDenoiser, "knows_sides", True)
    off = paint(tmp_path / "b", steps=3, side_prompts="off")
    assert torch.equal(plain.base_color_maps[0], off.base_color_maps[0])


@pytest.mark.parametrize("guidance", ["nfsd", "bridge"])
def test_a_method_that_needs_a_negative_prompt_says_so(tmp_path, guidance):
    with pytest.raises(TexcsdError, match=f"guidance {guidance} needs a negative prompt"):
        paint(tmp_path, guidance=guidance)


def test_by_default_the_weights_are_those_the_embedded_model_was_tuned_with():
    settings = PaintSettings("red")
    nothing = torch.zeros(1, 1)
    prompts = PromptEmbeddings(nothing, nothing, nothing)
    denoiser, middle = ColorDenoiser(), torch.tensor([500])
    denoiser.takes_positions = True
    found = [
        synthesis._weights(settings, denoiser, prompts, middle, done) for done in (0.0, 0.5, 1.0)
    ]
    assert found == [
        ScoreWeights(4.0, -0.0, -1.0, -3.0),
        ScoreWeights(4.0, -0.25, -0.75, -3.0),
        ScoreWeights(4.0, -0.5, -0.5, -3.0),
    ]
    assert settings.timestep_schedule == "linear" and settings.timestep_weight == "uniform"


def test_chunks_and_timestep_weights_reach_the_direction(tmp_path, monkeypatch):
    batches = []
    predict = ColorDenoiser.predict_noise

    def counting(self, noisy, *arguments):
        batches.append(len(noisy))
        return predict(self, noisy, *arguments)

    monkeypatch.setattr(ColorDenoiser, "predict_noise", counting)
    whole = paint(tmp_path / "a", steps=2).base_color_maps[0]
    parts = paint(tmp_path / "b", steps=2, chunk=4).base_color_maps[0]
    weighed = paint(tmp_path / "c", steps=2, timestep_weight="noise").base_color_maps[0]
    assert batches == [6, 6, 4, 2, 4, 2, 6, 6]
    assert torch.equal(whole, parts) and not torch.equal(whole, weighed)


def test_too_little_memory_on_a_gpu_is_one_line(tmp_path, monkeypatch):
    def failing(*arguments):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(ColorDenoiser, "predict_noise", failing)
    with pytest.raises(TexcsdError, match=r"too little memory for embedded; lower --views \(3 now"):
        paint(tmp_path)
    with pytest.raises(TexcsdError, match="leave out --chunk"):
        paint(tmp_path, chunk=4)


@pytest.mark.parametrize("texture", ["pyramid", "field", "field over an image"])
def test_a_view_keeps_as_many_bytes_a_pixel_as_views_are_chosen_by(tmp_path, monkeypatch, texture):
    """Counted with the operations of a GPU, in views that show nothing but surface."""
    monkeypatch.setattr(rasterize, "_surface", rasterize._interpolated_surface)
    monkeypatch.setattr(synthesis, "shade", shading._shade)
    monkeypatch.setattr(color_field, "POINTS_AT_A_TIME", 1 << 10)
    settings = PaintSettings("red", texture=texture.split()[0], texture_size=16)
    original = original_texture(size=16) if "image" in texture else None
    painting = synthesis.Painting(settings, torch.device("cpu"), tmp_path, original)
    sphere, size = sphere_mesh(), 64
    mesh = replace(sphere, vertices=1.6 * sphere.vertices)

    def kept_bytes(views):
        kept = []
        cameras = orbit_cameras(views)
        surface = rasterize.rasterize_mesh(mesh, cameras, size, size)
        assert surface.coverage.all()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            material = painting.sample(surface, None, {}, 0.0)
            kept += [synthesis._render(surface, cameras, material, torch.Generator())]
        kept += [*vars(surface).values(), material.base_color]
        storages = [tensor.untyped_storage() for tensor in kept]
        return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())

    found = (kept_bytes(3) - kept_bytes(1)) / (2 * size**2)
    assert 0.7 * synthesis.BYTES_PER_PIXEL < found <= synthesis.BYTES_PER_PIXEL


def test_too_little_memory_for_the_text_encoders_is_one_line(tmp_path, monkeypatch):
    def failing(*arguments):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(ColorDenoiser, "encode_prompts", failing)
    with pytest.raises(TexcsdError, match="too little memory for embedded"):
        paint(tmp_path)


def test_a_negative_prompt_is_moved_away_from(tmp_path):
    options = {"steps": 40, "negative_scale_start": 0.5, "negative_scale_end": 0.5}
    without = paint(tmp_path / "a", **options)
    against = paint(tmp_path / "b", negative_prompt="green", **options)
    greens = [result.base_color_maps[0][0, ..., 1].mean() for result in (against, without)]
    assert greens[0] < greens[1]


def test_without_a_negative_prompt_its_branch_is_never_evaluated(tmp_path, monkeypatch):
    batches = []
    predict = ColorDenoiser.predict_noise

    def counting(self, noisy, *arguments):
        batches.append(len(noisy))
        return predict(self, noisy, *arguments)

    monkeypatch.setattr(ColorDenoiser, "predict_noise", counting)
    scale = {"negative_scale_start": 0.5, "negative_scale_end": 0.5}
    paint(tmp_path / "a", steps=2, **scale)
    paint(tmp_path / "b", steps=2, negative_prompt="green", **scale)
    assert batches == [6, 6, 9, 9]


def test_all_bits_of_a_seed_count_and_usual_seeds_draw_what_they_always_did():
    def drawn(seed):
        return torch.rand(4, generator=synthesis.step_generator(seed, 3)).tolist()

    seeds = [7 + 2**power for power in range(32, 63)] + [7 + 3 * 2**40, 2**63 - 1, 2**32 - 1]
    assert len({tuple(drawn(seed)) for seed in [7, *seeds]}) == len(seeds) + 1
    usual = torch.Generator().manual_seed((7 * 0x9E3779B97F4A7C15 + 5) % 2**63)
    assert drawn(7) == torch.rand(4, generator=usual).tolist()


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_texture(tmp_path):
    first, again = paint(tmp_path / "a"), paint(tmp_path / "b")
    other = paint(tmp_path / "c", seed=1)
    assert torch.equal(first.base_color_maps[0], again.base_color_maps[0])
    assert torch.equal(first.seen[0], again.seen[0])
    assert not torch.equal(first.base_color_maps[0], other.base_color_maps[0])


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_who_watches_sees_every_step_and_changes_no_bit(tmp_path, texture):
    seen = []

    def watch(step, textures):
        seen.append((step, textures(8)[0], textures(1000)[0]))

    alone = paint(tmp_path / "a", texture=texture)
    watched = paint(tmp_path / "b", texture=texture, watch=watch)
    assert torch.equal(alone.base_color_maps[0], watched.base_color_maps[0])
    assert torch.equal(alone.seen[0], watched.seen[0])
    steps, small, whole = zip(*seen, strict=True)
    assert list(steps) == list(range(1, steps[-1] + 1))
    assert small[0].shape == (1, 8, 8, 3) and not small[0].requires_grad
    assert torch.equal(whole[-1], watched.base_color_maps[0])
    covered = whole[-1].reshape(8, -1, 8, whole[-1].shape[1] // 8, 3).mean((1, 3))
    if texture == "pyramid":
        assert torch.allclose(small[-1][0], covered, atol=1e-5)


@pytest.mark.parametrize("step", [9, 15], ids=["before", "after"])
def test_interrupted_before_or_after_the_finest_level_joins_it_ends_with_the_same_bits(
    tmp_path, step
):
    whole = paint(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path / "b", progress=Interrupting(after=step))
    checkpoint = load_checkpoint(tmp_path / "b")
    assert checkpoint is not None and checkpoint[1]["step"] == step
    resumed = paint(tmp_path / "b")
    assert torch.equal(whole.base_color_maps[0], resumed.base_color_maps[0])
    assert torch.equal(whole.seen[0], resumed.seen[0])


@pytest.mark.parametrize("where", ["zero_grad", "step"])
def test_an_interrupt_in_the_middle_of_an_update_leaves_no_half_step(tmp_path, monkeypatch, where):
    whole = paint(tmp_path / "a")
    calls = []

    def interrupting(self, *arguments):
        original(self, *arguments)
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt

    original = getattr(torch.optim.Adam, where)
    monkeypatch.setattr(torch.optim.Adam, where, interrupting)
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path / "b")
    monkeypatch.undo()
    assert torch.equal(whole.base_color_maps[0], paint(tmp_path / "b").base_color_maps[0])


class TimeIsUp(Progress):
    """Raises what `batch` does at its time limit, after some steps."""

    def update(self, step):
        if step == 5:
            raise TexcsdError("took too long")


def test_what_ends_a_run_between_two_steps_costs_none_of_them(tmp_path):
    whole = paint(tmp_path / "a")
    with pytest.raises(TexcsdError, match="took too long"):
        paint(tmp_path / "b", progress=TimeIsUp(20, quiet=True))
    checkpoint = load_checkpoint(tmp_path / "b")
    assert checkpoint is not None and checkpoint[1]["step"] == 5
    assert torch.equal(whole.base_color_maps[0], paint(tmp_path / "b").base_color_maps[0])


class OverflowingDenoiser(ColorDenoiser):
    """Predicts something that is not finite for the first image of some calls."""

    def __init__(self, calls, value=math.nan):
        self.calls, self.value, self.made = calls, value, 0

    def predict_noise(self, noisy, *arguments):
        predicted = super().predict_noise(noisy, *arguments).clone()
        if self.made in self.calls:
            predicted[0, 0, 3, 3] = self.value
        self.made += 1
        return predicted


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_views_whose_prediction_is_not_finite_count_for_nothing_and_are_counted(tmp_path, value):
    result = paint(tmp_path, denoiser=OverflowingDenoiser({2, 7}, value), steps=60)
    (image,), (seen,) = result.base_color_maps, result.seen
    assert image.isfinite().all()
    red, green, blue = image[0][seen].mean(0)
    assert red > 0.8 and green < 0.2 and blue < 0.2
    assert result.warnings == [
        "2 of 180 views counted for nothing: what the model predicted was not finite"
    ]


def test_lost_views_are_counted_over_an_interruption(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path, Interrupting(after=5), denoiser=OverflowingDenoiser({2}))
    (warning,) = paint(tmp_path, denoiser=OverflowingDenoiser({0})).warnings
    assert warning.startswith("2 of 60 views")


def test_a_model_that_predicts_nothing_finite_is_an_error(tmp_path):
    with pytest.raises(TexcsdError, match="predicts no finite numbers"):
        paint(tmp_path, denoiser=OverflowingDenoiser(range(20)), views=1)


def test_without_a_lost_view_no_bit_of_the_direction_changes():
    direction = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    kept, lost = without_lost_views(direction)
    assert torch.equal(kept, direction) and lost == 0


def test_a_run_killed_between_checkpoints_repeats_the_lost_steps(tmp_path, monkeypatch):
    whole = paint(tmp_path / "a")
    monkeypatch.setattr(synthesis, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path / "b", progress=Interrupting(after=5))
    monkeypatch.undo()
    assert torch.equal(whole.base_color_maps[0], paint(tmp_path / "b").base_color_maps[0])


def test_texels_no_camera_can_see_are_not_called_seen(tmp_path):
    outer = sphere_mesh()
    count = len(outer.vertices)
    faces = torch.cat([outer.faces, outer.faces + count])
    # A small sphere inside; the outer one has the left half of the texture, it the right.
    left = outer.uv * torch.tensor([0.5, 1.0])
    mesh = Mesh(
        torch.cat([outer.vertices, 0.5 * outer.vertices]),
        faces,
        torch.cat([left, left + torch.tensor([0.5, 0.0])]),
        faces,
        outer.normals.repeat(2, 1),
        faces,
        (Part("spheres", 0, len(faces)),),
    )
    seen = paint(tmp_path, mesh=mesh, steps=40).seen[0]
    assert seen[2:24, :16].float().mean() > 0.9
    assert not seen[:, 16:].any()


def test_the_learning_rate_falls_linearly_to_a_tenth(tmp_path, monkeypatch):
    rates, advance = [], synthesis.Painting.advance

    def recording(self, surface, textures, learning_rate, lost_views):
        advance(self, surface, textures, learning_rate, lost_views)
        rates.append([group["lr"] for group in self.optimizer.param_groups])

    monkeypatch.setattr(synthesis.Painting, "advance", recording)
    paint(tmp_path, steps=3, learning_rate=0.1)
    assert rates == [pytest.approx([rate, rate]) for rate in (0.1, 0.055, 0.01)]


def test_the_finest_level_learns_nothing_until_it_joins(tmp_path):
    def levels(step):
        with pytest.raises(KeyboardInterrupt):
            paint(tmp_path, progress=Interrupting(after=step))
        checkpoint = load_checkpoint(tmp_path)
        assert checkpoint is not None
        return [checkpoint[0][f"texture.0.levels.{index}"] for index in range(2)]

    last = int(synthesis.FINEST_LEVEL_FROM * 19)  # of 20 steps, the last one without it
    start, before, after = levels(1), levels(last), levels(last + 4)
    assert not torch.equal(start[0], before[0]) and torch.equal(start[1], before[1])
    assert not torch.equal(before[1], after[1])


def test_texels_that_hardly_any_pixel_has_shown_are_not_called_seen(tmp_path):
    painting = synthesis.Painting(
        PaintSettings(prompt="red", texture_size=16), torch.device("cpu"), tmp_path
    )
    painting.pixels[0, :, :4] = 100
    painting.pixels[0, :, 4] = 1
    assert torch.equal(painting.seen_texels()[0], (torch.arange(16) < 4).expand(16, 16))


def test_texels_that_only_coarse_mips_reach_do_not_wander_in_colour(tmp_path):
    """The sphere has the left quarter of the texture; nothing is drawn with the far right."""
    sphere = sphere_mesh()
    assert sphere.uv is not None
    mesh = replace(sphere, uv=sphere.uv * torch.tensor([0.25, 1.0]))
    result = paint(tmp_path, mesh=mesh, steps=40, texture_size=64)
    image = result.base_color_maps[0][0]
    assert image[8:56, 2:14, 0].mean() > 0.8
    # Measured: 0.10, most of it the initial noise; 0.49 where Adam normalises traces to full steps.
    assert (image[:, 36:56] - 0.5).abs().max() < 0.2


def test_the_time_of_every_stage_is_measured(tmp_path):
    seconds = paint(tmp_path).seconds
    assert seconds.keys() == {"render", "denoise", "update"}
    assert all(value > 0 for value in seconds.values())


def test_steps_of_neighbouring_seeds_differ():
    seeds = {
        synthesis.step_generator(seed, step).initial_seed()
        for seed in range(20)
        for step in range(-1, 50)
    }
    assert len(seeds) == 20 * 51


def test_backgrounds_are_grey_or_coloured_so_that_none_bakes_in():
    colors = synthesis.random_backgrounds(400, torch.Generator().manual_seed(0))[:, 0, 0]
    grey = (colors[:, 0] == colors[:, 1]) & (colors[:, 1] == colors[:, 2])
    assert 0.4 < grey.float().mean() < 0.6
    assert colors.std(0).min() > 0.2


def told_positions(folder, monkeypatch, **options):
    told = []

    def watching(self, geometry):
        told.append(geometry.positions[geometry.depth[..., 0] > 0])
        return geometry.depth

    monkeypatch.setattr(ColorDenoiser, "encode_geometry", watching)
    paint(folder, steps=1, **options)
    return told[0]


def test_seed_and_pattern_scale_place_the_pattern_on_the_object(tmp_path, monkeypatch):
    plain = told_positions(tmp_path / "a", monkeypatch)
    again = told_positions(tmp_path / "b", monkeypatch)
    larger = told_positions(tmp_path / "c", monkeypatch, pattern_scale=1.25)
    moved = told_positions(tmp_path / "d", monkeypatch, seed=1)
    assert torch.equal(plain, again)
    centre = synthesis.PATTERN_OFFSET * torch.rand(3, generator=synthesis.step_generator(0, -2))
    torch.testing.assert_close((larger - centre) * 1.25, plain - centre, atol=1e-5, rtol=1e-5)
    assert (moved.mean(0) - plain.mean(0)).norm() > 0.05


def test_a_size_in_the_prompt_multiplies_the_pattern_scale(tmp_path, monkeypatch):
    plain = told_positions(tmp_path / "a", monkeypatch, pattern_scale=1.5)
    monkeypatch.setattr(ColorDenoiser, "pattern_scale", lambda self, prompt: 0.5)
    finer = told_positions(tmp_path / "b", monkeypatch, pattern_scale=0.75)
    centre = synthesis.PATTERN_OFFSET * torch.rand(3, generator=synthesis.step_generator(0, -2))
    torch.testing.assert_close(0.25 * (finer - centre), plain - centre, atol=1e-5, rtol=1e-5)


def original_texture(may_change=None, size=32):
    """Red, with a blue stripe."""
    pixels = np.full((size, size, 3), (220, 40, 40), np.uint8)
    pixels[:, size // 4 : size // 2] = (40, 40, 220)
    may_change = np.ones((size, size), bool) if may_change is None else may_change
    return Original(pixels, None, may_change, np.ones(len(sphere_mesh().faces), bool), (), [])


def edit(
    folder, original, progress=None, source="red", target="green", mesh=None, looks=None, **options
):
    defaults = {"steps": 40, "views": 3, "learning_rate": 0.1}
    settings = EditSettings(
        prompt=target, source_prompt=source, texture_size=original.size, **defaults | options
    )
    folder.mkdir(exist_ok=True)
    progress = progress or Progress(settings.steps, quiet=True)
    arguments = mesh or sphere_mesh(), ColorDenoiser(), settings, folder, progress
    return synthesis.synthesize(*arguments, original, looks)


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_an_editing_starts_from_the_texture_and_goes_to_the_target(tmp_path, texture):
    original, gently = original_texture(), {"steps": 1, "learning_rate": 1e-6}
    untouched = edit(tmp_path / "a", original, texture=texture, **gently).base_color_maps[0][0]
    np.testing.assert_array_equal((untouched * 255).round().byte().numpy(), original.pixels)
    result = edit(tmp_path / "b", original, texture=texture, steps=80)
    image = result.base_color_maps[0][0, 4:28]
    assert image[..., 1].mean() > 0.6 and image[..., 0].mean() < 0.4


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_where_source_and_target_agree_an_editing_changes_nothing(tmp_path, texture):
    """Without the prior, that is: the method itself moves along the difference of both."""
    scales = {"negative_scale_start": 1.0, "negative_scale_end": 1.0, "prior_scale": 0.0}
    original = original_texture()
    result = edit(tmp_path, original, target="red", texture=texture, **scales)
    image = result.base_color_maps[0][0]
    np.testing.assert_array_equal((image * 255).round().byte().numpy(), original.pixels)


def test_texels_that_may_not_change_are_the_originals_in_every_view(tmp_path, monkeypatch):
    may_change = np.zeros((32, 32), bool)
    may_change[:16] = True
    original = original_texture(may_change)
    shown = []
    sample_maps = synthesis.sample_maps

    def watching(base_color_maps, surface, textures):
        shown.append(base_color_maps[0].detach())
        return sample_maps(base_color_maps, surface, textures)

    monkeypatch.setattr(synthesis, "sample_maps", watching)
    image = edit(tmp_path, original).base_color_maps[0][0]
    kept = torch.from_numpy(original.pixels[16:]) / 255
    assert torch.equal(image[16:], kept)
    assert image[:16, :, 1].mean() > image[16:, :, 1].mean() + 0.3
    sizes = {base_color_map.shape[1] for base_color_map in shown}
    assert sizes == {16, 32}
    for base_color_map in shown:
        half = base_color_map.shape[1] // 2
        reduced = kept[:: 16 // half, :: 16 // half]
        torch.testing.assert_close(base_color_map[0, half:], reduced)


def test_a_field_changes_only_the_texels_that_may_change(tmp_path):
    may_change = np.zeros((32, 32), bool)
    may_change[:16] = True
    original = original_texture(may_change)
    image = edit(tmp_path, original, texture="field", steps=80).base_color_maps[0][0]
    assert torch.equal(image[16:], torch.from_numpy(original.pixels[16:]) / 255)
    assert image[4:16, :, 1].mean() > image[16:, :, 1].mean() + 0.3


def test_latent_models_edit_with_a_field_unless_told_otherwise(tmp_path, monkeypatch):
    def learned(name, **options):
        edit(tmp_path / name, original_texture(), steps=2, **options)
        checkpoint = load_checkpoint(tmp_path / name)
        assert checkpoint is not None
        return checkpoint[0].keys()

    assert "texture.0.levels.0" in learned("pixels")
    monkeypatch.setattr(ColorDenoiser, "takes_latents", True)
    assert "texture.0.field.table" in learned("latents")
    assert "texture.0.levels.0" in learned("texels", texture="pyramid")


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_an_interrupted_editing_ends_with_the_same_bits(tmp_path, texture):
    options = {"steps": 12, "texture": texture}
    whole = edit(tmp_path / "whole", original_texture(), **options)
    with pytest.raises(KeyboardInterrupt):
        edit(tmp_path / "cut", original_texture(), Interrupting(after=5), **options)
    resumed = edit(tmp_path / "cut", original_texture(), **options)
    assert torch.equal(whole.base_color_maps[0], resumed.base_color_maps[0])


def test_the_source_prompt_is_the_negative_one(tmp_path):
    settings = EditSettings(prompt="green", source_prompt="red")
    assert synthesis.choose_negative_prompt(settings, ColorDenoiser()) == "red"


def test_the_prior_counts_by_default_only_for_models_that_are_told_places():
    denoiser = ColorDenoiser()
    assert synthesis.choose_prior_scale(PaintSettings("red"), denoiser) == 0
    denoiser.takes_positions = True
    assert synthesis.choose_prior_scale(PaintSettings("red"), denoiser) == 3
    assert synthesis.choose_prior_scale(PaintSettings("red", prior_scale=0), denoiser) == 0


def sphere_of_halves(left, right):
    """The left and the right half show different textures, both over the same uv."""
    sphere = sphere_mesh()
    assert sphere.uv is not None and sphere.uv_faces is not None
    middle = sphere.uv[sphere.uv_faces][..., 0].mean(1)
    numbers = torch.where(middle < 0.5, left, right)
    return replace(sphere, uv=sphere.uv * torch.tensor([2.0, 1.0]), textures=numbers)


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_textures_of_one_mesh_are_painted_together(tmp_path, texture):
    result = paint(tmp_path, mesh=sphere_of_halves(0, 1), steps=60, texture=texture)
    assert len(result.base_color_maps) == len(result.seen) == 2
    for image, seen in zip(result.base_color_maps, result.seen, strict=True):
        red, green, blue = image[0][seen].mean(0)
        assert seen.float().mean() > 0.8
        assert red > 0.75 and green < 0.25 and blue < 0.25


BLUE = torch.tensor([0.0, 0.0, 1.0])
ALL_BLUE = {-1: BLUE.expand(1, 1, 1, 3)}
"""What the half of a sphere shows that is not painted."""


@pytest.fixture
def shown(monkeypatch):
    """Colours of the views of every step."""
    colors, render = [], synthesis._render

    def watching(surface, cameras, material, generator):
        colors.append(material.base_color.detach())
        return render(surface, cameras, material, generator)

    monkeypatch.setattr(synthesis, "_render", watching)
    return colors


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_what_is_not_painted_is_in_view_and_stays(tmp_path, shown, texture):
    """It is blue; close-ups look at the other half."""
    options = {"steps": 40, "views": 3, "texture_size": 32, "learning_rate": 0.1}
    settings = PaintSettings(prompt="red", texture=texture, **options)
    progress = Progress(settings.steps, quiet=True)
    mesh = sphere_of_halves(0, -1)
    result = synthesis.synthesize(
        mesh, ColorDenoiser(), settings, tmp_path, progress, looks=ALL_BLUE
    )
    (image,) = result.base_color_maps
    assert image[0][result.seen[0]].mean(0)[0] > 0.7
    blue = [(color == BLUE).all(-1) for color in shown]
    assert sum(pixels.any() for pixels in blue) > 10
    assert torch.stack(blue).float().mean() < 0.35


def test_views_show_the_normal_map(tmp_path, monkeypatch):
    """It leans to where u grows everywhere, which is around the sphere's axis."""
    told, tell = [], synthesis.told_geometry

    def watching(surface, *others):
        told.append(surface)
        return tell(surface, *others)

    monkeypatch.setattr(synthesis, "told_geometry", watching)
    settings = PaintSettings(prompt="red", steps=2, views=3, texture_size=32)
    maps = {0: torch.tensor([0.8, 0.5, 0.9]).expand(1, 8, 8, 3)}
    progress = Progress(settings.steps, quiet=True)
    synthesis.synthesize(
        sphere_mesh(64, 96), ColorDenoiser(), settings, tmp_path, progress, normal_maps=maps
    )
    assert len(told) == 2
    for surface in told:
        seen = (surface.triangle_ids >= 0) & (surface.positions[..., 1].abs() < 0.8)
        positions, normals = surface.positions[seen], surface.normals[seen]
        around = torch.linalg.cross(torch.tensor([[0.0, 1.0, 0.0]]).expand_as(positions), positions)
        around = torch.nn.functional.normalize(around, dim=1)
        torch.testing.assert_close(normals, 0.8 * positions + 0.6 * around, atol=0.03, rtol=0)


@pytest.mark.parametrize("texture", ["pyramid", "field"])
def test_other_textures_are_in_view_of_an_editing_and_stay(tmp_path, shown, texture):
    options = {"mesh": sphere_of_halves(0, -1), "looks": ALL_BLUE, "texture": texture}
    (image,) = edit(tmp_path, original_texture(), **options).base_color_maps
    assert image[0, 4:28, :, 1].mean() > 0.4
    blue = [(color == BLUE).all(-1) for color in shown]
    assert sum(pixels.any() for pixels in blue) > 10


def test_an_interrupted_painting_of_two_textures_ends_with_the_same_bits(tmp_path):
    mesh = sphere_of_halves(0, 1)
    whole = paint(tmp_path / "whole", mesh=mesh, steps=12)
    with pytest.raises(KeyboardInterrupt):
        paint(tmp_path / "stopped", Interrupting(after=5), mesh, steps=12)
    resumed = paint(tmp_path / "stopped", mesh=mesh, steps=12)
    for number in range(2):
        assert torch.equal(whole.base_color_maps[number], resumed.base_color_maps[number])
        assert torch.equal(whole.seen[number], resumed.seen[number])
