"""The estimate agrees with the runs its constants were taken from, and grows with what costs."""

from itertools import pairwise

import pytest

from texcsd.checking.estimate import (
    MODELS,
    TIMED_MODEL,
    estimate_job,
    estimate_on_gpu,
    estimate_painting,
)
from texcsd.guidance.hub import HUB_IDS
from texcsd.settings import PaintSettings

# triangles, steps, views, texture size, unwrapped; seconds and GiB measured.
RUNS = [
    (8_160, 150, 6, 1024, False, 44, 0.86),
    (8_160, 30, 6, 1024, False, 20.8, 0.83),
    (8_160, 30, 6, 256, False, 17.0, 0.75),
    (8_160, 10, 6, 1024, False, 16.2, 0.85),
    (8_160, 10, 6, 256, False, 11.8, 0.74),
]
MEMORY = [
    (5_856, 20, 6, 512, False, 0.78),
    (5_856, 20, 6, 2048, False, 1.24),
    (64_618, 10, 6, 1024, True, 0.84),
    (300_000, 20, 6, 1024, False, 0.87),
]


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_the_estimate_is_within_a_sixth_of_what_was_measured(run):
    *sizes, seconds, gibibytes = run
    estimate = estimate_painting(*sizes)
    assert estimate.seconds == pytest.approx(seconds, rel=1 / 6)
    assert estimate.memory_bytes / 2**30 == pytest.approx(gibibytes, rel=1 / 6)


@pytest.mark.parametrize("run", MEMORY, ids=str)
def test_memory_is_within_a_sixth_of_what_was_measured_of_larger_ones(run):
    *sizes, gibibytes = run
    memory = estimate_painting(*sizes).memory_bytes / 2**30
    assert memory == pytest.approx(gibibytes, rel=1 / 6)


def test_several_textures_cost_what_their_texels_cost():
    assert estimate_painting(1000, 10, 6, 512, False, textures=4) == estimate_painting(
        1000, 10, 6, 1024, False
    )


def test_every_cost_counts():
    base = estimate_painting(10_000, 100, 4, 512, False)
    for changed in (
        (20_000, 100, 4, 512, False),
        (10_000, 200, 4, 512, False),
        (10_000, 100, 8, 512, False),
        (10_000, 100, 4, 1024, False),
        (10_000, 100, 4, 512, True),
    ):
        assert estimate_painting(*changed).seconds > base.seconds
    assert estimate_painting(10_000, 100, 8, 512, False).memory_bytes > base.memory_bytes
    assert estimate_painting(10_000, 100, 4, 1024, False).memory_bytes > base.memory_bytes
    assert estimate_painting(10_000_000, 100, 4, 512, False).memory_bytes > 10 * base.memory_bytes


def test_unwrapping_is_never_longer_than_its_time_limit():
    sizes = 100_000_000, 1, 1, 16
    difference = estimate_painting(*sizes, True).seconds - estimate_painting(*sizes, False).seconds
    assert difference == pytest.approx(120)


def job(area=5.0, triangles=5000, **options):
    return estimate_job(PaintSettings("x", **options), triangles, area, False, 1)


def test_without_a_stage_for_the_shape_a_job_is_its_painting():
    assert job() == estimate_painting(5000, 150, 6, 1024, False)


def test_steps_of_the_shape_count_and_so_do_the_small_faces_they_are_taken_on():
    plain, bent = job().seconds, job(displace=0.03).seconds
    assert 15 < bent - plain < 60
    assert job(displace=0.03, displace_steps=200).seconds > bent + 15
    assert job(displace=0.03, displace_detail=0.015).seconds > bent + 5
    assert job(displace=0.03, triangles=200_000).seconds > bent + 20


def test_a_new_shape_counts_by_its_surface_and_resolution_and_not_by_the_faces_of_the_input():
    new = job(dmtet=True)
    assert new.seconds > job(displace=0.03).seconds
    assert job(dmtet=True, triangles=10**6) == new
    finer = job(dmtet=True, dmtet_resolution=256)
    assert finer.seconds > 1.5 * new.seconds and finer.memory_bytes > new.memory_bytes
    assert job(dmtet=True, area=10.0).seconds > new.seconds
    assert job(dmtet=True, target_faces=500).seconds < new.seconds


def test_the_bunny_of_the_readme_is_within_a_third_of_what_it_took():
    """Two minutes at 128 layers, beside nothing else; 35,104 triangles were half of those found."""
    estimate = job(area=5.5, triangles=69_451, dmtet=True, dmtet_strength=0.025)
    assert estimate.seconds == pytest.approx(120, rel=1 / 3)


def on_gpu(name, views=6, steps=1000):
    """Seconds of a step and GiB, without what it takes to load and to write."""
    on_cpu = estimate_painting(10_000, 1, views, 512, False)
    estimate = estimate_on_gpu(name, on_cpu, steps, views)
    return (estimate.seconds - on_cpu.seconds) / steps, estimate.memory_bytes / 2**30


@pytest.mark.parametrize(
    ("views", "step", "gibibytes"), [(1, 0.123, 6.1), (2, 0.173, 6.3), (4, 0.305, 6.6)]
)
def test_the_timed_model_takes_what_one_of_its_size_was_measured_to_take(views, step, gibibytes):
    assert on_gpu(TIMED_MODEL, views) == (
        pytest.approx(step, rel=0.05),
        pytest.approx(gibibytes, rel=0.02),
    )


def test_every_model_with_a_name_has_an_estimate():
    assert MODELS.keys() == HUB_IDS.keys()


@pytest.mark.parametrize("views", [1, 6, 32])
def test_what_computes_more_takes_longer(views):
    costs = {name: on_gpu(name, views) for name in MODELS}
    for seconds_or_memory in (0, 1):
        depth, timed, plain, largest = (
            costs[name][seconds_or_memory]
            for name in (
                "stable-diffusion-2-depth",
                "stable-diffusion-1.5",
                "stable-diffusion-2.1",
                "sdxl",
            )
        )
        assert depth <= timed < plain < largest
    # It has no VAE.
    assert costs["deepfloyd-if"][0] < costs["stable-diffusion-1.5"][0]


def test_views_beyond_what_keeps_a_gpu_busy_cost_as_much_each():
    for name in MODELS:
        one, *more = (on_gpu(name, views) for views in (1, 8, 16, 24))
        first, second = (after[0] - before[0] for before, after in pairwise(more))
        assert first == pytest.approx(second)
        assert one[0] < more[0][0] and one[1] <= more[0][1]


def test_text_encoders_larger_than_the_rest_count_for_they_are_there_at_once():
    """DeepFloyd IF's has more parameters than its UNet, and leaves before painting begins."""
    model = MODELS["deepfloyd-if"]
    assert on_gpu("deepfloyd-if")[1] == pytest.approx(model.weights + model.text_encoders)
    assert on_gpu("deepfloyd-if", 1)[1] == on_gpu("deepfloyd-if", 6)[1]
