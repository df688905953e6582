"""Score distillation against denoisers whose predictions are known in closed form."""

from dataclasses import dataclass, field

import pytest
import torch

from texcsd.guidance.score import (
    PromptEmbeddings,
    ScoreWeights,
    asd_weights,
    bridge_weights,
    csd_weights,
    later_timesteps,
    method_weights,
    nfsd_weights,
    perpendicular,
    scheduled,
    score_direction,
    sds_weights,
    stratified_timesteps,
    surrogate_loss,
    weigh_timesteps,
)

ALPHAS = torch.linspace(0.999, 0.01, 1000, dtype=torch.float64)


@dataclass
class GaussianDenoiser:
    """The exact noise prediction for images drawn from a Gaussian per prompt.

    An embedding is (mean, standard deviation); E[noise | noisy] is
    sqrt(1 - a) (noisy - sqrt(a) mean) / (a deviation^2 + 1 - a).
    """

    alphas_cumprod: torch.Tensor = field(default_factory=lambda: ALPHAS)
    batches: list[int] = field(default_factory=list)
    shift: float = 0.0
    name = licence = weights_sha256 = default_negative_prompt = ""
    takes_positions = knows_sides = False
    takes_latents = False
    controlnet_scale, most_predictions = 1.0, 0
    image_size = 1

    def check_prompt(self, prompt, negative=False):
        return []

    def split_at_limit(self, prompt):
        return prompt, ""

    def pattern_scale(self, prompt):
        return 1.0

    def encode_prompts(self, prompts):
        raise NotImplementedError

    def encode_images(self, images):
        return images

    def encode_geometry(self, geometry):
        return geometry.depth

    def predict_noise(self, noisy, timestep, embeddings, condition, view_width):
        self.batches.append(len(noisy))
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        mean, deviation = embeddings[:, 0].view(-1, 2, 1, 1).split(1, dim=1)
        variance = alpha * deviation**2 + 1 - alpha
        return (1 - alpha).sqrt() * (noisy - alpha.sqrt() * mean) / variance + self.shift


def gaussian_prompts(*prompts):
    """Positive, negative, unconditional; front and side."""
    rows = torch.tensor([[prompt] for prompt in prompts], dtype=torch.float64)
    return PromptEmbeddings(*rows)


def direction(denoiser, clean, prompts, weights, timestep=500, seed=0, chunk=0, sign=1, later=None):
    views = len(clean)
    generator = torch.Generator().manual_seed(seed)
    noise = sign * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    at = torch.as_tensor(timestep).expand(views)
    nothing = torch.zeros(views, 1, 1, 1)
    later = None if later is None else torch.as_tensor(later).expand(views)
    return score_direction(
        denoiser, clean, at, noise, prompts, weights, nothing, torch.ones(views), chunk, later
    ), noise


PROMPTS = gaussian_prompts((0.8, 0.1), (-0.5, 0.3), (0.0, 1.0))


@pytest.mark.parametrize("negative_scale", [0.0, 0.3, 1.0, 2.0])
def test_csd_weights_sum_to_zero(negative_scale):
    weights = csd_weights(negative_scale)
    assert weights.positive + weights.negative + weights.unconditional == pytest.approx(0)
    assert weights.noise == 0


def test_csd_with_a_share_of_the_prior_is_sds_up_to_scale():
    prior = 0.2
    mixed, sds = csd_weights(0.0, prior), sds_weights(1 + 1 / prior)
    for name in ("positive", "negative", "unconditional", "noise"):
        assert getattr(mixed, name) == pytest.approx(prior * getattr(sds, name))


HALF = torch.tensor([0.5])
"""A timestep in the middle of the schedule."""
METHODS = {
    "csd": csd_weights(0.0),
    "csd with a negative prompt": csd_weights(0.6),
    "csd with a share of the prior": csd_weights(0.3, 0.4),
    "sds": sds_weights(7.5),
    "nfsd": nfsd_weights(7.5, HALF),
    "bridge": bridge_weights(),
}


@pytest.mark.parametrize("weights", METHODS.values(), ids=METHODS)
def test_the_weights_of_every_method_sum_to_zero(weights):
    total = weights.positive + weights.negative + weights.unconditional + weights.noise
    assert float(total + weights.later) == pytest.approx(0)


