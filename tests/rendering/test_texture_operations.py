import numpy as np
import pytest
import rendering_oracles as oracles
import torch
from rendering_shapes import random_lookup

from texcsd.rendering import operations

FILTER_MODES = ["nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]


def kinked(values, margin):
    """Whether values are near an integer, where floor and so a gradient may jump."""
    return ((values - values.round()).abs() < margin).any(-1)


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
@pytest.mark.parametrize("filter_mode", FILTER_MODES)
@pytest.mark.parametrize("height, width", [(64, 64), (16, 4), (1, 1), (7, 7), (33, 1)])
def test_lookups_and_their_gradients_equal_the_oracle(height, width, filter_mode, boundary):
    """Gradients to texture, uv, uv derivatives and bias: the oracle is differentiated by torch."""
    random = np.random.default_rng(height)
    image = torch.as_tensor(random.normal(size=(1, height, width, 3))).float()
    uv, slopes = random_lookup(random, 60)
    bias = torch.as_tensor(random.normal(size=(1, 1, 60))).float()
    inputs = [tensor.requires_grad_() for tensor in (image, uv, slopes, bias)]
    exact = [tensor.detach().double().requires_grad_() for tensor in inputs]
    result = operations.texture(*inputs, filter_mode=filter_mode, boundary=boundary)
    levels = oracles.mip_chain(exact[0][0])
    expected = oracles.texture(
        levels, exact[1][0, 0], exact[2][0, 0], exact[3][0, 0], filter_mode, boundary
    )
    # Where rounding may decide between two texels or levels, nothing is promised.
    with torch.no_grad():
        detail = torch.stack([oracles.level_of_detail(s, height, width) for s in exact[2][0, 0]])
        detail = detail + exact[3][0, 0]
        size = torch.tensor([width, height])
        places = [exact[1][0, 0] * size * 2.0**-k for k in range(len(levels))]
        doubt = kinked(2 * torch.cat(places, 1), 1e-4) | kinked(2 * detail[:, None], 1e-4)
    sure = ~doubt
    assert sure.sum() > 30
    torch.testing.assert_close(result[0, 0][sure].double(), expected[sure], atol=3e-5, rtol=0)
    upstream = torch.as_tensor(random.normal(size=(60, 3))) * sure[:, None]
    result[0, 0].backward(upstream.float())
    expected.backward(upstream)
    for ours, correct in zip(inputs, exact, strict=True):
        correct = torch.zeros_like(correct) if correct.grad is None else correct.grad
        scale = max(1.0, float(correct.abs().max()))
        torch.testing.assert_close(ours.grad.double() / scale, correct / scale, atol=2e-4, rtol=0)


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
@pytest.mark.parametrize("filter_mode", FILTER_MODES)
def test_plain_torch_gives_the_same_lookups_and_gradients(filter_mode, boundary):
    """What CUDA takes without nvdiffrast, here on the CPU."""
    random = np.random.default_rng(9)
    image = torch.as_tensor(random.normal(size=(2, 12, 7, 3))).float()
    uv, slopes = (t.view(2, 1, 100, -1) for t in random_lookup(random, 200))
    bias = torch.as_tensor(random.normal(size=(2, 1, 100))).float()
    results = []
    for look_up in (operations.texture, None):
        leaves = [t.clone().requires_grad_() for t in (image, uv, slopes, bias)]
        if look_up is None:
            arguments = (*leaves, None, filter_mode, boundary, None)
            colors = operations._torch_texture(*arguments)
        else:
            colors = look_up(*leaves, filter_mode=filter_mode, boundary=boundary)
        colors.square().sum().backward()
        grads = [torch.zeros_like(t) if t.grad is None else t.grad for t in leaves]
        results.append([colors.detach(), *grads])
    for one, other in zip(*results, strict=True):
        scale = max(1.0, float(other.abs().max()))
        torch.testing.assert_close(one / scale, other / scale, atol=1e-3, rtol=0)


def test_given_mip_levels_are_used_and_get_their_own_gradients():
    random = np.random.default_rng(8)
    sizes = [(8, 12), (4, 6), (2, 3)]
    levels = [torch.as_tensor(random.normal(size=(1, *s, 3))).float() for s in sizes]
    uv, slopes = random_lookup(random, 80)
    exact = [level[0].double().requires_grad_() for level in levels]
    expected = oracles.texture(
        exact, uv[0, 0].double(), slopes[0, 0].double(), None, "linear-mipmap-linear", "wrap"
    )
    ours = [level.requires_grad_() for level in levels]
    result = operations.texture(ours[0], uv, slopes, mips=ours[1:])
    torch.testing.assert_close(result[0, 0].double(), expected, atol=1e-5, rtol=0)
    upstream = torch.as_tensor(random.normal(size=(80, 3)))
    result[0, 0].backward(upstream.float())
    expected.backward(upstream)
    for level, correct in zip(ours, exact, strict=True):
        torch.testing.assert_close(level.grad[0].double(), correct.grad, atol=1e-4, rtol=0)


def test_no_level_beyond_the_coarsest_allowed_is_used():
    image = torch.rand(1, 16, 16, 1)
    uv, wide = torch.full((1, 1, 1, 2), 0.3), torch.full((1, 1, 1, 4), 1.0)
    results = [operations.texture(image, uv, wide, max_mip_level=k).item() for k in (0, 2, 4, 9)]
    levels = oracles.mip_chain(image[0].double())
    expected = [oracles.bilinear(levels[k], uv[0, 0, 0], "wrap").item() for k in (0, 2, 4, 4)]
    assert results == pytest.approx(expected, abs=1e-5)


def test_without_derivatives_and_bias_only_the_image_itself_is_looked_up():
    image, (uv, _) = torch.rand(1, 8, 8, 3), random_lookup(np.random.default_rng(0), 40)
    assert torch.equal(
        operations.texture(image, uv), operations.texture(image, uv, filter_mode="linear")
    )
    bias = torch.full((1, 1, 40), 3.0)
    average = image.mean((1, 2)).expand(40, 3)
    torch.testing.assert_close(operations.texture(image, uv, None, bias)[0, 0], average)


@pytest.mark.parametrize("filter_mode", FILTER_MODES)
def test_both_ends_of_the_texture_and_places_just_beyond_are_inside_its_memory(filter_mode):
    """-1e-20 wraps to 1, which is no texel's."""
    image = torch.arange(1.0, 4.0).view(1, 1, 3, 1)
    u = torch.tensor([-1e-20, 0.0, 1.0, 1 - 1e-7, 1 + 1e-7, -1e-7, 1e30, -1e30])
    uv = torch.stack([u, torch.full_like(u, 0.5)], -1)[None, None]
    for boundary in ("wrap", "clamp", "zero"):
        color = operations.texture(image, uv, filter_mode=filter_mode, boundary=boundary)
        assert color.min() >= 0 and color.max() <= 3


def test_masked_samples_are_0_and_have_no_gradient():
    uv, slopes = random_lookup(np.random.default_rng(4), 50)
    mask = torch.arange(50).view(1, 1, 50) % 2 == 0
    image = torch.rand(1, 8, 8, 3, requires_grad=True)
    masked = operations.texture(image, uv, slopes, mask=mask)
    plain = operations.texture(image, uv, slopes)
    assert torch.equal(masked, torch.where(mask[..., None], plain, 0.0))
    (gradient,) = torch.autograd.grad(masked.sum(), image)
    (expected,) = torch.autograd.grad(plain[mask].sum(), image)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("boundary", ["wrap", "clamp"])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (16, 16), (31, 17)])
