"""Where a painting step with Stable Diffusion goes, on a GPU.

    python tests/benchmarks/benchmark_guidance.py guidance.md
    python tests/benchmarks/benchmark_guidance.py compiled.md --compile   (minutes longer)
    python tests/benchmarks/benchmark_guidance.py tiny.md --tiny   (small models, any CPU)

The UNet, depth ControlNet, VAE and text encoder have the sizes of Stable Diffusion 1.5 and random
weights: nothing is downloaded, and time and memory are those of the real ones. The steps are those
of `texcsd paint`. Parts of a step are the times between events on the GPU's stream, so they hold
what the GPU waited for. "Denoiser" is UNet and ControlNet; "model" is that, the VAE and its
gradient.
"""

from __future__ import annotations

import argparse
import gc
import logging
import string
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    ControlNetModel,
    PNDMScheduler,
    UNet2DConditionModel,
)
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from texcsd import synthesis
from texcsd.geometry.mesh import Mesh, fit_to_unit_sphere, load_mesh
from texcsd.guidance.diffusers_denoiser import Pipeline
from texcsd.guidance.latent_denoiser import LatentDenoiser
from texcsd.guidance.text_encoders import PromptEncoder
from texcsd.rendering import hash_grid
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.normal_mapping import NormalMappedMesh
from texcsd.rendering.operations import select_rasterizer
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.settings import PaintSettings
from texcsd.stopwatch import Stopwatch

MESH = Path(__file__).parent.parent.parent / "assets" / "armchair.obj"
PROMPT = "a leather armchair"