def test_the_weights_of_asd_sum_to_zero():
    weights = asd_weights(7.5)
    assert weights.positive + weights.unconditional + weights.later == pytest.approx(0)
    assert weights.negative == weights.noise == 0


def test_a_method_is_found_by_its_name():
    assert method_weights("csd", 9.0, 0.6, 0.4, HALF) == csd_weights(0.6, 0.4)
    assert method_weights("sds", 9.0, 0.6, 0.4, HALF) == sds_weights(9.0)
    assert method_weights("nfsd", 9.0, 0.6, 0.4, HALF) == nfsd_weights(9.0, HALF)
    assert method_weights("bridge", 9.0, 0.6, 0.4, HALF) == bridge_weights()
    assert method_weights("asd", 9.0, 0.6, 0.4, HALF) == asd_weights(9.0)


@pytest.mark.parametrize("weights", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("timestep", [50, 500, 950])
def test_every_method_rests_where_its_gaussians_balance(weights, timestep):
    """The mean over noise is linear in the image: sum of w (x - mean) / V, V = a s^2 + 1 - a."""
    alpha = ALPHAS[timestep]
    rows = torch.cat([PROMPTS.positive, PROMPTS.negative, PROMPTS.unconditional])
    mixed = [weights.positive, weights.negative, weights.unconditional]
    pull = torch.tensor([float(w) for w in mixed]) / (alpha * rows[:, 1] ** 2 + 1 - alpha)
    balanced = (pull * rows[:, 0]).sum() / pull.sum()
    clean = balanced.expand(3, 1, 2, 2)
    there, back = (
        direction(GaussianDenoiser(), clean, PROMPTS, weights, timestep, sign=sign)[0]
        for sign in (1, -1)
    )
    # The noise and its opposite are as good as all noise.
    assert torch.allclose(there + back, torch.zeros_like(clean), atol=1e-6)
    elsewhere = sum(
        direction(GaussianDenoiser(), clean + 1, PROMPTS, weights, timestep, sign=sign)[0]
        for sign in (1, -1)
    )
    slope = 2 * (alpha * (1 - alpha)).sqrt() * pull.sum()
    assert torch.allclose(elsewhere, slope.expand_as(clean), atol=1e-6)


@pytest.mark.parametrize("weights", METHODS.values(), ids=METHODS)
def test_an_error_common_to_all_predictions_counts_as_the_noise_does(weights):
    clean = torch.randn(4, 1, 2, 2, dtype=torch.float64)
    exact, shifted = (
        direction(GaussianDenoiser(shift=shift), clean, PROMPTS, weights)[0] for shift in (0.0, 7.0)
    )
    change = torch.full_like(exact, -7.0 * weights.noise)
    assert torch.allclose(shifted - exact, change, atol=1e-6)


def test_nfsd_is_equation_10_where_there_is_much_noise_and_leaves_the_negative_out_elsewhere():
    clean = torch.randn(2, 1, 2, 2, dtype=torch.float64)
    timestep = torch.tensor([100, 600])
    denoiser = GaussianDenoiser()
    weights = nfsd_weights(7.5, timestep / 1000)
    mixed, _ = direction(denoiser, clean, PROMPTS, weights, timestep)
    assert denoiser.batches == [5]  # The negative prompt for one view only.
    little, much = ScoreWeights(7.5, 0, -6.5), ScoreWeights(7.5, -1, -6.5)
    expected = [direction(denoiser, clean, PROMPTS, w, timestep)[0] for w in (little, much)]
    assert torch.allclose(mixed, torch.stack([expected[0][0], expected[1][1]]), atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 4, 15, 100])
def test_chunks_change_nothing_but_the_batches(chunk):
    clean = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    timestep = torch.tensor([10, 200, 400, 600, 990])
    whole, _ = direction(GaussianDenoiser(), clean, PROMPTS, csd_weights(0.5), timestep)
    denoiser = GaussianDenoiser()
    parts, _ = direction(denoiser, clean, PROMPTS, csd_weights(0.5), timestep, chunk=chunk)
    assert torch.equal(whole, parts)
    assert sum(denoiser.batches) == 15 and max(denoiser.batches) == min(chunk, 15)