def test_a_constant_texture_looks_constant_everywhere(size, boundary):
    color = torch.tensor([0.1, 0.5, 0.9])
    uv, slopes = random_lookup(np.random.default_rng(1), 500)
    result = operations.texture(color.expand(1, *size, 3), uv, slopes, boundary=boundary)
    torch.testing.assert_close(result, color.expand_as(result), atol=3e-7, rtol=0)


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
@pytest.mark.parametrize("size", [(8, 8), (1, 1), (5, 12), (31, 17)])
def test_the_gradient_is_the_transpose_of_the_lookup(size, boundary):
    """A lookup is linear in the texture, so <A x, y> = <x, A' y> for all x, y is everything."""
    random = np.random.default_rng(2)
    uv, slopes = random_lookup(random, 60)
    image = torch.randn(1, *size, 3, requires_grad=True)
    output = operations.texture(image, uv, slopes, boundary=boundary)
    for seed in range(5):
        upstream = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed))
        (gradient,) = torch.autograd.grad(output, image, upstream, retain_graph=True)
        forward = (output.double() * upstream.double()).sum()
        backward = (image.double() * gradient.double()).sum()
        torch.testing.assert_close(forward, backward, atol=1e-4, rtol=1e-5)


def test_gradients_equal_finite_differences():
    uv, slopes = random_lookup(np.random.default_rng(3), 20)
    image = torch.randn(1, 6, 4, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(1, 1, 20, 3, generator=torch.Generator().manual_seed(1))
    leaf = image.clone().requires_grad_()
    (operations.texture(leaf, uv, slopes) * weights).sum().backward()
    for row, column in ((0, 0), (2, 3), (5, 1)):
        changed = image.clone()
        changed[0, row, column, 1] += 1  # linear: the size of the step does not matter
        change = operations.texture(changed, uv, slopes) - operations.texture(image, uv, slopes)
        expected = (change * weights).sum()
        torch.testing.assert_close(leaf.grad[0, row, column, 1], expected, atol=1e-5, rtol=0)


def test_the_gradient_of_a_sum_sums_to_the_number_of_lookups():
    image = torch.zeros(1, 13, 20, 3, requires_grad=True)
    uv, slopes = random_lookup(np.random.default_rng(4), 300)
    operations.texture(image, uv, slopes).sum().backward()
    torch.testing.assert_close(
        image.grad.sum((0, 1, 2)), torch.full((3,), 300.0), rtol=1e-5, atol=0
    )


def test_the_level_follows_the_major_axis_of_the_footprint():
    """Stripes of one texel, one channel: grey once the footprint is 2 texels either way."""
    image = torch.tensor([0.0, 1.0]).repeat(8)[None, None, :, None].expand(1, 16, 16, 1)
    uv = torch.tensor([[[[0.5 / 16, 0.5 / 16]]]])
    for slopes, grey in (
        ([1 / 16, 0, 0, 0], False),
        ([0, 0, 0, 2 / 16], True),
        ([0, 2 / 16, 0, 0], True),
    ):
        color = operations.texture(image, uv, torch.tensor(slopes).view(1, 1, 1, 4)).item()
        assert color == (0.5 if grey else 0.0)


def test_each_view_may_have_its_own_texture_and_its_own_gradient():
    images = torch.stack([torch.full((4, 4, 3), 1.0), torch.full((4, 4, 3), 2.0)]).requires_grad_()
    uv, slopes = torch.full((2, 1, 3, 2), 0.4), torch.zeros(2, 1, 3, 4)
    result = operations.texture(images, uv, slopes)
    assert (result[0] == 1).all() and (result[1] == 2).all()
    result[1].sum().backward()
    assert (images.grad[0] == 0).all()
    torch.testing.assert_close(images.grad[1].sum((0, 1)), torch.full((3,), 3.0))


def test_lookups_that_are_not_finite_are_black_and_have_no_gradient():
    image = torch.ones(1, 4, 4, 3, requires_grad=True)
    bad = [float("nan"), float("inf"), -float("inf")]
    uv = torch.tensor([[[[b, 0.5] for b in bad] + [[0.5, b] for b in bad]]])
    result = operations.texture(image, uv, torch.zeros(1, 1, 6, 4))
    result.sum().backward()
    assert (result == 0).all() and (image.grad == 0).all()
    slopes = torch.full((1, 1, 1, 4), float("nan"))
    assert operations.texture(image, torch.full((1, 1, 1, 2), 1e30), slopes).sum() == 3


# --- compose_pyramid ---------------------------------------------------------------------------


def composed_by_torch(levels):
    total = levels[0].permute(0, 3, 1, 2)
    for level in levels[1:]:
        larger = torch.nn.functional.interpolate(total, size=level.shape[1:3], mode="bilinear")
        total = larger + level.permute(0, 3, 1, 2)
    return torch.sigmoid(total.permute(0, 2, 3, 1))


@pytest.mark.parametrize("sizes", [[1], [4, 16, 64], [3, 7, 30], [1, 2], [16, 100], [300, 301]])
def test_the_composed_pyramid_and_its_gradients_equal_torch(sizes):
    generator = torch.Generator().manual_seed(0)
    levels = [torch.randn(1, s, s, 3, generator=generator).requires_grad_() for s in sizes]
    composed = operations.compose_pyramid(levels)
    expected = composed_by_torch([level.double() for level in levels])
    torch.testing.assert_close(composed.double(), expected, atol=1e-6, rtol=0)
    upstream = torch.randn(composed.shape, generator=generator)
    gradients = torch.autograd.grad(composed, levels, upstream)
    expected_gradients = torch.autograd.grad(expected, levels, upstream.double())
    for gradient, correct in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, correct, atol=1e-5, rtol=1e-5)


def test_nothing_is_differentiated_twice_without_being_said():
    level = torch.rand(1, 4, 4, 3).requires_grad_()
    for colors in (
        operations.compose_pyramid([level]),
        operations.texture(level, torch.rand(1, 4, 4, 2)),
    ):
        (gradient,) = torch.autograd.grad(colors.square().sum(), level, create_graph=True)
        with pytest.raises(RuntimeError, match="differentiate twice"):
            gradient.square().sum().backward()


def test_composing_one_level_leaves_it_as_it_is():
    level = torch.full((1, 2, 2, 3), 3.0)
    operations.compose_pyramid([level])
    assert (level == 3).all()
