"""Train the embedded model on random scenes: `python -m texcsd.embedded.train --run DIR`.

Runs on a CPU or a GPU, saves often, and goes on from its last save when started again. Scenes are
rendered by other processes (`--workers`), or on the device of the training itself, into a replay
buffer, because an image can be used a few times before the model remembers it, and a rendered image
costs as much as a training step. The learning rate is constant and falls to zero over the last part
of `--steps` or `--minutes`, so a run can be ended well at any time by starting it again with fewer.
"""

import argparse
import copy
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from texcsd.embedded.model import TextToImage, build_scheduler, load_pipeline, save_pipeline
from texcsd.embedded.place import GEOMETRY_CHANNELS
from texcsd.embedded.scenes import FAR_DEPTH, IMAGE_SIZE, Scenes, random_scenes, spoil

LOOKS_PER_SHAPE = 6
VALIDATION_SHAPES = 8
SPOILT = 0.06
CAPTION_DROPOUT = 0.12
BACKGROUND_WEIGHT = 0.2
VALIDATION_TIMESTEPS = (50, 200, 400, 600, 800, 950)
SHEET_PROMPTS = (
    "a leather armchair",
    "brick",
    "wood",
    "zebra",
    "gold",
    "grass",
    "lava",
    "red plaid",
    "blue and white stripes",
    "marble",
    "green leather",
    "a blue vase",
)


class SceneChunks(IterableDataset):
    """Endless chunks of scenes; chunk i depends on the seed, i and its number of shapes alone."""

    def __init__(self, seed: int, first: int, shapes: int, device: str) -> None:
        self.seed, self.first, self.shapes, self.device = seed, first, shapes, device

    def __iter__(self) -> Iterator[Scenes]:
        worker = get_worker_info()
        # Workers take turns, so the order does not depend on how many there are.
        index, stride = (self.first + worker.id, worker.num_workers) if worker else (self.first, 1)
        while True:
            yield make_chunk(self.seed * 1_000_003 + index, self.shapes, self.device)
            index += stride


def make_chunk(seed: int, shapes: int, device: str) -> Scenes:
    """A few dozen scenes, some of them spoilt."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        scenes = random_scenes(shapes, LOOKS_PER_SHAPE, generator, device)
    return spoil(scenes, SPOILT, generator)


class Replay:
    """The newest scenes, 8 bits a channel, drawn from at random."""

    def __init__(self, capacity: int, device: str) -> None:
        if capacity % LOOKS_PER_SHAPE:
            raise ValueError(f"replay is {capacity}; choose a multiple of {LOOKS_PER_SHAPE}")
        self.capacity, self.added = capacity, 0
        shapes = capacity // LOOKS_PER_SHAPE
        image = (IMAGE_SIZE, IMAGE_SIZE)
        self.pixels = torch.empty(capacity, 3, *image, dtype=torch.uint8, device=device)
        self.geometry = torch.empty(
            shapes, GEOMETRY_CHANNELS, *image, dtype=torch.uint8, device=device
        )
        self.view_width = torch.empty(capacity, device=device)
        self.captions = [""] * capacity

    def add(self, scenes: Scenes) -> None:
        """Replace the oldest scenes; as many as the buffer holds at most."""
        device = self.pixels.device
        slots = (self.added + torch.arange(len(scenes.captions))) % self.capacity
        for slot, caption in zip(slots.tolist(), scenes.captions, strict=True):
            self.captions[slot] = caption
        slots = slots.to(device)
        self.pixels[slots] = _to_bytes(scenes.images.to(device).permute(0, 3, 1, 2))
        self.view_width[slots] = scenes.view_width.to(device)
        geometry = scenes.geometry.to(device).permute(0, 3, 1, 2)
        self.geometry[slots[::LOOKS_PER_SHAPE] // LOOKS_PER_SHAPE] = _to_bytes((geometry + 1) / 2)
        self.added += len(scenes.captions)

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, list]:
        """Images float[count, 3, size, size] and geometry in [-1, 1], view widths, captions."""
        slots = torch.randint(min(self.added, self.capacity), (count,), generator=generator)
        dropped = torch.rand(count, generator=generator) < CAPTION_DROPOUT
        on_device = slots.to(self.pixels.device, non_blocking=True)
        pixels = self.pixels[on_device].float() / 127.5 - 1
        geometry = self.geometry[on_device // LOOKS_PER_SHAPE].float() / 127.5 - 1
        captions = [
            "" if drop else self.captions[slot]
            for slot, drop in zip(slots.tolist(), dropped.tolist(), strict=True)
        ]
        return pixels, geometry, self.view_width[on_device], captions


def _to_bytes(values: Tensor) -> Tensor:
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def velocity_target(clean: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy image and the velocity to predict (Salimans and Ho 2022, appendix D)."""
    alpha = alpha_cumprod.sqrt().view(-1, 1, 1, 1)
    sigma = (1 - alpha_cumprod).sqrt().view(-1, 1, 1, 1)
    return alpha * clean + sigma * noise, alpha * noise - sigma * clean