def test_by_itself_a_batch_is_as_large_as_its_pixels_allow():
    denoiser = GaussianDenoiser()
    clean = torch.zeros(3, 1, 256, 256, dtype=torch.float64)
    direction(denoiser, clean, PROMPTS, csd_weights(0.0))
    assert denoiser.batches == [2, 2, 2]


class SmallGpu(GaussianDenoiser):
    """Has room for three predictions at once."""

    def predict_noise(self, noisy, *rest):
        if len(noisy) > 3:
            raise torch.cuda.OutOfMemoryError
        return super().predict_noise(noisy, *rest)


def test_a_gpu_with_little_memory_makes_fewer_predictions_at_once_and_the_same_ones():
    clean = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    whole, _ = direction(GaussianDenoiser(), clean, PROMPTS, csd_weights(0.5))
    small = SmallGpu()
    parts, _ = direction(small, clean, PROMPTS, csd_weights(0.5))
    assert torch.equal(whole, parts)
    assert small.most_predictions == 3 and small.batches == [3] * 5
    direction(small, clean, PROMPTS, csd_weights(0.5))
    assert small.batches == [3] * 10  # It was not tried again.


def test_a_chunk_that_was_asked_for_is_not_made_smaller():
    clean = torch.randn(5, 1, 2, 2, dtype=torch.float64)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        direction(SmallGpu(), clean, PROMPTS, csd_weights(0.5), chunk=4)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("constant", [0.9, 0.9, 0.9, 0.9]),
        ("linear", [0.9, 0.8, 0.7, 0.5]),
        ("square-root", [0.9, 0.7, 0.9 - 0.4 * 0.5**0.5, 0.5]),
        ("two-stage", [0.9, 0.9, 0.5, 0.5]),
    ],
)
def test_schedules_go_from_start_to_end(schedule, values):
    found = [scheduled(schedule, 0.9, 0.5, progress) for progress in (0.0, 0.25, 0.5, 1.0)]
    assert found == pytest.approx(values)


def test_timesteps_weigh_alike_by_their_noise_or_by_noise_and_image():
    alpha_cumprod = torch.tensor([0.99, 0.5, 0.2])
    expected = {"uniform": [1, 1, 1], "noise": [0.01, 0.5, 0.8], "balanced": [0.0995, 0.5, 0.4]}
    for kind, values in expected.items():
        found = weigh_timesteps(kind, alpha_cumprod)
        assert found.shape == (3, 1, 1, 1)
        assert found.flatten().tolist() == pytest.approx(values, abs=1e-4)


@pytest.mark.parametrize(
    ("weights", "branches"),
    [
        (csd_weights(0.0), 2),
        (csd_weights(0.5), 3),
        (csd_weights(1.0), 2),
        (sds_weights(1.0), 1),
        (bridge_weights(), 2),
        (nfsd_weights(7.5, torch.full((5,), 0.1)), 2),
        (nfsd_weights(7.5, torch.full((5,), 0.3)), 3),
        (ScoreWeights(0, 0, 0, 1), 0),
    ],
)
def test_a_branch_without_weight_is_never_evaluated(weights, branches):
    denoiser = GaussianDenoiser()
    direction(denoiser, torch.zeros(5, 1, 1, 1, dtype=torch.float64), PROMPTS, weights)
    assert denoiser.batches == ([5 * branches] if branches else [])


@pytest.mark.parametrize("negative_scale", [0.0, 0.5, 1.0])
def test_csd_vanishes_where_the_prompts_agree(negative_scale):
    same = gaussian_prompts((0.3, 0.5), (0.3, 0.5), (0.3, 0.5))
    clean = torch.randn(4, 1, 2, 2, dtype=torch.float64)
    result, _ = direction(GaussianDenoiser(), clean, same, csd_weights(negative_scale))
    assert torch.allclose(result, torch.zeros_like(result), atol=1e-12)


