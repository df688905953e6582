"""The optimisation loop: a mesh, a denoiser and settings in, a texture out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.checkpoint import load_checkpoint, save_checkpoint
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, with_faces
from texcsd.geometry.upright import turn_mesh, upright_rotation
from texcsd.guidance.latent_denoiser import LatentDenoiser
from texcsd.guidance.prompts import FRONT, SIDE, perp_neg_weights, side_prompts, side_weights
from texcsd.guidance.score import (
    NEED_NEGATIVE_PROMPT,
    Denoiser,
    Geometry,
    PromptEmbeddings,
    ScoreWeights,
    encode,
    later_timesteps,
    method_weights,
    scheduled,
    score_direction,
    stratified_timesteps,
    surrogate_loss,
    weigh_timesteps,
    without_lost_views,
)
from texcsd.original import Original, changing_part
from texcsd.progress import Progress, StepListener
from texcsd.rendering.cameras import Cameras, random_cameras
from texcsd.rendering.color_field import ColorField
from texcsd.rendering.field_over_image import FieldOverImage
from texcsd.rendering.normal_mapping import NormalMappedMesh
from texcsd.rendering.rasterize import Surface, normalized_depth
from texcsd.rendering.shading import downsample, random_lights, shade
from texcsd.rendering.shared_texels import TexelPlaces, find_shared_texels, places_of_pixels
from texcsd.rendering.texture import (
    Material,
    TexelPyramid,
    count_pixels,
    only_ids,
    sample_maps,
    textures_of_pixels,
)
from texcsd.rendering.transfer import send
from texcsd.rendering.viewpoints import Viewpoints
from texcsd.settings import WEIGHT_NAMES, EditSettings, PaintSettings, parse_weights
from texcsd.stopwatch import Stopwatch

SUPERSAMPLING = 2
BYTES_PER_PIXEL = 222
"""Kept until a step ends: where the surface is, and what the gradients of shading and texture need.
Counted: 159 with texels, 182 with a field, 222 with one over an image, where all is surface. On an
H100, with texels, a view of 1024 x 1024 pixels took 0.17 GiB, 174 each (RESULTS.md)."""
PATTERN_OFFSET = 1.2
"""Patterns begin anywhere in a cube of this size, in units of the object's radius."""
SECONDS_BETWEEN_CHECKPOINTS = 10.0
PRIOR_SCALE_WITH_PLACES = 3.0
"""A model that is told places knows what the prompt looks like at each, so that its whole picture
can be trusted; the classifier score alone exaggerates it (RESULTS.md)."""
FINAL_RATE = 0.1
"""Learning rate of the last step, of the first one's: small steps average the views' noise out."""
FINEST_LEVEL_FROM = 0.3
"""The texture's finest level joins after this share of the steps: until then there is no detail for
it to hold, and an update costs less than half as much without it."""
LARGEST_PIXEL_MAP = 512
"""Texels per side; the views' pixels are seldom smaller than its texels, so they leave no holes."""
LARGEST_PLACE_MAP = 1024
"""Texels per side; a texel of it is far smaller than the details of any pattern."""
HARDLY_SEEN = 0.05
"""Of the mean number of pixels. What fewer have shown, in a crevice, still has its first colour."""
TYPICAL_GRADIENT = 10.0
"""Of a texel in plain view, measured, times the number of texels. Texels with far less, which only
the coarsest mips reach, would else take full steps too: Adam divides by the gradient's own size."""

FIELD_PACE = 0.2
"""Learning rate of a colour field's features and weights, of that of texels in logits."""
FIELD_EPS = 1e-10
"""Gradients of its finest features are that small."""

Field = ColorField | FieldOverImage
Texture = TexelPyramid | Field


@dataclass(frozen=True)
class SynthesisResult:
    """A finished texture."""

    base_color_maps: list[Tensor]
    """By the number of the texture, float[1, size, size, 3] each, sRGB, row 0 on top."""
    seen: list[Tensor]
    """Likewise, bool[size, size]: the texels that the views have shown often enough to learn their
    colour."""
    seconds: dict[str, float]
    """Wall time by stage: render (views of the texture), denoise (all that the model does, and what
    it is told), update (gradient of the texture, and the optimiser)."""
    warnings: list[str] = field(default_factory=list)


