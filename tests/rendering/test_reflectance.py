"""Rough and metallic surfaces, against the formulas of glTF 2.0 integrated over all directions."""

import math

import numpy as np
import pytest
import torch
from rendering_shapes import make_sphere

from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.reflectance import (
    Environment,
    Reflector,
    distant_light,
    environment_light,
    reflection_table,
)
from texcsd.rendering.shading import Lights, camera_lights, shade, shade_physically
from texcsd.rendering.texture import Material

UP = np.array([0.0, 0, 1])


def gltf_reflectance(base_color, roughness, metallic, light, eye):
    """The BRDF of glTF 2.0 (appendix B) for the normal +z, as the specification writes it.

    light may be float[direction, 3]; the result is float[direction, 3].
    """
    half = light + eye
    half = half / np.linalg.norm(half, axis=-1, keepdims=True)
    n_l, n_v, n_h = light[..., 2], eye[2], half[..., 2]
    v_h = (half * eye).sum(-1)
    alpha2 = roughness**4
    d = alpha2 / (math.pi * (n_h**2 * (alpha2 - 1) + 1) ** 2)
    root_v, root_l = (np.sqrt(alpha2 + (1 - alpha2) * c**2) for c in (n_v, n_l))
    v = 1 / (n_l * root_v + n_v * root_l) / 2
    c_diff = base_color * (1 - metallic)
    f0 = 0.04 * (1 - metallic) + base_color * metallic
    f = f0 + (1 - f0) * ((1 - np.abs(v_h)) ** 5)[..., None]
    return (1 - f) * c_diff / math.pi + f * (v * d)[..., None]


def hemisphere(count=200):
    """Directions float[direction, 3] around +z, and their solid angles float[direction, 1]."""
    angle = (np.arange(count) + 0.5) * math.pi / 2 / count
    around = (np.arange(2 * count) + 0.5) * math.pi / count
    out, up = np.repeat(np.sin(angle), 2 * count), np.repeat(np.cos(angle), 2 * count)
    around = np.tile(around, count)
    directions = np.stack([out * np.cos(around), out * np.sin(around), up], -1)
    return directions, out[:, None] * (math.pi / 2 / count) * (math.pi / count)


def eye_at(cosine):
    return np.array([math.sqrt(1 - cosine**2), 0, cosine])


def reflector(base_color, roughness, metallic, eye, normal=UP):
    tensors = [np.array(base_color)[None], [roughness], [metallic], normal[None], eye[None]]
    return Reflector(*(torch.as_tensor(np.asarray(t, np.float64)) for t in tensors))


def radiance_of(environment, directions):
    lobes = directions @ environment.axes.numpy().T - 1
    return np.exp(environment.sharpness.numpy() * lobes) @ environment.radiance.numpy()


def some_environment(sharpness):
    axes = torch.tensor([[0.3, 0.2, 1.0], [-1.0, 0.4, 0.8], [0.9, -0.9, 0.5]]).double()
    colors = torch.tensor([[1.0, 0.8, 0.5], [0.3, 0.9, 1.2], [0.6, 0.2, 0.4]]).double()
    axes = torch.nn.functional.normalize(axes, dim=1)
    return Environment(axes, torch.tensor(sharpness).double(), colors)


def integrated(base_color, roughness, metallic, eye, environment=None, count=200):
    """Radiance towards the eye, from all directions."""
    directions, solid_angle = hemisphere(count)
    light = np.ones((1, 3)) if environment is None else radiance_of(environment, directions)
    reflectance = gltf_reflectance(np.array(base_color), roughness, metallic, directions, eye)
    return (reflectance * light * directions[:, 2:] * solid_angle).sum(0)


WHITE_LIGHT = Environment(
    torch.tensor([[0.0, 1, 0]]).double(), torch.zeros(1).double(), torch.ones(1, 3).double()
)


def test_a_distant_light_is_reflected_by_the_formulas_of_gltf():
    random = np.random.default_rng(0)
    for _ in range(50):
        light, eye = random.normal(size=(2, 3))
        light, eye = (v / np.linalg.norm(v) * [1, 1, np.sign(v[2])] for v in (light, eye))
        base_color, roughness, metallic = random.uniform(size=3), random.uniform(0.1, 1), 0.3
        point = reflector(base_color, roughness, metallic, eye)
        expected = gltf_reflectance(base_color, roughness, metallic, light, eye) * light[2]
        result = distant_light(point, torch.as_tensor(light)[None])
        np.testing.assert_allclose(result[0].numpy(), expected, rtol=1e-9)


def test_a_distant_light_behind_the_surface_gives_nothing():
    point = reflector([0.8] * 3, 0.4, 0.5, eye_at(0.7))
    behind = torch.tensor([[0.6, 0.0, -0.8]]).double()
    assert (distant_light(point, behind) == 0).all()