def draw_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """int[count] below 1000, half above 840: where all is noise, caption and place must tell."""
    return (1000 * torch.rand(count, generator=generator) ** 0.25).long()


def object_loss(predicted: Tensor, target: Tensor, geometry: Tensor) -> Tensor:
    """Mean squared velocity error; the background, which nobody paints, counts a fifth."""
    depth = geometry[:, :1]
    weight = torch.where(depth > FAR_DEPTH / 2, 1.0, BACKGROUND_WEIGHT)
    return (weight * (predicted - target) ** 2).mean()


def learning_rate_factor(step: int, done: float, cooldown: float, warmup: int = 300) -> float:
    """Linear warm-up, constant, linear fall to zero over the last `cooldown` of the run.

    Args:
        step: From 0.
        done: Share of the run, from 0 to 1.
        cooldown: Share of the run.
        warmup: Steps.
    """
    return min(1.0, (step + 1) / warmup, max(0.0, (1 - done) / cooldown))


@torch.no_grad()
def validation_losses(model: TextToImage, scenes: Scenes, alphas: Tensor) -> dict[str, float]:
    """Mean squared velocity error at fixed timesteps on scenes not trained on."""
    clean = scenes.images.permute(0, 3, 1, 2) * 2 - 1
    geometry = scenes.geometry.permute(0, 3, 1, 2).repeat_interleave(LOOKS_PER_SHAPE, 0)
    losses = {}
    for timestep in VALIDATION_TIMESTEPS:
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(timestep))
        at = torch.full((len(clean),), timestep, device=clean.device)
        noisy, target = velocity_target(clean, noise.to(clean), alphas[at])
        with torch.autocast(clean.device.type, torch.bfloat16):
            predicted = model(noisy, at, scenes.captions, geometry, scenes.view_width)
        losses[str(timestep)] = round(object_loss(predicted.float(), target, geometry).item(), 5)
    return losses


@torch.no_grad()
def sample_sheet(model: TextToImage, scenes: Scenes, guidance_scale: float = 3.0) -> Image.Image:
    """DDIM samples: a row for each sheet prompt, a column for each of four views."""
    scheduler = build_scheduler()
    scheduler.set_timesteps(24)
    columns = 4
    geometry = scenes.geometry[:columns].permute(0, 3, 1, 2).repeat(len(SHEET_PROMPTS), 1, 1, 1)
    widths = scenes.view_width[::LOOKS_PER_SHAPE][:columns].repeat(len(SHEET_PROMPTS))
    captions = [prompt for prompt in SHEET_PROMPTS for _ in range(columns)]
    count = len(captions)
    size, generator = IMAGE_SIZE, torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, size, size, generator=generator).to(geometry)
    for timestep in scheduler.timesteps:
        at = torch.full((2 * count,), int(timestep), device=x.device)
        with torch.autocast(x.device.type, torch.bfloat16):
            both = model(
                x.repeat(2, 1, 1, 1),
                at,
                captions + [""] * count,
                geometry.repeat(2, 1, 1, 1),
                widths.repeat(2),
            ).float()
        conditional, unconditional = both.chunk(2)
        guided = unconditional + guidance_scale * (conditional - unconditional)
        (x,) = scheduler.step(guided, int(timestep), x, return_dict=False)[:1]
    rows = (x.clamp(-1, 1) + 1).view(len(SHEET_PROMPTS), columns, 3, size, size)
    pixels = rows.permute(0, 3, 1, 4, 2).reshape(size * len(SHEET_PROMPTS), size * columns, 3)
    return Image.fromarray((pixels * 127.5).round().to(torch.uint8).cpu().numpy())