def synthesize(
    mesh: Mesh,
    denoiser: Denoiser,
    settings: PaintSettings,
    checkpoint_folder: Path,
    progress: Progress | StepListener,
    original: Original | None = None,
    looks: Mapping[int, Tensor] | None = None,
    normal_maps: Mapping[int, Tensor] | None = None,
    watch: Callable[[int, Callable[[int], list[Tensor]]], None] | None = None,
) -> SynthesisResult:
    """Paint textures by score distillation, going on from a checkpoint if there is one.

    Step k draws its cameras, light and noise from a generator seeded by (seed, k) alone, so a
    resumed run takes the very steps an uninterrupted one takes.

    Args:
        mesh: With uv, fitted to the unit sphere; each of its textures gets the size in settings.
        denoiser: Decides what matches the prompt.
        settings: Everything the user chose.
        checkpoint_folder: Exists; holds the checkpoint of an interrupted run, or nothing.
        progress: Told after every step.
        original: The texture to start from and to keep in part; None to start from grey.
        looks: What faces show that are not painted, by the number of their texture, float[1, rows,
            columns, 3] each, sRGB.
        normal_maps: Tangent-space normal maps, likewise, of textures that have one: the views show
            them.
        watch: Called after every step with how many are done, and with what returns the textures
            as they stand, given the most texels per side: float[1, size, size, 3] each.

    Raises:
        KeyboardInterrupt: Passed on, after the checkpoint was saved, as any other exception is.
        TexcsdError: The method needs a negative prompt, or the GPU more memory; or the model has
            predicted nothing but what is not finite.
    """
    with enough_memory(settings):
        prompts = encode_prompts(settings, denoiser)
    settings = replace(settings, texture=choose_texture(settings, denoiser))
    count = int(mesh.texture_numbers().max()) + 1
    painting = Painting(settings, mesh.vertices.device, checkpoint_folder, original, count)
    # Small computations are quickest on the CPU, and there they need not wait for a GPU.
    whole = mesh.to("cpu")
    painted = with_faces(whole, whole.texture_numbers() >= 0)
    part = painted if original is None else changing_part(painted, original)
    viewpoints = find_viewpoints(whole, part, settings)
    shared: dict[int, TexelPlaces] = {}
    if denoiser.takes_positions or settings.texture == "field":
        found = find_shared_texels(whole, min(settings.texture_size, LARGEST_PLACE_MAP))
        shared = {number: places.to(mesh.vertices.device) for number, places in found.items()}
    shown, saved_at = NormalMappedMesh(mesh, normal_maps or {}), time.monotonic()
    progress.update(painting.step)
    try:
        while painting.step < settings.steps:
            with enough_memory(settings):
                _take_step(
                    painting, shown, shared, viewpoints, denoiser, prompts, settings, looks or {}
                )
            progress.update(painting.step)
            if watch is not None:
                watch(painting.step, lambda size: painting.maps(mesh, size))
            if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                painting.save()
                saved_at = time.monotonic()
                describe_lost_views(painting.lost_views, painting.step, settings)
    except BaseException:  # Of Ctrl-C, of a time limit: whoever goes on is not to begin anew.
        # Halfway through an update the texture fits no step; the last checkpoint has to do.
        if not painting.changing:
            painting.save()
        raise
    painting.save()
    warnings = describe_lost_views(painting.lost_views, painting.step, settings)
    maps, seen = painting.maps(mesh, settings.texture_size), painting.seen_texels()
    return SynthesisResult(maps, seen, painting.stopwatch.seconds(), warnings)


def describe_lost_views(lost_views: Tensor, steps: int, settings: PaintSettings) -> list[str]:
    """A warning if there were views that counted for nothing.

    Args:
        lost_views: How many, int[]: of `guide`, summed over the steps.
        steps: That were taken.
        settings: Of the model, and of the views in a step.

    Raises:
        TexcsdError: There were no others.
    """
    lost, views = int(lost_views), steps * settings.most_views
    if lost and lost == views:
        raise TexcsdError(
            f"{settings.model} predicts no finite numbers: its weights are damaged, or too large"
            " for half precision; copy them again, or try another model or --vae, or --device cpu"
        )
    text = f"{lost} of {views} views counted for nothing: what the model predicted was not finite"
    return [text] if lost else []


