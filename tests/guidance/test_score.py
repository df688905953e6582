"""Score distillation against denoisers whose predictions are known in closed form."""

from dataclasses import dataclass, field

import pytest
import torch

from texcsd.guidance.score import (
    PromptEmbeddings,
    ScoreWeights,
    csd_weights,
    score_direction,
    sds_weights,
    stratified_timesteps,
    surrogate_loss,
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
    takes_positions = False
    image_size = 1

    def check_prompt(self, prompt):
        return []

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


def gaussian_prompts(positive, negative, unconditional):
    rows = torch.tensor([[positive], [negative], [unconditional]], dtype=torch.float64)
    return PromptEmbeddings(*rows)


def direction(denoiser, clean, prompts, weights, timestep=500, seed=0):
    views = len(clean)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    at = torch.full((views,), timestep)
    nothing = torch.zeros(views, 1, 1, 1)
    return score_direction(
        denoiser, clean, at, noise, prompts, weights, nothing, torch.ones(views)
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


@pytest.mark.parametrize(
    ("weights", "branches"),
    [
        (csd_weights(0.0), 2),
        (csd_weights(0.5), 3),
        (csd_weights(1.0), 2),
        (sds_weights(1.0), 1),
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