class Run:
    """Everything that is saved: model, its moving average, optimiser, counters."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.folder = Path(arguments.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(arguments.seed)
        self.model = TextToImage().to(arguments.device)
        self.model.unet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        if arguments.start_from:
            load_pipeline(self.model, Path(arguments.start_from))
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        groups = [
            {"params": self.model.text_encoder.parameters(), "rate": arguments.text_rate},
            {"params": self.model.unet.parameters(), "rate": 1.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        if arguments.compile:
            self.model.unet.compile()
        self.step = self.chunks = 0
        if (self.folder / "checkpoint.safetensors").exists():
            self._restore()

    def save(self, notes: dict) -> None:
        """Write the checkpoint, then the diffusers folder."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items()}
        tensors = {k: v.contiguous().cpu() for k, v in tensors.items()}
        counters = json.dumps({"step": self.step, "chunks": self.chunks})
        partial = self.folder / "checkpoint.partial"
        save_file(tensors, partial, {"counters": counters})
        os.replace(partial, self.folder / "checkpoint.safetensors")
        save_pipeline(self.average, self.folder / "weights", notes)

    def _restore(self) -> None:
        from safetensors import safe_open

        path = self.folder / "checkpoint.safetensors"
        tensors = load_file(path)
        part = lambda name: {  # noqa: E731
            k.removeprefix(name): v for k, v in tensors.items() if k.startswith(name)
        }
        self.model.load_state_dict(part("model."))
        self.average.load_state_dict(part("average."))
        states: dict[int, dict[str, Tensor]] = {}
        for key, value in part("optimizer.").items():
            index, name = key.split(".")
            states.setdefault(int(index), {})[name] = value
        if states:
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": states, "param_groups": groups})
            # In the memory format of the weights, which fused optimisers insist on.
            for weight, state in self.optimizer.state.items():
                for name in ("exp_avg", "exp_avg_sq"):
                    state[name] = torch.empty_like(weight).copy_(state[name])
        with safe_open(path, "pt") as file:
            counters = json.loads(file.metadata()["counters"])
        self.step, self.chunks = counters["step"], counters["chunks"]

    def update_average(self, decay: float) -> None:
        """Exponential moving average of the weights, shorter at the beginning."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        parameters = [weight.detach() for weight in self.model.parameters()]
        get_ema_multi_avg_fn(decay)(list(self.average.parameters()), parameters, self.step)


def train(arguments: argparse.Namespace) -> None:
    """The training loop."""
    device = arguments.device
    run = Run(arguments)
    alphas = build_scheduler().alphas_cumprod.to(device)
    torch.backends.cudnn.benchmark = True
    where = "cpu" if arguments.workers else device
    chunks = SceneChunks(arguments.seed, run.chunks, arguments.shapes, where)
    stream = iter(DataLoader(chunks, batch_size=None, num_workers=arguments.workers))
    replay = Replay(arguments.replay, device)
    validation = make_chunk(-1, VALIDATION_SHAPES, device)
    generator = torch.Generator().manual_seed(arguments.seed + run.step)
    noise_generator = torch.Generator(device).manual_seed(arguments.seed + run.step)
    settings = {name: value for name, value in vars(arguments).items() if name != "run"}
    fresh_owed, started, seen = float(arguments.fill), time.time(), 0
    loss_sum, done = torch.zeros((), device=device), run.step / arguments.steps
    while done < 1:
        while fresh_owed > 0:
            replay.add(next(stream))
            run.chunks += 1
            fresh_owed -= arguments.shapes * LOOKS_PER_SHAPE
        clean, geometry, widths, captions = replay.draw(arguments.batch, generator)
        timestep = draw_timesteps(arguments.batch, generator).to(device, non_blocking=True)
        noise = torch.randn(clean.shape, generator=noise_generator, device=device)
        noisy, target = velocity_target(clean, noise, alphas[timestep])
        with torch.autocast(device, torch.bfloat16):
            predicted = run.model(noisy, timestep, captions, geometry, widths)
        loss = object_loss(predicted.float(), target, geometry)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        rate = arguments.learning_rate * learning_rate_factor(run.step, done, arguments.cooldown)
        for group in run.optimizer.param_groups:
            group["lr"] = rate * group["rate"]
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.update_average(arguments.average)
        run.step += 1
        seen += arguments.batch
        fresh_owed += arguments.batch * arguments.fresh
        loss_sum += loss.detach()
        if run.step % arguments.log_every == 0:
            log = {
                "step": run.step,
                "loss": round(loss_sum.item() / arguments.log_every, 5),
                "images_per_second": round(seen / (time.time() - started), 1),
                "learning_rate": rate,
            }
            loss_sum.zero_()
            print(json.dumps(log), flush=True)
        elapsed = time.time() - started
        done = max(run.step / arguments.steps, elapsed / (60 * arguments.minutes))
        if run.step % arguments.save_every == 0 or done >= 1:
            report = {"step": run.step, "images": run.step * arguments.batch}
            report["validation"] = validation_losses(run.average, validation, alphas)
            print(json.dumps(report), flush=True)
            run.save({**settings, **report})
            sample_sheet(run.average, validation).save(run.folder / f"sheet-{run.step:07}.png")


def main(command: list[str] | None = None) -> None:
    """Parse a command line, that of the process unless given, and train."""
    parser = argparse.ArgumentParser(description="Train the embedded model on random scenes.")
    parser.add_argument("--run", required=True, help="folder for checkpoints, weights and sheets")
    parser.add_argument("--start-from", help="weights folder a new run begins with, or none")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end after so many")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument(
        "--text-rate", type=float, default=1.0, help="the text encoder's rate, beside the UNet's"
    )
    parser.add_argument("--cooldown", type=float, default=0.5, help="share of falling rate")
    parser.add_argument("--average", type=float, default=0.999, help="decay of the mean weights")
    parser.add_argument("--replay", type=int, default=16_380, help="scenes kept for reuse")
    parser.add_argument("--fill", type=int, default=1_500, help="scenes rendered before step 1")
    parser.add_argument("--fresh", type=float, default=0.33, help="new scenes per scene used")
    parser.add_argument("--shapes", type=int, default=8, help="shapes rendered at a time")
    parser.add_argument(
        "--workers", type=int, default=1, help="rendering processes; 0: the training's device"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="about 1.5 times as fast; needs gcc")
    parser.add_argument("--log-every", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=500)
    train(parser.parse_args(command))


if __name__ == "__main__":
    main()
