"""Which texture lets the least noise in: one image of texels, the pyramid, or the colour field.

    python tests/benchmarks/benchmark_textures.py RUN_FOLDER [--steps 100] [--encoders pixels vae]

The denoiser is a Gaussian around the very picture that each view should show, as the mesh made of
one of the embedded model's materials is known. So what is missing in the end is the texture's, or
comes from the encoder through which the gradient goes: none, for a model of pixels, or that of a
small VAE, which is trained here first, on renderings of other shapes, and kept in RUN_FOLDER. The
direction is CSD's, with the noise, the timesteps, the views and the rates of `texcsd paint`.

Of the texels in view: "correlation", of brick with the true one, which asks for detail and does not
mind that CSD exaggerates colours; and "speckle", of a mesh of one colour, where all that is finer
than 5 x 5 texels is noise (RMS, of 255).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from diffusers import AutoencoderKL, DDPMScheduler
from fidelity import reference_looks
from PIL import Image
from scipy.ndimage import uniform_filter
from torch import Tensor
from torch.nn import functional

from texcsd.embedded.scenes import PATTERN_OFFSET, random_scenes
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.guidance.score import (
    PromptEmbeddings,
    csd_weights,
    scheduled,
    score_direction,
    stratified_timesteps,
    surrogate_loss,
)
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import downsample, random_lights, shade
from texcsd.rendering.texels import surface_of_texels
from texcsd.rendering.texture import Material
from texcsd.rendering.viewpoints import Viewpoints
from texcsd.settings import PaintSettings
from texcsd.synthesis import (
    FINAL_RATE,
    SUPERSAMPLING,
    Painting,
    find_viewpoints,
    random_backgrounds,
    step_cameras,
    step_generator,
)

MESH = Path(__file__).parent.parent.parent / "assets" / "armchair.obj"
IMAGE_SIZE, VIEWS = 64, 4
TEXTURES = ("one image", "pyramid", "field")
WIDTHS = (16, 32, 32)
"""Of the VAE's blocks: latents have a quarter of the pixels per side."""
NEIGHBOURS = 5
"""Texels per side, around each."""
ENCODERS = ["pixels", "vae"]

Paint = Callable[[Tensor, Tensor], Tensor]
"""(points float[n, 3], normals float[n, 3]) to sRGB float[n, 3]: what the mesh should look like."""
Encoder = Callable[[Tensor], Tensor]
"""float[view, size, size, 3] in [0, 1] to float[view, channels, h, w], with a variance of 1."""


class KnowingDenoiser:
    """Its pictures are Gaussian: for the prompt around the condition, without one around 0.

    An embedding is (share of the condition, standard deviation).
    """

    most_predictions = 0

    def __init__(self) -> None:
        """Stable Diffusion's schedule."""
        schedule = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
        self.alphas_cumprod = schedule.alphas_cumprod

    def predict_noise(
        self, noisy: Tensor, timestep: Tensor, embeddings: Tensor, condition: Tensor, _: Tensor
    ) -> Tensor:
        """See Denoiser.predict_noise; in closed form."""
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        share, deviation = embeddings[:, 0].view(-1, 2, 1, 1).split(1, dim=1)
        variance = alpha * deviation**2 + 1 - alpha
        return (1 - alpha).sqrt() * (noisy - alpha.sqrt() * share * condition) / variance


PROMPTS = PromptEmbeddings(torch.tensor([[1.0, 0.3]]), None, torch.tensor([[0.0, 1.0]]))