@pytest.mark.parametrize("roughness", [0.2, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("cosine", [0.1, 0.4, 1.0])
def test_of_light_from_everywhere_as_much_is_reflected_as_by_integration(roughness, cosine):
    for base_color, metallic in (([1.0] * 3, 1.0), ([0.9, 0.4, 0.1], 1.0), ([0.0] * 3, 0.0)):
        eye = eye_at(cosine)
        result = environment_light(reflector(base_color, roughness, metallic, eye), WHITE_LIGHT)
        expected = integrated(base_color, roughness, metallic, eye, count=400)
        np.testing.assert_allclose(result[0].numpy(), expected, rtol=0.02, atol=2e-3)


def test_no_surface_gives_back_more_light_than_comes_in():
    cosine, roughness = torch.meshgrid(
        torch.linspace(0.001, 1, 30), torch.linspace(0, 1, 30), indexing="ij"
    )
    cosine, roughness = cosine.flatten().double(), roughness.flatten().double()
    eye = torch.stack([(1 - cosine**2).sqrt(), 0 * cosine, cosine], 1)
    normals = torch.tensor([[0.0, 0, 1]]).double().expand_as(eye)
    for metallic in (0.0, 0.5, 1.0):
        point = Reflector(torch.ones_like(eye), roughness, 0 * roughness + metallic, normals, eye)
        result = environment_light(point, WHITE_LIGHT)
        assert result.max() < 1 + 1e-6 and result.min() > 0.2


@pytest.mark.parametrize("sharpness", [0.0, 0.7, 5.0, 40.0, 500.0])
def test_what_a_diffuse_surface_gets_is_within_three_percent_of_the_integral(sharpness):
    axis = np.array([0.0, 0, 1])
    environment = Environment(
        torch.as_tensor(axis)[None], torch.tensor([sharpness]).double(), torch.ones(1, 3).double()
    )
    directions, solid_angle = hemisphere()
    directions, solid_angle = (
        np.concatenate([directions, -directions]),
        np.tile(solid_angle, (2, 1)),
    )
    light = (radiance_of(environment, directions) * solid_angle)[:, 0]
    strongest = (light * directions[:, 2].clip(0)).sum()
    for angle in np.linspace(0, math.pi, 7):
        normal = np.array([math.sin(angle), 0, math.cos(angle)])
        # Rough and black, the specular part is known from the table; what remains is diffuse.
        black, white = (
            environment_light(reflector([c] * 3, 1.0, 0.0, normal, normal), environment)
            for c in (0.0, 1.0)
        )
        albedo = integrated([0.0] * 3, 1.0, 0.0, UP)[0]
        diffuse = (white - black)[0, 0].item() / (1 - albedo) * math.pi
        expected = (light * (directions @ normal).clip(0)).sum()
        assert abs(diffuse - expected) < 0.03 * strongest, angle


@pytest.mark.parametrize("sharpness", [[1.0, 2.0, 3.0], [4.0, 8.0, 12.0]])
def test_an_environment_is_reflected_nearly_as_the_integral_says(sharpness):
    """The gaussian lobe is an approximation: a few percent on average, worst for grazing eyes."""
    environment = some_environment(sharpness)
    errors = []
    for roughness in (0.2, 0.4, 0.7, 1.0):
        for cosine in (0.3, 0.6, 0.95):
            eye = eye_at(cosine)
            point = reflector([0.9, 0.6, 0.3], roughness, 1.0, eye)
            result = environment_light(point, environment)[0].numpy()
            expected = integrated([0.9, 0.6, 0.3], roughness, 1.0, eye, environment)
            errors.append(np.abs(result / expected - 1).max())
    assert np.mean(errors) < 0.08 and max(errors) < 0.2


def test_gradients_equal_finite_differences():
    random = torch.Generator().manual_seed(3)
    vectors = torch.nn.functional.normalize(torch.randn(3, 5, 3, generator=random).double(), dim=2)
    normals, eye, light = (v * torch.sign(v[:, 2:]) for v in vectors)
    color, roughness, metallic = (
        torch.rand(shape, generator=random).double() * 0.8 + 0.1 for shape in ((5, 3), (5,), (5,))
    )
    leaves = [t.requires_grad_() for t in (color, roughness, metallic, normals, eye)]
    light = light.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda *t: distant_light(Reflector(*t[:5]), t[5]), [*leaves, light], atol=1e-4
    )
    environment = some_environment([0.5, 6.0, 30.0])
    lobes = [environment.axes, environment.sharpness, environment.radiance]
    # The table is float32, so what is looked up there comes below.
    point = Reflector(*(t.detach() for t in leaves))
    assert torch.autograd.gradcheck(
        lambda c, m, *lobes: environment_light(
            point._replace(base_color=c, metallic=m), Environment(*lobes)
        ),
        [leaves[0], leaves[2], *(t.requires_grad_() for t in lobes)],
        atol=1e-4,
    )


@pytest.mark.parametrize("name", ["roughness", "normals"])
def test_gradients_through_the_table_equal_finite_differences(name):
    environment = some_environment([0.5, 6.0, 30.0])
    for entry in (12.3, 30.6):  # away from the kinks of bilinear lookups
        eye = eye_at((entry + 0.2) / 63)
        point = reflector([0.8, 0.5, 0.3], entry / 63, 1.0, eye)
        leaf = getattr(point, name).clone().requires_grad_()
        environment_light(point._replace(**{name: leaf}), environment).sum().backward()
        for index in np.ndindex(tuple(leaf.shape)):
            step = torch.zeros_like(leaf)
            step[index] = 2e-3
            more, less = (
                environment_light(point._replace(**{name: leaf.detach() + s}), environment).sum()
                for s in (step, -step)
            )
            expected = float(more - less) / 4e-3
            assert leaf.grad[index].item() == pytest.approx(expected, rel=0.03, abs=0.01)


def test_the_table_has_shares_and_directions():
    table = reflection_table()
    assert table.shape == (1, 64, 64, 4) and table.isfinite().all()
    scale, offset, along, away = table.unbind(3)
    assert (scale + offset).max() < 1 + 1e-6 and offset.min() >= 0
    assert (along**2 + away**2).max() <= 1 + 1e-6 and along.min() > 0


# --- images ------------------------------------------------------------------------------------


def rendered(roughness, metallic, lights=None, environment=None, color=0.8):
    sphere, cameras = make_sphere(), orbit_cameras(1, 10.0)
    surface = rasterize_mesh(sphere, cameras, 48, 48)
    material = Material(
        *(torch.full((1, 48, 48, n), v) for n, v in ((3, color), (1, roughness), (1, metallic)))
    )
    lights = lights or camera_lights(cameras)
    background = torch.tensor([0.1, 0.9, 0.3])[None, None, None]
    image = shade_physically(material, surface, cameras, lights, background, environment)
    return image, surface, shade(material, surface, lights, background)


def test_the_background_is_that_of_diffuse_shading_and_a_rough_surface_looks_much_like_it():
    image, surface, diffuse = rendered(1.0, 0.0)
    empty = surface.coverage[..., 0] == 0
    assert empty.any() and torch.equal(image[empty], diffuse[empty])
    assert (image - diffuse)[~empty].abs().mean() < 0.03


def test_smooth_surfaces_have_small_bright_highlights_and_rough_ones_wide_faint_ones():
    cameras = orbit_cameras(1, 10.0)
    dark = Lights(camera_lights(cameras).direction, torch.zeros(1), torch.full((1,), 0.3))
    brightest, areas = [], []
    for roughness in (0.25, 0.5, 0.75):
        image, surface, _ = rendered(roughness, 1.0, dark)
        seen = image[surface.coverage[..., 0] > 0].mean(1)
        brightest.append(seen.max().item())
        areas.append((seen > 0.5 * seen.max()).float().mean().item())
    assert brightest == sorted(brightest, reverse=True) and areas == sorted(areas)


def test_metals_tint_what_they_reflect_and_have_no_colour_of_their_own():
    blue = Environment(torch.tensor([[0.0, 1, 0]]), torch.zeros(1), torch.tensor([[0.0, 0.0, 0.5]]))
    ambient = Lights(torch.tensor([[0.0, 0, 1]]), torch.ones(1), torch.ones(1))
    for metallic in (0.0, 1.0):
        image, surface, _ = rendered(0.5, metallic, ambient, blue)
        seen = image[surface.coverage[..., 0] > 0]
        assert (seen[:, :2] == 0).all() and (seen[:, 2] > 0.2).all()


def test_without_roughness_and_metallic_a_material_is_rough_and_no_metal():
    sphere, cameras = make_sphere(), orbit_cameras(2)
    surface = rasterize_mesh(sphere, cameras, 16, 16)
    color, one = torch.rand(2, 16, 16, 3), torch.ones(2, 16, 16, 1)
    others = surface, cameras, camera_lights(cameras), torch.zeros(1, 1, 1, 3)
    plain = shade_physically(Material(color), *others)
    assert torch.equal(plain, shade_physically(Material(color, one, 0 * one), *others))


def test_the_gradient_reaches_all_maps_on_the_surface_and_nothing_else():
    sphere, cameras = make_sphere(), orbit_cameras(1)
    surface = rasterize_mesh(sphere, cameras, 24, 24)
    maps = [torch.full((1, 24, 24, n), 0.4).requires_grad_() for n in (3, 1, 1)]
    light = camera_lights(cameras)
    shade_physically(
        Material(*maps), surface, cameras, light, torch.zeros(1, 1, 1, 3)
    ).sum().backward()
    seen = surface.coverage[..., 0] > 0
    for image in maps:
        assert image.grad.isfinite().all() and (image.grad[~seen] == 0).all()
        assert (image.grad[seen] != 0).float().mean() > 0.9