FULL = {
    "unet": {"sample_size": 64, "cross_attention_dim": 768},
    "controlnet": {"cross_attention_dim": 768},
    "vae": {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": 512},
    "tiny_vae": {},
    "text": {
        "vocab_size": 49408,
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "max_position_embeddings": 77,
    },
}
"""Of Stable Diffusion 1.5, where they are not diffusers' defaults."""
SMALL_BLOCKS = {"block_out_channels": (32, 32, 32, 32), "norm_num_groups": 8}
TINY = {
    "unet": {"sample_size": 8, "cross_attention_dim": 32, **SMALL_BLOCKS},
    "controlnet": {"cross_attention_dim": 32, **SMALL_BLOCKS},
    "vae": {"sample_size": 64, "layers_per_block": 1, **SMALL_BLOCKS},
    "tiny_vae": {},
    "text": {
        "vocab_size": 49408,
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 77,
    },
}
PARTS = {
    "render": "render",
    "encode": "VAE",
    "denoise": "denoise",
    "guide": "mix",
    "backward of the VAE": "VAE grad",
    "backward of the renderer": "render grad",
    "optimizer": "optimizer",
}
"""Parts of a step, and their columns."""
OF_THE_MODEL = ("encode", "denoise", "backward of the VAE")


def main() -> None:
    """Build the models, measure every variant, print and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="Markdown file for the tables.")
    parser.add_argument("--steps", type=int, default=5, help="Measured, after two more.")
    parser.add_argument("--mesh", type=Path, default=MESH, help="With UVs.")
    parser.add_argument("--texture-size", type=int, default=1024)
    parser.add_argument(
        "--limit", type=float, default=95.0, help="Seconds; then rows are left out."
    )
    parser.add_argument("--compile", action="store_true", help="Also with torch.compile.")
    parser.add_argument("--tiny", action="store_true", help="Small models, to try this script.")
    arguments = parser.parse_args()
    diffusers.utils.logging.set_verbosity_error()
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("texcsd").setLevel(logging.INFO)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    started = time.perf_counter()
    models = build_models(TINY if arguments.tiny else FULL, device)
    mesh = fit_to_unit_sphere(load_mesh(arguments.mesh)).to(device)
    settings = PaintSettings(PROMPT, texture_size=arguments.texture_size, texture="pyramid")
    ends = started + arguments.limit * (10 if arguments.compile else 1)
    bench = Bench(mesh, models, settings, arguments.steps, arguments.output, ends)
    bench.say(describe_machine(device), f"models built in {time.perf_counter() - started:.0f} s")
    measure_all(bench, device, arguments.compile)
    bench.say(f"all of it took {time.perf_counter() - started:.0f} s")


def build_models(sizes: dict[str, dict], device: torch.device) -> dict[str, Any]:
    """Random models by part, made on the device and in the precision they are used in."""
    torch.manual_seed(0)
    half = torch.float16 if device.type == "cuda" else torch.float32
    blocks = 4
    with device, default_dtype(half):
        models: dict[str, Any] = {
            "unet": UNet2DConditionModel(**sizes["unet"]),
            "controlnet": ControlNetModel(**sizes["controlnet"]),
            "text": CLIPTextModel(CLIPTextConfig(projection_dim=768, **sizes["text"])),
        }
    with device:
        models["vae"] = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * blocks,
            up_block_types=("UpDecoderBlock2D",) * blocks,
            latent_channels=4,
            **sizes["vae"],
        )
        models["tiny_vae"] = AutoencoderTiny(**sizes["tiny_vae"])
    for model in models.values():
        model.eval().requires_grad_(False)
    models["scheduler"] = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True
    )
    return models


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """New parameters have this dtype inside."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def letters_tokenizer() -> Any:
    """A CLIP tokenizer that knows letters only: as long a sequence as the real one's."""
    names = [letter + end for end in ("", "</w>") for letter in string.ascii_lowercase]
    words = [*names, "<|startoftext|>", "<|endoftext|>"]
    ids = {word: index for index, word in enumerate(words)}
    return CLIPTokenizer(vocab=ids, merges=[], model_max_length=77)


class ContiguousDenoiser(LatentDenoiser):
    """With the channels of images side by side, as PyTorch has them unless told otherwise."""

    memory_format = torch.contiguous_format


def make_denoiser(
    models: dict[str, Any],
    device: torch.device,
    kind: type[LatentDenoiser] = LatentDenoiser,
    vae: str = "vae",
    vae_dtype: torch.dtype = torch.float32,
    checkpoint_encoder: bool = True,
) -> LatentDenoiser:
    """The models as one denoiser, as the loader would make it of a folder."""
    pipeline = Pipeline(
        name="random",
        licence="none",
        weights_sha256="",
        device=device,
        unet=models["unet"],
        scheduler=models["scheduler"],
        prompt_encoder=PromptEncoder([letters_tokenizer()], lambda: [models["text"]]),
        vae=models[vae].to(vae_dtype),
        controlnet=models["controlnet"],
    )
    return kind(pipeline, checkpoint_encoder)


def measure_all(bench: Bench, device: torch.device, with_compile: bool) -> None:
    """By rasterizer and number of views; then what single choices change."""
    models, bfloat16 = bench.models, torch.bfloat16

    def denoiser(**choices: Any) -> LatentDenoiser:
        return make_denoiser(models, device, **choices)

    rasterizers = available_rasterizers(bench)
    for rasterizer in rasterizers:
        select_rasterizer(rasterizer, device)
        for views in (1, 2, 4):
            bench.measure(f"{rasterizer}, float32 VAE", denoiser(), views)
    select_rasterizer(rasterizers[0], device)
    bench.measure("VAE not checkpointed", denoiser(checkpoint_encoder=False), 2)
    for views in (1, 2, 4):
        bench.measure("VAE in bfloat16", denoiser(vae_dtype=bfloat16), views)
    free = {"vae_dtype": bfloat16, "checkpoint_encoder": False}
    for views in (1, 2, 4):
        bench.measure("VAE in bfloat16, not checkpointed", denoiser(**free), views)
    small = {"vae": "tiny_vae", "checkpoint_encoder": False}
    bench.measure("tiny autoencoder, float32", denoiser(**small), 2)
    for views in (1, 2, 4):
        bench.measure("tiny autoencoder, bfloat16", denoiser(**small, vae_dtype=bfloat16), views)
    bench.measure("tiny, channels first", denoiser(kind=ContiguousDenoiser, **small), 2)
    bench.measure("bfloat16 VAE, channels first", denoiser(kind=ContiguousDenoiser, **free), 2)
    torch.backends.cudnn.benchmark = True
    bench.measure("bfloat16 VAE, cudnn.benchmark", denoiser(**free), 2)
    torch.backends.cudnn.benchmark = False
    bench.measure("bfloat16 VAE, csd of two predictions", denoiser(**free), 2, negative_scale_end=0)
    bench.count_synchronizations(denoiser(**free))
    for name in ("unet", "controlnet"):
        models[name].to(bfloat16)
    bench.measure("all in bfloat16", denoiser(**free), 2)
    measure_fields(bench, denoiser(**free))
    if with_compile:
        measure_compiled(bench, denoiser(**free))


def measure_fields(bench: Bench, denoiser: LatentDenoiser) -> None:
    """The colour field instead of texels, read by Triton's kernels and by PyTorch."""
    takes_triton = hash_grid.takes_triton
    if takes_triton(bench.device):
        for views in (1, 2, 4):
            bench.measure("all in bfloat16, field (Triton)", denoiser, views, texture="field")
    hash_grid.takes_triton = lambda device: False
    bench.measure("all in bfloat16, field (torch)", denoiser, 2, texture="field")
    hash_grid.takes_triton = takes_triton


def measure_compiled(bench: Bench, denoiser: LatentDenoiser) -> None:
    """What torch.compile changes; the first steps take minutes."""
    for module in (denoiser.unet, denoiser.controlnet, denoiser.vae.encoder):
        module.compile()
    for views in (1, 2):
        bench.measure("all in bfloat16, compiled", denoiser, views)


def available_rasterizers(bench: Bench) -> list[Any]:
    """nvdiffrast first, if it works."""
    try:
        select_rasterizer("nvdiffrast", bench.device)
        rasterize_mesh(bench.mesh, orbit_cameras(1).to(bench.device), 64, 64)
    except Exception as error:  # Not there, or built for another machine.
        bench.say(f"without nvdiffrast: {str(error)[:300]}")
        return ["numba"]
    return ["nvdiffrast", "numba"]


class Clock(Stopwatch):
    """Adds up the time between marks, by what was done before each."""

    def __init__(self, device: torch.device) -> None:
        """Nothing is marked yet."""
        super().__init__([], device)
        self.on_gpu = device.type == "cuda"
        self.marks: list[tuple[str, Any]] = []

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Mark the end of a stage; those of the model are marked by `listen` as well."""
        yield
        if stage != "update":
            self.mark("guide" if stage == "denoise" else stage)

    def mark(self, part: str) -> None:
        """All since the last mark was this part; the first of a step has no part."""
        if not self.on_gpu:
            self.marks.append((part, time.perf_counter()))
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self.marks.append((part, event))

    def seconds(self) -> dict[str, float]:
        """By part, over all steps."""
        if self.on_gpu:
            torch.cuda.synchronize()
        total: Counter[str] = Counter()
        for (_, before), (part, after) in zip(self.marks, self.marks[1:], strict=False):
            total[part] += before.elapsed_time(after) / 1000 if self.on_gpu else after - before
        total.pop("start", None)
        return dict(total)


class TimedPainting(synthesis.Painting):
    """A painting that tells a clock when it changes."""

    clock: Clock | None = None

    def advance(self, *arguments: Any) -> None:
        """Mark both ends."""
        if self.clock:
            self.clock.mark("backward of the renderer")
        super().advance(*arguments)
        if self.clock:
            self.clock.mark("optimizer")


def listen(denoiser: LatentDenoiser, clock: Clock) -> None:
    """Have a denoiser tell a clock when it has encoded, predicted, and been differentiated."""
    encode_images, predict_noise = type(denoiser).encode_images, type(denoiser).predict_noise

    def encoded(images: Tensor) -> Tensor:
        clock.mark("guide")
        images.register_hook(lambda _: clock.mark("backward of the VAE"))
        latents = encode_images(denoiser, images)
        clock.mark("encode")
        return latents

    def predicted(*inputs: Tensor) -> Tensor:
        clock.mark("guide")
        noise = predict_noise(denoiser, *inputs)
        clock.mark("denoise")
        return noise

    denoiser.encode_images = encoded
    denoiser.predict_noise = predicted


class Bench:
    """Paints a few steps of each variant and keeps the table."""

    def __init__(
        self,
        mesh: Mesh,
        models: dict[str, Any],
        settings: PaintSettings,
        steps: int,
        output: Path,
        ends: float,
    ) -> None:
        """Begin with an empty table.

        Args:
            mesh: Fitted, on the device.
            models: As `build_models` makes them.
            settings: All but the views.
            steps: To measure.
            output: Where the tables go.
            ends: By `time.perf_counter`; no row is begun later.
        """
        self.ends = ends
        self.mesh, self.models, self.settings = mesh, models, settings
        self.steps, self.output = steps, output
        self.device = mesh.vertices.device
        self.lines: list[str] = []
        self.in_table = False

    def say(self, *lines: str) -> None:
        """Print and write."""
        self.in_table = False
        self._write(["", *lines])

    def measure(self, name: str, denoiser: LatentDenoiser, views: int, **options: Any) -> None:
        """Two steps to warm up, then those that count; a row of the table."""
        if time.perf_counter() > self.ends:
            return self._write([f"| {name} | {views} | left out: no time |"])
        settings = replace(self.settings, views=views, steps=1000, **options)
        try:
            step, painting = self._prepare(denoiser, settings)
            painting.clock = painting.stopwatch = clock = Clock(self.device)
            listen(denoiser, clock)
            for _ in range(self.steps):
                clock.mark("start")
                step()
            self._row(name, views, clock.seconds(), painting)
        except Exception as error:  # The other rows are still worth having.
            self._write([f"| {name} | {views} | {type(error).__name__}: {str(error)[:200]} |"])
        finally:
            for method in ("encode_images", "predict_noise"):
                vars(denoiser).pop(method, None)
            gc.collect()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def count_synchronizations(self, denoiser: LatentDenoiser) -> None:
        """Lines at which the processor waits for the GPU in one step, and how often."""
        if self.device.type != "cuda":
            return
        step, _ = self._prepare(denoiser, replace(self.settings, views=2, steps=1000))
        torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step()
        torch.cuda.set_sync_debug_mode("default")
        waits = Counter(f"{Path(w.filename).name}:{w.lineno}" for w in caught)
        found = ", ".join(f"{place} x {count}" for place, count in waits.most_common())
        self.say(f"the processor waits for the GPU {sum(waits.values())} times a step: {found}")

    def _prepare(self, denoiser: LatentDenoiser, settings: PaintSettings) -> tuple[Any, Any]:
        """A function that takes a step, two of which were taken, and the painting it changes."""
        with tempfile.TemporaryDirectory() as folder:
            painting = TimedPainting(settings, self.device, Path(folder))
        prompts = synthesis.encode_prompts(settings, denoiser)
        seen = synthesis.find_viewpoints(self.mesh, self.mesh, settings)
        shown = NormalMappedMesh(self.mesh, {})

        def step() -> None:
            synthesis._take_step(painting, shown, {}, seen, denoiser, prompts, settings, {})

        for _ in range(2):
            step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        return step, painting

    def _row(self, name: str, views: int, seconds: dict[str, float], painting: Any) -> None:
        total = sum(seconds.values())
        not_denoiser = 1 - seconds["denoise"] / total
        not_model = 1 - sum(seconds[part] for part in OF_THE_MODEL) / total
        columns = [f"{1000 * seconds[part] / self.steps:.1f}" for part in PARTS]
        peak = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else 0.0
        finite = all(bool(part.isfinite().all()) for part in painting.textures.parameters())
        self._write(
            [
                f"| {name} | {views} | {1000 * total / self.steps:.1f} | {' | '.join(columns)} "
                f"| {not_denoiser:.0%} | {not_model:.1%} | {peak:.2f} |"
                + ("" if finite else " not finite")
            ]
        )

    def _write(self, lines: Sequence[str]) -> None:
        if lines[0].startswith("| ") and not self.in_table:
            head = ["variant", "views", "ms", *PARTS.values(), "not denoiser", "not model", "GiB"]
            lines = ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]
            self.in_table = True
        print(*lines, sep="\n", flush=True)
        self.lines += lines
        self.output.write_text("\n".join(self.lines) + "\n", encoding="utf-8")


def describe_machine(device: torch.device) -> str:
    """The device and the versions, in a line."""
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return f"{name}, torch {torch.__version__}, diffusers {diffusers.__version__}; ms of a step"


if __name__ == "__main__":
    main()