def main() -> None:
    """Train or load the VAE, paint every variant, print the table and write the textures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="For the VAE, and the textures as PNG.")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--texture-size", type=int, default=256)
    parser.add_argument("--vae-steps", type=int, default=300, help="Of 8 images.")
    parser.add_argument("--encoders", nargs="+", choices=ENCODERS, default=ENCODERS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    mesh = fit_to_unit_sphere(load_mesh(MESH))
    looks = {"brick": reference_looks()["brick"].base_color, "plain": one_color}
    print("| noise is added to | texture | correlation, brick | speckle, plain |")
    print("|---|---|---|---|")
    for encoder in arguments.encoders:
        if encoder == "vae":
            encode = open_vae(arguments.folder / "vae", arguments.vae_steps)
        else:
            encode = encode_pixels
        for kind in TEXTURES:
            found = {}
            for look, true_look in looks.items():
                found[look], seen = paint(mesh, true_look, encode, kind, arguments)
                picture = Image.fromarray((255 * found[look]).round().astype(np.uint8))
                picture.save(arguments.folder / f"{encoder}-{look}-{kind.replace(' ', '-')}.png")
            true, covered = true_texels(mesh, looks["brick"], arguments.texture_size)
            chosen = covered & seen
            columns = correlation(found["brick"], true, chosen), speckle(found["plain"], chosen)
            print(f"| {encoder} | {kind} | {columns[0]:.3f} | {columns[1]:.1f} |", flush=True)


def one_color(points: Tensor, normals: Tensor) -> Tensor:
    """Terracotta, float[n, 3], whatever the place."""
    return torch.tensor([0.7, 0.4, 0.3]).expand(len(points), 3)


def encode_pixels(images: Tensor) -> Tensor:
    """As a model of pixels does, but with a variance near 1."""
    return (images.permute(0, 3, 1, 2) - 0.5) / 0.25


def open_vae(folder: Path, steps: int) -> Encoder:
    """The encoder of the VAE in a folder, which is trained if it is not there."""
    if not folder.is_dir():
        train_vae(steps).save_pretrained(folder)
    vae: Any = AutoencoderKL.from_pretrained(folder, low_cpu_mem_usage=False)
    vae.eval().requires_grad_(False)

    def encode(images: Tensor) -> Tensor:
        mean = vae.encode(2 * images.permute(0, 3, 1, 2) - 1).latent_dist.mode()
        return mean * vae.config.scaling_factor

    return encode


def train_vae(steps: int, batch: int = 8, pool: int = 640) -> AutoencoderKL:
    """A small VAE of the kind that latent diffusion has; its latents have a variance of 1."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    scenes = [random_scenes(16, 10, generator).images for _ in range(pool // 160)]
    images = 2 * torch.cat(scenes).permute(0, 3, 1, 2) - 1
    vae: Any = AutoencoderKL(
        block_out_channels=WIDTHS,
        down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
        up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
        latent_channels=4,
        norm_num_groups=8,
        sample_size=IMAGE_SIZE,
    )
    optimizer = torch.optim.AdamW(vae.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for step in range(steps):
        chosen = images[torch.randint(len(images), (batch,), generator=generator)]
        posterior = vae.encode(chosen).latent_dist
        decoded = vae.decode(posterior.sample(generator=generator)).sample
        loss = functional.mse_loss(decoded, chosen) + 1e-6 * posterior.kl().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            print(f"VAE, step {step}: {loss.item():.4f}", flush=True)
    with torch.no_grad():
        latents = vae.encode(images[:256]).latent_dist.mode()
    vae.register_to_config(scaling_factor=1 / latents.std().item())
    return vae


def paint(
    mesh: Mesh, look: Paint, encode: Encoder, kind: str, arguments: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray]:
    """The texture, float[size, size, 3], and which of its texels were seen, bool[size, size]."""
    settings = PaintSettings(
        "known",
        texture="field" if kind == "field" else "pyramid",
        texture_size=arguments.texture_size,
        steps=arguments.steps,
        views=VIEWS,
    )
    denoiser, viewpoints = KnowingDenoiser(), find_viewpoints(mesh, mesh, settings)
    with tempfile.TemporaryDirectory() as folder, levels_of(kind):
        painting = Painting(settings, mesh.vertices.device, Path(folder))
    while painting.step < settings.steps:
        take_step(painting, mesh, viewpoints, look, encode, denoiser, settings)
    return painting.maps(mesh, settings.texture_size)[0][0].numpy(), painting.seen_texels()[
        0
    ].numpy()


@contextmanager
def levels_of(kind: str) -> Iterator[None]:
    """Inside, a pyramid of texels has nothing but its finest level if one image is wanted."""
    if kind != "one image":
        yield
        return
    with patch("texcsd.rendering.texture._default_levels", lambda size: [size]):
        yield


def take_step(
    painting: Painting,
    mesh: Mesh,
    viewpoints: Viewpoints,
    look: Paint,
    encode: Encoder,
    denoiser: KnowingDenoiser,
    settings: PaintSettings,
) -> None:
    """One step of `texcsd paint`, with a denoiser that is told what each view should show."""
    generator = step_generator(settings.seed, painting.step)
    done = painting.step / (settings.steps - 1)
    cameras = step_cameras(viewpoints, settings, generator, mesh.vertices.device)
    surface = rasterize_mesh(mesh, cameras, *[SUPERSAMPLING * IMAGE_SIZE] * 2)
    background, lights = random_backgrounds(VIEWS, generator), random_lights(cameras, generator)
    true = torch.zeros_like(surface.positions)
    covered = surface.triangle_ids >= 0
    true[covered] = true_colors(look, surface.positions[covered], surface.normals[covered])
    clean, wanted = (
        encode(downsample(shade(material, surface, lights, background), SUPERSAMPLING))
        for material in (painting.sample(surface, None, {}, done), Material(true))
    )
    noisiest = scheduled("linear", settings.timestep_max_start, settings.timestep_max_end, done)
    timestep = stratified_timesteps(VIEWS, settings.timestep_min, noisiest, 1000, generator)
    direction = score_direction(
        denoiser,  # pyright: ignore[reportArgumentType]
        clean,
        timestep,
        torch.randn(clean.shape, generator=generator),
        PROMPTS,
        csd_weights(),
        wanted,
        cameras.view_width,
    )
    surrogate_loss(clean, direction).backward()
    rate = settings.learning_rate
    painting.advance(surface, None, scheduled("linear", rate, FINAL_RATE * rate, done))


def true_colors(look: Paint, positions: Tensor, normals: Tensor) -> Tensor:
    """sRGB, float[n, 3]."""
    return look(positions + PATTERN_OFFSET / 2, normals)


def true_texels(mesh: Mesh, look: Paint, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The true texture, float[size, size, 3], and where the mesh has one, bool[size, size]."""
    texels = surface_of_texels(mesh, size)
    true = np.zeros((size, size, 3), np.float32)
    places = (torch.from_numpy(part[texels.covered]) for part in (texels.positions, texels.normals))
    true[texels.covered] = true_colors(look, *places).numpy()
    return true, texels.covered


def correlation(found: np.ndarray, true: np.ndarray, chosen: np.ndarray) -> float:
    """Of two textures where `chosen`, bool[size, size]: the mean of the channels."""
    channels = range(3)
    return float(
        np.mean([np.corrcoef(found[..., c][chosen], true[..., c][chosen])[0, 1] for c in channels])
    )


def speckle(found: np.ndarray, chosen: np.ndarray) -> float:
    """RMS, of 255, of what a texture has beyond the mean of the texels around that are chosen."""
    weight = uniform_filter(chosen.astype(np.float64), NEIGHBOURS).clip(1e-6)
    kept = np.moveaxis(np.where(chosen[..., None], found, 0.0), 2, 0)
    smooth = np.stack([uniform_filter(channel, NEIGHBOURS) / weight for channel in kept], 2)
    return 255 * float(np.sqrt(np.square((found - smooth)[chosen]).mean()))


if __name__ == "__main__":
    main()