@contextmanager
def enough_memory(settings: PaintSettings) -> Iterator[None]:
    """Says what to do if the GPU has too little.

    Without a chunk in the settings, one prediction at a time was tried already.
    """
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        fewer = f"lower --views ({settings.most_views} now)"
        remedy = "leave out --chunk" if settings.chunk else fewer
        raise TexcsdError(
            f"the GPU has too little memory for {settings.model}; {remedy}, take a smaller model, "
            "or close what else uses the GPU"
        ) from error


def encode_prompts(settings: PaintSettings, denoiser: Denoiser) -> PromptEmbeddings:
    """Embeddings of all that the settings ask for, with the sides if the model knows them.

    Raises:
        TexcsdError: The method needs a negative prompt, and there is none.
    """
    with_sides = tells_sides(settings, denoiser)
    wanted = side_prompts(settings.prompt) if with_sides else [settings.prompt]
    return encode(denoiser, wanted, choose_negative_prompt(settings, denoiser))


def tells_sides(settings: PaintSettings, denoiser: Denoiser) -> bool:
    """Whether the prompt is to say which side of the object a view shows."""
    return settings.side_prompts == "auto" and denoiser.knows_sides


def choose_negative_prompt(settings: PaintSettings, denoiser: Denoiser) -> str:
    """The user's, for an editing the source prompt, else the model's own; empty for none.

    Raises:
        TexcsdError: There is none, and the method cannot do without.
    """
    if isinstance(settings, EditSettings):
        return settings.source_prompt
    negative_prompt = settings.negative_prompt or denoiser.default_negative_prompt
    what = "weights" if settings.weights else f"guidance {settings.guidance}"
    can_do_without = settings.guidance == "csd" and not settings.weights
    needed = takes_negative_prompt(settings) and not can_do_without
    if needed and not negative_prompt:
        raise TexcsdError(
            f"{what} needs a negative prompt, and the model has none of its own; give one with "
            "--negative-prompt"
        )
    if settings.guidance == "bridge":
        return f"{settings.prompt}, {negative_prompt}"
    return negative_prompt


def takes_negative_prompt(settings: PaintSettings) -> bool:
    """Whether a negative prompt has a weight in any step."""
    if settings.weights:
        return any(parse_weights(settings.weights).get("negative", ()))
    if settings.guidance == "csd":
        return settings.negative_scale_start > 0 or settings.negative_scale_end > 0
    return settings.guidance in NEED_NEGATIVE_PROMPT


