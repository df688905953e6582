"""Quick stand-ins for the painting, for workers, and for jobs."""

from pathlib import Path

import torch
from replaced_painting import FakeDenoiser

from texcsd.batching.records import Job
from texcsd.checkpoint import load_checkpoint, save_checkpoint
from texcsd.settings import PaintSettings
from texcsd.synthesis import SynthesisResult, step_generator


class FakeSynthesis:
    """Adds noise of the seed in every step, and goes on from checkpoints as the true one does."""

    def __init__(self) -> None:
        self.steps_taken = 0
        self.models_loaded = 0
        self.raise_at: dict[tuple[str, int], BaseException] = {}
        """By prompt and step; raised once."""
        self.every_step = lambda: None

    def load_denoiser(self, *choices) -> FakeDenoiser:
        self.models_loaded += 1
        return FakeDenoiser()

    def __call__(
        self, mesh, denoiser, settings, folder, progress, original, looks, normal_maps, watch
    ):
        loaded = load_checkpoint(folder)
        color, step = torch.zeros(3), 0
        if loaded is not None:
            color, step = loaded[0]["color"], loaded[1]["step"]
        progress.update(step)
        while step < settings.steps:
            self.every_step()
            if (settings.prompt, step) in self.raise_at:
                raise self.raise_at.pop((settings.prompt, step))
            noise = torch.rand(3, generator=step_generator(settings.seed, step))
            color = (color + noise / settings.views) % 1
            step += 1
            self.steps_taken += 1
            save_checkpoint(folder, {"color": color}, {"step": step})
            progress.update(step)
        size = settings.texture_size
        return SynthesisResult(
            [color.expand(1, size, size, 3).contiguous()],
            [torch.ones(size, size, dtype=torch.bool)],
            {"render": 0.0, "denoise": 0.0, "update": 0.0},
        )


def make_jobs(count: int, folder: Path = Path("out"), **settings) -> list[Job]:
    """Jobs nobody looks into."""
    return [
        Job(f"job-{i}", Path("mesh.obj"), folder / f"job-{i}", PaintSettings("gold", **settings))
        for i in range(count)
    ]