def test_an_error_common_to_all_predictions_does_not_change_csd():
    clean = torch.randn(4, 1, 2, 2, dtype=torch.float64)
    exact, _ = direction(GaussianDenoiser(), clean, PROMPTS, csd_weights(0.5))
    shifted, _ = direction(GaussianDenoiser(shift=7.0), clean, PROMPTS, csd_weights(0.5))
    assert torch.allclose(exact, shifted, atol=1e-10)


def test_the_direction_is_equation_10_of_the_paper():
    clean, omega = torch.randn(3, 1, 2, 2, dtype=torch.float64), 0.7
    alone = [ScoreWeights(1, 0, 0), ScoreWeights(0, 1, 0), ScoreWeights(0, 0, 1)]
    positive, negative, unconditional = (
        direction(GaussianDenoiser(), clean, PROMPTS, weights)[0] for weights in alone
    )
    mixed, _ = direction(GaussianDenoiser(), clean, PROMPTS, csd_weights(omega))
    expected = (positive - unconditional) - omega * (negative - unconditional)
    assert torch.allclose(mixed, expected, atol=1e-12)


def test_sds_subtracts_the_noise_that_was_added():
    clean = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    guided, noise = direction(GaussianDenoiser(), clean, PROMPTS, sds_weights(7.5))
    positive, _ = direction(GaussianDenoiser(), clean, PROMPTS, ScoreWeights(1, 0, 0))
    unconditional, _ = direction(GaussianDenoiser(), clean, PROMPTS, ScoreWeights(0, 0, 1))
    expected = unconditional + 7.5 * (positive - unconditional) - noise
    assert torch.allclose(guided, expected, atol=1e-12)


def test_asd_is_guidance_less_the_prediction_at_a_noisier_timestep():
    clean = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    denoiser = GaussianDenoiser()
    mixed, _ = direction(denoiser, clean, PROMPTS, asd_weights(7.5), 500, later=540)
    assert denoiser.batches == [9]
    only_prompt, nothing = ScoreWeights(1, 0, 0), ScoreWeights(0, 0, 1)
    now, empty, later = (
        direction(GaussianDenoiser(), clean, PROMPTS, weights, timestep)[0]
        for weights, timestep in ((only_prompt, 500), (nothing, 500), (only_prompt, 540))
    )
    assert torch.allclose(mixed, empty + 7.5 * (now - empty) - later, atol=1e-12)


def test_asd_rests_at_the_mean_of_its_prompt():
    """There both predictions for the prompt hold noise alone, and the opposite noise cancels it."""
    clean = torch.full((1, 1, 2, 2), 0.8, dtype=torch.float64)
    there, back = (
        direction(GaussianDenoiser(), clean, PROMPTS, asd_weights(1.0), 500, sign=sign, later=560)[
            0
        ]
        for sign in (1, -1)
    )
    assert torch.allclose(there + back, torch.zeros_like(clean), atol=1e-9)


def test_later_timesteps_are_later_by_at_most_a_tenth_of_the_way_down():
    timestep = torch.tensor([20, 120, 520, 999]).repeat(50)
    later = later_timesteps(timestep, 0.02, 1000, torch.Generator().manual_seed(0))
    added = later - timestep
    assert (added >= 0).all() and (added <= (timestep - 20) / 10).all()
    assert later.max() == 999 and added[timestep == 520].max() > 30
    assert (added[timestep == 20] == 0).all()


SIDED = gaussian_prompts((0.8, 0.1), (-0.5, 0.3), (0.0, 1.0), (0.2, 0.4), (-0.7, 0.2))


def test_perp_neg_takes_away_what_of_another_side_is_perpendicular_to_the_prompt():
    clean = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    weights = ScoreWeights(2.0, 0.0, -2.0, front=0.6, side=0.3)
    denoiser = GaussianDenoiser()
    mixed, _ = direction(denoiser, clean, SIDED, weights)
    assert denoiser.batches == [12]
    prompt, nothing, front, side = (
        direction(GaussianDenoiser(), clean, gaussian_prompts(*[mean] * 3), ScoreWeights(1, 0, 0))[
            0
        ]
        for mean in ((0.8, 0.1), (0.0, 1.0), (0.2, 0.4), (-0.7, 0.2))
    )
    away = 0.6 * perpendicular(front - nothing, prompt - nothing)
    away += 0.3 * perpendicular(side - nothing, prompt - nothing)
    assert torch.allclose(mixed, 2 * (prompt - nothing - away), atol=1e-12)