class Painting:
    """All that changes while painting, and therefore all that a checkpoint holds."""

    def __init__(
        self,
        settings: PaintSettings,
        device: torch.device,
        folder: Path,
        original: Original | None = None,
        count: int = 1,
    ) -> None:
        """Begin a painting of `count` textures, or take up the one whose checkpoint is there."""
        self.folder = folder
        self.step = 0
        self.changing = False
        self.stopwatch = Stopwatch(["render", "denoise", "update"], device)
        self.size = size = settings.texture_size
        self.original = original
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        """By texels per side: which of them may change, and the original's colours."""
        generator = step_generator(settings.seed, -1)
        textures: list[Texture]
        if settings.texture == "field":  # One for all: space is one.
            textures = [_begin_field(size, original, generator)]
        elif original is not None:
            textures = [TexelPyramid.from_image(_reduced(original, size)[1])]
        else:
            textures = [TexelPyramid(size, generator=generator) for _ in range(count)]
        self.textures = torch.nn.ModuleList(textures).to(device)
        map_size = min(size, LARGEST_PIXEL_MAP)
        self.pixels = torch.zeros(count, map_size, map_size, dtype=torch.int32, device=device)
        """How many of the views' pixels had their centre in each part of each texture."""
        # Adam with the short memory of gradients that the noise of random views asks for.
        groups = [group for texture in textures for group in _parameter_groups(texture)]
        self.lost_views = torch.zeros((), dtype=torch.int64, device=device)
        """Of all steps, those for which the model predicted what is not finite."""
        self.optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=True)
        if (checkpoint := load_checkpoint(folder)) is not None:
            self._restore(*checkpoint)

    def sample(
        self, surface: Surface, textures: Tensor | None, looks: Mapping[int, Tensor], done: float
    ) -> Material:
        """What there is at every pixel of a surface as the painting stands.

        Args:
            surface: Of the views.
            textures: Of `textures_of_pixels`.
            looks: As `synthesize` takes them.
            done: How far the run is, from 0 to 1.
        """
        field, coarse = self.textures[0], done < FINEST_LEVEL_FROM
        if isinstance(field, Field):
            return _sample_field(field, surface, textures, looks)
        painted = {number: self._map(number, coarse) for number in _painted_in_view(textures)}
        return sample_maps(dict(looks) | painted, surface, textures)

    @torch.no_grad()
    def maps(self, mesh: Mesh, most: int) -> list[Tensor]:
        """The textures of the mesh as they stand, float[1, size, size, 3] each.

        Args:
            mesh: That is painted.
            most: Texels per side of the result, if the textures have more.
        """
        field, numbers, size = self.textures[0], mesh.texture_numbers(), min(most, self.size)
        if isinstance(field, Field):
            parts = (with_faces(mesh, numbers == number) for number in range(len(self.pixels)))
            return [field.bake(part, size) for part in parts]
        maps = [self._map(number) for number in range(len(self.pixels))]
        return maps if size == self.size else [_smaller(image, size) for image in maps]

    def _map(self, number: int, without_finest: bool = False) -> Tensor:
        """A texture as it stands, float[1, size, size, 3]; what may not change is the original's.

        Args:
            number: Of the texture.
            without_finest: As `TexelPyramid.compose` takes it.
        """
        texture = self.textures[number]
        assert isinstance(texture, TexelPyramid)
        base_color_map = texture.compose(without_finest)
        if self.original is None or self.original.may_change.all():
            return base_color_map
        size = base_color_map.shape[1]
        if size not in self.kept:
            self.kept[size] = _reduced(self.original, size, base_color_map.device)
        may_change, pixels = self.kept[size]
        return torch.where(may_change, base_color_map, pixels)

    def save(self) -> None:
        """Write the checkpoint, replacing the last one."""
        tensors = {f"texture.{k}": v for k, v in self.textures.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in moments.items()}
        tensors |= {"pixels": self.pixels, "lost_views": self.lost_views}
        seconds = self.stopwatch.seconds()
        save_checkpoint(self.folder, tensors, {"step": self.step, "seconds": seconds})

    def _restore(self, tensors: dict[str, Tensor], state: dict) -> None:
        self.step = state["step"]
        self.stopwatch.add(state["seconds"])
        self.pixels = tensors.pop("pixels").to(self.pixels.device)
        self.lost_views = tensors.pop("lost_views", self.lost_views).to(self.pixels.device)
        moments: dict[int, dict[str, Tensor]] = {}
        texture: dict[str, Tensor] = {}
        for key, value in tensors.items():
            kind, name = key.split(".", 1)
            if kind == "texture":
                texture[name] = value
            else:
                index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
        self.textures.load_state_dict(texture)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def advance(
        self,
        surface: Surface,
        textures: Tensor | None,
        learning_rate: float,
        lost_views: Tensor | int = 0,
    ) -> None:
        """Finish a step: change the textures, and note what its views have shown."""
        self.changing = True
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["pace"]
        for number, counts in enumerate(self.pixels):
            ids = only_ids(surface, textures, number)
            count_pixels(replace(surface, triangle_ids=ids), counts)
        self.lost_views += lost_views
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self.changing = False

    def seen_texels(self) -> list[Tensor]:
        """bool[size, size]: what the views have shown often enough to learn its colour."""
        shown = self.pixels[self.pixels > 0].float()
        seen = self.pixels > (HARDLY_SEEN * shown.mean() if len(shown) else 0)
        return [*functional.interpolate(seen[None].byte(), self.size)[0].bool()]


def _begin_field(size: int, original: Original | None, generator: torch.Generator) -> Field:
    """A field of its own, or one that changes the original."""
    if original is None:
        return ColorField(size, generator=generator)
    may_change, pixels = _reduced(original, size)
    return FieldOverImage(pixels, may_change, generator)


def _parameter_groups(texture: Texture) -> list[dict[str, Any]]:
    """What Adam is told of each part of a texture, and its share of the learning rate."""
    if isinstance(texture, Field):
        eps, pace = FIELD_EPS, FIELD_PACE
        return [{"params": [p], "eps": eps, "pace": pace} for p in texture.parameters()]
    return [
        {"params": [level], "eps": TYPICAL_GRADIENT / level.shape[1] ** 2, "pace": 1.0}
        for level in texture.levels
    ]


def _sample_field(
    field: Field, surface: Surface, textures: Tensor | None, looks: Mapping[int, Tensor]
) -> Material:
    """The field where faces are painted, and what the others show."""
    if textures is None:
        return field.sample(surface)
    ids = surface.triangle_ids.masked_fill(textures < 0, -1)
    painted = field.sample(replace(surface, triangle_ids=ids)).base_color
    return Material(painted + sample_maps(looks, surface, textures).base_color)


def _smaller(image: Tensor, size: int) -> Tensor:
    """float[1, size, size, 3] of an image with more texels."""
    rows = functional.interpolate(image.permute(0, 3, 1, 2), size=size, mode="area")
    return rows.permute(0, 2, 3, 1)