def test_perp_neg_of_the_prompt_itself_changes_nothing():
    clean = torch.randn(3, 1, 2, 2, dtype=torch.float64)
    same = gaussian_prompts((0.8, 0.1), (0.0, 1.0), (0.0, 1.0), (0.8, 0.1), (0.8, 0.1))
    plain, perp = (
        direction(GaussianDenoiser(), clean, same, ScoreWeights(1, 0, -1, front=w, side=w))[0]
        for w in (0.0, 2.0)
    )
    assert torch.allclose(plain, perp, atol=1e-9)


def test_only_the_views_with_a_weight_are_evaluated():
    clean = torch.randn(4, 1, 2, 2, dtype=torch.float64)
    front = torch.tensor([0.5, 0.0, 0.0, 0.0]).view(-1, 1, 1, 1)
    side = torch.tensor([0.0, 0.0, 1.0, 1.0]).view(-1, 1, 1, 1)
    denoiser = GaussianDenoiser()
    mixed, _ = direction(denoiser, clean, SIDED, ScoreWeights(1, 0, -1, front=front, side=side))
    assert denoiser.batches == [4 + 4 + 1 + 2]
    plain, _ = direction(GaussianDenoiser(), clean, SIDED, ScoreWeights(1, 0, -1))
    assert torch.equal(mixed[1], plain[1]) and not torch.equal(mixed[0], plain[0])


def test_what_is_perpendicular_has_no_part_along_the_other():
    score, to = torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    rest = perpendicular(score, to)
    assert ((rest * to).sum((1, 2, 3)).abs() < 1e-3).all()
    assert torch.allclose(perpendicular(to, to), torch.zeros_like(to), atol=1e-5)
    assert torch.equal(perpendicular(score, torch.zeros_like(to)), score)


def test_csd_moves_an_image_to_the_fixed_point_of_two_gaussians():
    """With e(p) = e("") in the mean, x (1/A - 1/B) = mean / A where A, B are the two variances."""
    alpha = ALPHAS[500]
    narrow, wide = alpha * 0.1**2 + 1 - alpha, alpha * 1.0**2 + 1 - alpha
    expected = 0.8 * wide / (wide - narrow)
    image = torch.zeros(4000, 1, 1, 1, dtype=torch.float64)
    for step in range(300):
        result, _ = direction(GaussianDenoiser(), image, PROMPTS, csd_weights(0.0), seed=step)
        image = image - 1.0 * result
    # The noise of 4000 samples around the fixed point.
    assert image.mean().item() == pytest.approx(expected.item(), rel=0.02)


def test_sds_without_guidance_moves_an_image_to_the_mean_of_the_prompt():
    image = torch.zeros(4000, 1, 1, 1, dtype=torch.float64)
    for step in range(300):
        result, _ = direction(GaussianDenoiser(), image, PROMPTS, sds_weights(1.0), seed=step)
        image = image - 0.1 * result
    assert image.mean().item() == pytest.approx(0.8, abs=0.02)


def test_the_gradient_of_the_surrogate_is_the_direction():
    clean = torch.randn(5, 3, 4, 4, requires_grad=True)
    wanted = torch.randn(5, 3, 4, 4, requires_grad=True)
    surrogate_loss(clean, wanted).backward()
    assert clean.grad is not None and torch.allclose(clean.grad, wanted / 5)
    assert wanted.grad is None


def test_timesteps_fall_into_different_strata_within_the_bounds():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        timesteps = stratified_timesteps(8, 0.1, 0.9, 1000, generator)
        strata = ((timesteps - 100) / 100).floor().long()
        assert sorted(strata.tolist()) == [*range(8)]


def test_timesteps_stay_on_the_schedule():
    generator = torch.Generator().manual_seed(0)
    timesteps = stratified_timesteps(64, 0.0, 1.0, 10, generator)
    assert timesteps.min() >= 0 and timesteps.max() <= 9