def _reduced(
    original: Original, size: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """At this size: which texels may change, bool[1, size, size, 1], and all colours, sRGB."""
    may_change = torch.from_numpy(original.may_change)[None, None].float()
    pixels = torch.from_numpy(original.pixels.copy()).permute(2, 0, 1)[None] / 255
    may_change, pixels = (
        functional.interpolate(image, size=size, mode="area").permute(0, 2, 3, 1).to(device)
        for image in (may_change, pixels)
    )
    return may_change > 0.5, pixels


def _take_step(
    painting: Painting,
    shown: NormalMappedMesh,
    shared: Mapping[int, TexelPlaces],
    viewpoints: Viewpoints,
    denoiser: Denoiser,
    prompts: PromptEmbeddings,
    settings: PaintSettings,
    looks: Mapping[int, Tensor],
) -> None:
    """Render random views, ask the denoiser which way to change them, change the textures so."""
    generator = step_generator(settings.seed, painting.step)
    done, timed = painting.step / max(1, settings.steps - 1), painting.stopwatch.timed
    mesh, size = shown.mesh, SUPERSAMPLING * denoiser.image_size
    with timed("render"):
        cameras = step_cameras(viewpoints, settings, generator, mesh.vertices.device)
        surface = shown.rasterize(cameras, size, size)
        textures = textures_of_pixels(mesh, surface)
        places = places_of_pixels(surface, shared, textures) if shared else None
        material = painting.sample(places or surface, textures, looks, done)
        images = _render(surface, cameras, material, generator)
    with timed("denoise"):
        geometry = told_geometry(surface, settings, prompts.pattern_scale, places)
        clean, direction, lost = guide(
            images, geometry, cameras, denoiser, prompts, settings, generator, done
        )
    with timed("update"):
        surrogate_loss(clean, direction).backward()
        rate = settings.learning_rate
        rate = scheduled("linear", rate, FINAL_RATE * rate, done)
        painting.advance(surface, textures, rate, lost)


def _painted_in_view(textures: Tensor | None) -> list[int]:
    """Numbers of the painted textures that views may show; the others need not be computed."""
    if textures is None:
        return [0]
    return [number for number in textures.unique().tolist() if number >= 0]


def guide(
    images: Tensor,
    geometry: Geometry,
    cameras: Cameras,
    denoiser: Denoiser,
    prompts: PromptEmbeddings,
    settings: PaintSettings,
    generator: torch.Generator,
    done: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Ask the denoiser which way to change images.

    Args:
        images: float[view, size, size, 3], sRGB, of the denoiser's size.
        geometry: Of what they show, at the same size or a multiple.
        cameras: One per view.
        denoiser: Decides what matches the prompt.
        prompts: Embeddings of the prompts.
        settings: Of noise and weights.
        generator: Of the step.
        done: How far the run is, from 0 to 1.

    Returns:
        The images as the denoiser encodes them, differentiable, and the direction for them, both
        float[view, channels, height, width]; and of how many views the direction was not finite,
        int[]: there it is 0.
    """
    scales = settings.controlnet_scale_start, settings.controlnet_scale_end
    denoiser.controlnet_scale = scheduled("linear", *scales, done)
    clean = denoiser.encode_images(images)
    condition = denoiser.encode_geometry(geometry)
    noisiest = scheduled(
        settings.timestep_schedule,
        settings.timestep_max_start,
        settings.timestep_max_end,
        done,
    )
    device = clean.device
    timestep = stratified_timesteps(
        len(cameras),
        settings.timestep_min,
        noisiest,
        len(denoiser.alphas_cumprod),
        generator,
    )
    noise = torch.randn(clean.shape, generator=generator)
    weights, later = _weights(settings, denoiser, prompts, timestep, done), None
    if weights.later != 0:
        count = len(denoiser.alphas_cumprod)
        later = send(later_timesteps(timestep, settings.timestep_min, count, generator), device)
    timestep = send(timestep, device)
    direction = score_direction(
        denoiser,
        clean,
        timestep,
        send(noise, device),
        *_with_sides(prompts, weights, cameras, settings.perp_neg),
        condition,
        cameras.view_width,
        settings.chunk,
        later,
    )
    direction, lost_views = without_lost_views(direction)
    alpha_cumprod = denoiser.alphas_cumprod[timestep]
    direction = direction * weigh_timesteps(settings.timestep_weight, alpha_cumprod)
    return clean, direction, lost_views


def _with_sides(
    prompts: PromptEmbeddings, weights: ScoreWeights, cameras: Cameras, perp_neg: float
) -> tuple[PromptEmbeddings, ScoreWeights]:
    """With prompts for the sides of the object: those a view shows, mixed; and with Perp-Neg."""
    if prompts.positive.ndim == 2:
        return prompts, weights
    sides, azimuth = prompts.positive, cameras.azimuth_degrees
    shown = side_weights(azimuth, cameras.elevation_degrees).to(sides)
    prompts = replace(prompts, positive=torch.einsum("vs,stw->vtw", shown, sides))
    if not perp_neg:
        return prompts, weights
    front, side = (
        perp_neg * share.view(-1, 1, 1, 1)
        for share in perp_neg_weights(azimuth, cameras.elevation_degrees)
    )
    prompts = replace(prompts, front=sides[FRONT], side=sides[SIDE])
    return prompts, replace(weights, front=front, side=side)


def choose_texture(settings: PaintSettings, denoiser: Denoiser) -> Literal["pyramid", "field"]:
    """The user's, else what suits the model."""
    if settings.texture != "auto":
        return settings.texture
    return "field" if denoiser.takes_latents else "pyramid"


def choose_views(settings: PaintSettings, denoiser: Denoiser) -> int:
    """The user's, else the usual number, or as many of these as a GPU has room for; at least one.

    Predictions are made, and views encoded, one at a time if there is no room for more. What then
    still grows with the views are the pixels they are rendered with:

        views * BYTES_PER_PIXEL * (SUPERSAMPLING * image_size)^2 <= spare memory

    That is 0.2 GiB a view for images of 512 pixels and 0.8 for SDXL's 1024. Models of pixels have
    images too small to matter. The texture is left out: with 1024 texels a side it takes about as
    much as a view.
    """
    spare = denoiser.spare_memory() if isinstance(denoiser, LatentDenoiser) else None
    if settings.views or spare is None:
        return settings.most_views
    bytes_per_view = BYTES_PER_PIXEL * (SUPERSAMPLING * denoiser.image_size) ** 2
    return max(1, min(settings.most_views, spare // bytes_per_view))


def choose_prior_scale(settings: PaintSettings, denoiser: Denoiser) -> float:
    """The user's, else what suits the model."""
    if settings.prior_scale >= 0:
        return settings.prior_scale
    return PRIOR_SCALE_WITH_PLACES if denoiser.takes_positions else 0.0


def _weights(
    settings: PaintSettings,
    denoiser: Denoiser,
    prompts: PromptEmbeddings,
    timestep: Tensor,
    done: float,
) -> ScoreWeights:
    if settings.weights:
        none = dict.fromkeys(WEIGHT_NAMES, 0.0)
        given = parse_weights(settings.weights).items()
        return ScoreWeights(
            **none | {name: scheduled("linear", *ends, done) for name, ends in given}
        )
    # Without a negative prompt there is nothing to move away from, and nothing to evaluate.
    negative_scale = 0.0
    if prompts.negative is not None:
        start, end = settings.negative_scale_start, settings.negative_scale_end
        negative_scale = scheduled("linear", start, end, done)
    return method_weights(
        settings.guidance,
        settings.guidance_scale,
        negative_scale,
        choose_prior_scale(settings, denoiser),
        timestep / len(denoiser.alphas_cumprod),
    )


def step_generator(seed: int, step: int) -> torch.Generator:
    """The only source of randomness of a step.

    Step -1 is the initial texture, -2 the pattern's place, -3 what close-ups look at.
    """
    # An odd multiplier keeps neighbouring seeds from sharing steps.
    number = seed * 0x9E3779B97F4A7C15 + step + 2
    if seed >= 2**32:  # Generators on the CPU look at 32 bits alone; the higher ones come to these.
        number ^= number >> 32 ^ number >> 64 ^ number >> 96
    return torch.Generator().manual_seed(number % 2**63)


def find_viewpoints(mesh: Mesh, part: Mesh, settings: PaintSettings) -> Viewpoints:
    """What close-ups of a whole run look at.

    Args:
        mesh: As it lies, fits the unit sphere; what is seen is found out on the CPU.
        part: The faces of it to look at.
        settings: Of the axes and the seed.
    """
    rotation = upright_rotation(*settings.axes)
    whole, looked_at = (turn_mesh(one.to("cpu"), rotation) for one in (mesh, part))
    return Viewpoints(whole, looked_at, step_generator(settings.seed, -3))


def step_cameras(
    viewpoints: Viewpoints,
    settings: PaintSettings,
    generator: torch.Generator,
    device: torch.device,
) -> Cameras:
    """The random views of a step, on the device.

    They are drawn around the object as it stands, and then turned to the mesh as it lies.
    """
    looked_at = viewpoints.draw(settings.most_views, generator)
    cameras = random_cameras(*looked_at, generator, settings.close_up_fraction)
    return cameras.turned(upright_rotation(*settings.axes)).to(device)


def _render(
    surface: Surface, cameras: Cameras, material: Material, generator: torch.Generator
) -> Tensor:
    """Images float[view, size, size, 3], lit at random."""
    background = send(random_backgrounds(len(cameras), generator), surface.positions.device)
    images = shade(material, surface, random_lights(cameras, generator), background)
    return downsample(images, SUPERSAMPLING)


def told_geometry(
    surface: Surface,
    settings: PaintSettings,
    pattern_scale: float,
    places: Surface | None = None,
) -> Geometry:
    """What the denoiser may know of a surface; the seed decides where patterns begin.

    Args:
        surface: That is seen.
        settings: Of the axes and patterns.
        pattern_scale: That the prompt asks for, times that of the settings.
        places: Of `places_of_pixels`, if texels are shared.
    """
    device = surface.positions.device
    offset = torch.rand(3, generator=step_generator(settings.seed, -2))
    rotation = send(upright_rotation(*settings.axes), device)
    positions = (places or surface).positions @ rotation.T
    positions = positions / (pattern_scale * settings.pattern_scale)
    positions = positions + send(PATTERN_OFFSET * offset, device)
    pattern_normals = None if places is None else places.normals @ rotation.T
    depth, normals = normalized_depth(surface), surface.normals @ rotation.T
    return Geometry(depth, normals, positions, pattern_normals)


def random_backgrounds(count: int, generator: torch.Generator) -> Tensor:
    """A plain colour behind each view, float[view, 1, 1, 3]: as often grey as any colour."""
    colors = torch.rand(count, 3, generator=generator)
    grey = torch.rand(count, 1, generator=generator) < 0.5
    return torch.where(grey, colors[:, :1], colors)[:, None, None]
