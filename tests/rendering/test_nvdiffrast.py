"""Ours against nvdiffrast, operation by operation on the same inputs, and a few steps of painting.

Every case gives a line of differences: "name largest share" stands for the largest difference and
the share of numbers that differ by more than the case allows. The lines go to the standard output,
or to the file that TEXCSD_COMPARISON names.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rendering_shapes import make_sphere, random_lookup, visible_scene

from texcsd.geometry.edges import find_edges
from texcsd.rendering import cube_maps, nvdiffrast_operations, operations
from texcsd.rendering.antialias import antialias
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import camera_lights, downsample, shade
from texcsd.rendering.texture import TexelPyramid

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
SNAPPING = 1 / 16
"""Of a pixel: nvdiffrast rounds vertices to that for what they cover, and for nothing else."""
FILTER_MODES = ["nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"]
ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture(autouse=True)
def nvdiffrast():
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    return pytest.importorskip("nvdiffrast.torch")


class Differences:
    """Collects what differs in one case; `check` writes it down, then fails if it is too much."""

    def __init__(self, case):
        self.case, self.found, self.wrong = case, [], []

    def add(self, name, ours, theirs, within, allowed=0.0):
        """At most a share of allowed may differ by more than within; NaN always does."""
        difference = (ours.detach().cpu().double() - theirs.detach().cpu().double()).abs()
        beyond = (~(difference <= within)).double().mean().item() if difference.numel() else 0.0
        largest = difference.max().item() if difference.numel() else 0.0
        self.found.append(f"{name} {largest:.0e} {100 * beyond:.2g}%")
        if beyond > allowed:
            self.wrong.append(f"{name}: {100 * beyond:.3g}% differ by more than {within:g}")

    def add_gradient(self, name, ours, theirs, within, allowed=0.0):
        """In units of the largest entry."""
        scale = theirs.abs().max().cpu().double().clamp(min=1e-12)
        assert ours.abs().max() > 0, name
        self.add(
            "d" + name, ours.cpu().double() / scale, theirs.cpu().double() / scale, within, allowed
        )

    def check(self):
        line = f"{self.case:<45}" + ", ".join(self.found)
        if "TEXCSD_COMPARISON" in os.environ:
            with open(os.environ["TEXCSD_COMPARISON"], "a") as file:
                file.write(line + "\n")
        else:
            print(line)
        assert not self.wrong, f"{self.case}: {'; '.join(self.wrong)}"


def normal(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def gradients(outputs, upstream, inputs):
    """Of the inputs; zeros where there is none."""
    pairs = [(o, u.to(o.device)) for o, u in zip(outputs, upstream, strict=True) if o.requires_grad]
    found = torch.autograd.grad(
        [o for o, _ in pairs], inputs, [u for _, u in pairs], retain_graph=True, allow_unused=True
    )
    return [torch.zeros_like(i) if g is None else g for i, g in zip(inputs, found, strict=True)]


# --- rasterize ---------------------------------------------------------------------------------


def sphere_scene():
    """Three views of a sphere of 576 triangles, some of them smaller than pixels at the poles."""
    sphere = make_sphere(12)
    clip = orbit_cameras(3, elevation_degrees=25).clip_positions(sphere.vertices)
    return clip.contiguous(), sphere.faces, None


def near_plane_scene():
    clip, triangles, _ = visible_scene(3)
    return clip.float(), triangles, None


def ground_scene():
    """A plane below the eye, with two of its corners behind it."""
    corners = torch.tensor([[-9.0, -1, 9], [9, -1, 9], [9, -1, -9], [-9, -1, -9]])
    x, y, z = corners.unbind(1)
    clip = torch.stack([x, y, -1.02 * z - 0.2, -z], 1)[None]
    return clip, torch.tensor([[0, 1, 2], [0, 2, 3]]), None


def ranged_scene():
    """Three views, each of its own part of one vertex buffer: sphere, sphere again, its half."""
    clip, triangles, _ = sphere_scene()
    count = len(triangles)
    ranges = torch.tensor([[0, count], [count, count], [2 * count + 100, count // 2]])
    faces = torch.cat([triangles + view * clip.shape[1] for view in range(3)])
    return clip.flatten(0, 1), faces, ranges


SCENES = {
    "sphere": sphere_scene,
    "near plane": near_plane_scene,
    "ground": ground_scene,
    "ranged": ranged_scene,
}


def surely_seen(ours, theirs):
    """Pixels that both see on the same triangle, farther inside than vertices are moved."""
    u_v = ours.rast[..., :2]
    shares = torch.cat([u_v, 1 - u_v.sum(-1, keepdim=True)], -1)
    slopes = ours.rast_db.unflatten(-1, (2, 2))
    slopes = torch.cat([slopes, -slopes.sum(-2, keepdim=True)], -2).abs().sum(-1)
    inside = (shares > 2 * SNAPPING * slopes).all(-1)
    return inside & (ours.triangle_ids == theirs.triangle_ids) & (ours.triangle_ids >= 0)


def compare_rasterizations(differences, ours, theirs, positions):
    """Ours and theirs on the CPU, and the leaf of each of them."""
    here = Rasterizations(ours, theirs)
    differences.add("ids", ours.triangle_ids, theirs.triangle_ids, 0, allowed=0.03)
    for name, one, other in here.values():
        differences.add(name, one, other, 1e-3, allowed=0.005)
    for name, upstream in here.upstreams():
        one, other = (
            gradients([found.rast, found.rast_db], upstream, [leaf])[0]
            for found, leaf in zip((ours, theirs), positions, strict=True)
        )
        differences.add_gradient(name, one, other, 1e-2)


class Rasterizations:
    """Two of the same scene, where both are sure."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        self.sure = surely_seen(*(to_cpu(found) for found in (ours, theirs)))
        assert self.sure.float().mean() > 0.1

    def values(self):
        one, other = (
            [image.detach().cpu()[self.sure] for image in (found.rast, found.rast_db)]
            for found in (self.ours, self.theirs)
        )
        # Slopes of steep triangles are large, and float32 has relative precision only.
        scale = one[1].abs().amax(-1, keepdim=True).clamp(min=1)
        yield "u,v", one[0][:, :2], other[0][:, :2]
        yield "z/w", one[0][:, 2], other[0][:, 2]
        yield "db", one[1] / scale, other[1] / scale

    def upstreams(self):
        """Gradients to rast and rast_db: of u and v, and of their slopes."""
        random = normal(self.ours.rast.shape) * self.sure[..., None]
        nothing = torch.zeros_like(random)
        yield "pos(u,v)", (random * torch.tensor([1.0, 1, 0, 0]), nothing)
        yield "pos(db)", (nothing, random)


def to_cpu(found):
    return operations.Rasterization(*(tensor.detach().cpu() for tensor in found))


@pytest.mark.parametrize("resolution", [(64, 64), (37, 53)], ids=["64x64", "37x53"])
@pytest.mark.parametrize("scene", SCENES)
def test_rasterize(scene, resolution):
    clip, triangles, ranges = SCENES[scene]()
    differences = Differences(f"rasterize {scene} {resolution[0]}x{resolution[1]}")
    ours, theirs = clip.clone().requires_grad_(), clip.to(DEVICE).requires_grad_()
    found = operations.rasterize(ours, triangles, resolution, ranges)
    rast, rast_db = nvdiffrast_operations.rasterize(
        theirs, triangles.to(DEVICE), resolution, ranges, True
    )
    other = operations.Rasterization(rast, rast_db, rast[..., 3].int() - 1)
    compare_rasterizations(differences, found, other, (ours, theirs))
    differences.check()


@pytest.mark.parametrize("scene", ["sphere", "near plane"])
def test_layers(scene):
    clip, triangles, ranges = SCENES[scene]()
    ours, theirs = clip.clone().requires_grad_(), clip.to(DEVICE).requires_grad_()
    layers = operations.rasterize_layers(ours, triangles, (64, 64), 2, ranges)
    others = nvdiffrast_operations.rasterize_layers(
        theirs, triangles.to(DEVICE), (64, 64), ranges, True, 2
    )
    for index, (found, (rast, rast_db)) in enumerate(zip(layers, others, strict=True)):
        differences = Differences(f"layer {index} {scene}")
        other = operations.Rasterization(rast, rast_db, rast[..., 3].int() - 1)
        compare_rasterizations(differences, found, other, (ours, theirs))
        differences.check()


# --- interpolate -------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [True, False], ids=["shared", "per view"])
@pytest.mark.parametrize("scene", SCENES)
def test_interpolate(scene, shared):
    clip, triangles, ranges = SCENES[scene]()
    found = operations.rasterize(clip, triangles, (37, 53), ranges)
    attributes = normal((1 if shared else len(found.rast), int(triangles.max()) + 1, 3))
    leaves = [attributes, found.rast, found.rast_db]
    leaves = [[leaf.to(device).requires_grad_() for leaf in leaves] for device in ("cpu", DEVICE)]
    (values, rast, rast_db), theirs = leaves
    ours = operations.interpolate(
        values, operations.Rasterization(rast, rast_db, found.triangle_ids), triangles, [2, 0]
    )
    others = nvdiffrast_operations.interpolate(*theirs, triangles.to(DEVICE), [2, 0])
    upstream = [normal(image.shape, 1) for image in ours]
    differences = Differences(f"interpolate {scene} {'shared' if shared else 'per view'}")
    steepest = found.rast_db.abs().max().item()
    differences.add("values", ours[0], others[0], 1e-5)
    differences.add("slopes", ours[1], others[1], 1e-5 * max(1.0, steepest))
    names = "attributes", "rast", "db"
    both = gradients(ours, upstream, leaves[0]), gradients(others, upstream, theirs)
    for name, one, other in zip(names, *both, strict=True):
        differences.add_gradient(name, one, other, 1e-4)
    differences.check()


# --- texture -----------------------------------------------------------------------------------


def compare_textures(case, image, filter_mode, boundary, *, slopes=True, bias=True, mips=None,
                     max_mip_level=None):  # fmt: skip
    """Lookups of both, and their gradients to everything that has one."""
    uv, derivatives = (
        tensor.view(2, 40, 50, -1) for tensor in random_lookup(np.random.default_rng(5), 4000)
    )
    named = {"image": image, "uv": uv}
    if slopes:
        named["uv_da"] = derivatives
    if bias:
        named["bias"] = normal((2, 40, 50), 3)
    for index, mip in enumerate(mips or []):
        named[f"mip{index + 1}"] = mip
    results = []
    for look_up, device in ((ours, "cpu"), (nvdiffrast_operations.texture, DEVICE)):
        leaves = {name: tensor.to(device).requires_grad_() for name, tensor in named.items()}
        levels = [leaf for name, leaf in leaves.items() if name.startswith("mip")] or None
        arguments = (
            leaves["image"], leaves["uv"], leaves.get("uv_da"), leaves.get("bias"), levels,
            filter_mode, boundary, max_mip_level,
        )  # fmt: skip
        colors = look_up(*arguments)
        upstream = normal(colors.shape, 4)
        results.append((colors, gradients([colors], [upstream], [*leaves.values()])))
    differences = Differences(f"texture {case}")
    (one, one_gradients), (other, other_gradients) = results
    # Rounding decides between two texels or levels here and there, hence the share.
    differences.add("colors", one, other, 1e-3, allowed=0.002)
    for name, left, right in zip(named, one_gradients, other_gradients, strict=True):
        if max(right.abs().max().item(), left.abs().max().item()) > 1e-4:  # else there is none
            whole = name == "image" or name.startswith("mip")
            differences.add_gradient(name, left, right, 2e-3, allowed=0.0 if whole else 0.005)
    differences.check()


def ours(image, uv, slopes, bias, mips, filter_mode, boundary, max_mip_level):
    return operations.texture(
        image, uv, slopes, bias, mips=mips, filter_mode=filter_mode, boundary=boundary,
        max_mip_level=max_mip_level,
    )  # fmt: skip


@pytest.mark.parametrize("boundary", ["wrap", "clamp", "zero"])
@pytest.mark.parametrize("filter_mode", FILTER_MODES)
def test_texture_in_every_mode(filter_mode, boundary):
    image, case = normal((1, 64, 64, 3), 2), f"{filter_mode} {boundary}"
    if "mipmap" not in filter_mode:
        compare_textures(case, image, filter_mode, boundary, slopes=False, bias=False)
        return
    compare_textures(f"{case} slopes", image, filter_mode, boundary, bias=False)
    compare_textures(f"{case} bias", image, filter_mode, boundary, slopes=False)
    compare_textures(f"{case} both", image, filter_mode, boundary)
    compare_textures(f"{case} 3 levels", image, filter_mode, boundary, max_mip_level=2)


@pytest.mark.parametrize("filter_mode", FILTER_MODES[2:])
def test_texture_with_mips_of_ones_own(filter_mode):
    mips = [normal((1, size, 2 * size, 3), size) for size in (16, 8)]
    image = normal((1, 32, 64, 3), 2)
    compare_textures(f"{filter_mode} own mips", image, filter_mode, "wrap", mips=mips)


@pytest.mark.parametrize("shape", [(1, 32, 128, 4), (2, 16, 16, 1), (1, 100, 60, 3), (1, 1, 1, 2)])
def test_texture_of_other_shapes(shape):
    """Of sizes that nvdiffrast refuses, too: our mip levels, looked up one by one."""
    case = "x".join(map(str, shape))
    compare_textures(case, normal(shape, 2), "linear-mipmap-linear", "wrap")


def test_texture_without_slopes_and_bias_is_the_image_itself():
    image = normal((1, 64, 64, 3), 2)
    for filter_mode in FILTER_MODES[2:]:
        case = f"{filter_mode} plain"
        compare_textures(case, image, filter_mode, "wrap", slopes=False, bias=False)


def compare_cube_maps(case, look_ups, cube, filter_mode, *, slopes=True, bias=True, mips=()):
    """Lookups of ours on the CPU and of another on the GPU, and all gradients."""
    named = {"image": cube, "uv": normal((2, 40, 50, 3), 5)}
    if slopes:
        scale = 2.0 ** (3 * normal((2, 40, 50, 1), 7) - 4)
        named["uv_da"] = scale * normal((2, 40, 50, 6), 6)
    if bias:
        named["bias"] = normal((2, 40, 50), 3)
    named |= {f"mip{index}": mip for index, mip in enumerate(mips, 1)}
    results = []
    for look_up, device in zip(look_ups, ("cpu", DEVICE), strict=True):
        leaves = {name: tensor.to(device).requires_grad_() for name, tensor in named.items()}
        own = [leaf for name, leaf in leaves.items() if name.startswith("mip")] or None
        derivatives, extra = leaves.get("uv_da"), leaves.get("bias")
        colors = look_up(leaves["image"], leaves["uv"], derivatives, extra, own, filter_mode, None)
        upstream = normal(colors.shape, 4)
        results.append((colors, gradients([colors], [upstream], [*leaves.values()])))
    differences = Differences(f"cube map {case}")
    (one, one_gradients), (other, other_gradients) = results
    # Rounding decides between two texels, faces or levels here and there; corners may be mixed
    # otherwise.
    differences.add("colors", one, other, 1e-3, allowed=0.01)
    for name, left, right in zip(named, one_gradients, other_gradients, strict=True):
        if max(right.abs().max().item(), left.abs().max().item()) > 1e-4:  # else there is none
            differences.add_gradient(name, left, right, 5e-3, allowed=0.01)
    differences.check()


@pytest.mark.parametrize("who", ["nvdiffrast", "torch on the GPU"])
@pytest.mark.parametrize("filter_mode", FILTER_MODES)
def test_cube_maps_in_every_mode(filter_mode, who):
    other = nvdiffrast_operations.cube_texture if who == "nvdiffrast" else cube_maps._texture
    cube, look_ups = normal((1, 6, 64, 64, 3), 2), (cube_maps._texture, other)
    case = f"{filter_mode} {who}"
    if "mipmap" not in filter_mode:
        compare_cube_maps(case, look_ups, cube, filter_mode, slopes=False, bias=False)
        return
    compare_cube_maps(f"{case} slopes", look_ups, cube, filter_mode, bias=False)
    compare_cube_maps(f"{case} bias", look_ups, cube, filter_mode, slopes=False)
    compare_cube_maps(f"{case} both", look_ups, cube, filter_mode)
    own = [normal((1, 6, size, size, 3), size) for size in (32, 16)]
    compare_cube_maps(f"{case} own mips", look_ups, cube, filter_mode, mips=own)


# --- antialias ---------------------------------------------------------------------------------


def cube_scene():
    """Two views of a cube whose sides are far larger than pixels."""
    corners = torch.tensor([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.55
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return orbit_cameras(2, elevation_degrees=33).clip_positions(corners).contiguous(), faces


def smoothed(nvdiffrast, clip, faces, size):
    """Silhouettes of white on black: ours on the CPU and on the GPU, and nvdiffrast's; and leaves.

    All have the same rasterization, ours.
    """
    found = operations.rasterize(clip, faces, (size, size))
    edges = find_edges(faces)
    images, leaves = [], []
    for who in ("cpu", DEVICE, "nvdiffrast"):
        device = "cpu" if who == "cpu" else DEVICE
        leaf = clip.to(device).requires_grad_()
        there = operations.Rasterization(*(t.to(device) for t in found))
        white = (there.triangle_ids >= 0).float()[..., None].contiguous()
        if who == "nvdiffrast":
            images.append(nvdiffrast.antialias(white, there.rast, leaf, faces.int().to(device)))
        else:
            images.append(antialias(white, there, leaf, find_edges(faces.to(device))))
        leaves.append(leaf)
    assert len(edges.vertices)
    return images, leaves


def test_antialias_of_large_triangles(nvdiffrast):
    """The same for both, but for a few pixels at corners, which move gradients by up to a fifth.

    Ours are the exact ones: what moves within the picture keeps its area.
    """
    clip, faces = cube_scene()
    (cpu, gpu, theirs), leaves = smoothed(nvdiffrast, clip, faces, 64)
    differences = Differences("antialias cube")
    differences.add("values", cpu, theirs, 2e-2, allowed=0.005)
    differences.add("cpu-gpu", cpu, gpu, 1e-4)
    ramp = torch.linspace(0.2, 1.0, 64)[:, None] * torch.linspace(1.0, 0.4, 64)
    upstream = ramp[..., None].expand(cpu.shape)
    ours, ours_gpu, others = (
        gradients([image], [upstream], [leaf])[0].cpu()
        for image, leaf in zip((cpu, gpu, theirs), leaves, strict=True)
    )
    for name, direction in motions(clip).items():
        one, other = ((gradient * direction).sum((1, 2)) for gradient in (ours, others))
        differences.add_gradient(name, one, other, 0.25)
    differences.add_gradient("pos cpu-gpu", ours, ours_gpu, 1e-3)
    differences.check()
    (area,) = gradients([cpu], [torch.ones_like(cpu)], [leaves[0]])
    assert (area * motions(clip)["right"]).sum((1, 2)).abs().max() < 1e-2


def motions(clip):
    """Changes of the clip positions: to the right, upwards, and growing on screen."""
    w, zero = clip[..., 3], torch.zeros_like(clip[..., 3])
    return {
        "right": torch.stack([w, zero, zero, zero], -1),
        "up": torch.stack([zero, w, zero, zero], -1),
        "grow": torch.stack([clip[..., 0], clip[..., 1], zero, zero], -1),
    }


def test_antialias_of_small_triangles_is_closer_to_supersampling_than_nvdiffrast(nvdiffrast):
    """Edges are walked, and so found where their triangle is smaller than a pixel."""
    sphere, size = make_sphere(48), 64
    clip = orbit_cameras(2, elevation_degrees=25).clip_positions(0.9 * sphere.vertices)
    many = operations.rasterize(clip, sphere.faces, (8 * size, 8 * size)).triangle_ids >= 0
    true = downsample(many.float()[..., None], 8)
    (cpu, gpu, theirs), _ = smoothed(nvdiffrast, clip.contiguous(), sphere.faces, size)
    error, other = ((image.cpu() - true).abs().sum().item() for image in (cpu, theirs))
    differences = Differences(f"antialias sphere: error {error:.2f}, nvdiffrast's {other:.2f}")
    differences.add("cpu-gpu", cpu, gpu, 1e-4)
    differences.check()
    assert error < other


# --- all of them -------------------------------------------------------------------------------


@pytest.fixture
def rasterizer_as_it_was():
    yield
    operations.select_rasterizer("auto", torch.device("cpu"))


@pytest.mark.parametrize("rasterizer", ["nvdiffrast", "numba"])
def test_a_textured_mesh_and_the_gradient_to_its_texels(rasterizer, rasterizer_as_it_was):
    """What a step of painting renders, on the GPU by either way and on the CPU."""
    operations.select_rasterizer(rasterizer, torch.device("cuda"))
    sphere, cameras = make_sphere(40), orbit_cameras(3, elevation_degrees=25)
    results = []
    for device in ("cpu", DEVICE):
        pyramid = TexelPyramid(128, generator=torch.Generator().manual_seed(1)).to(device)
        here = cameras.to(device)
        surface = rasterize_mesh(sphere.to(device), here, 96, 96)
        background = torch.full((3, 1, 1, 3), 0.4, device=device)
        images = shade(pyramid.sample(surface), surface, camera_lights(here), background)
        results.append((surface, images, pyramid))
    (surface, images, pyramid), (other, other_images, other_pyramid) = results
    differences = Differences(f"surface, {rasterizer} on the GPU")
    differences.add("ids", surface.triangle_ids, other.triangle_ids, 0, allowed=0.05)
    same = surface.triangle_ids == other.triangle_ids.cpu()
    for name in ("positions", "normals", "uv", "uv_derivatives", "depth"):
        one, two = (getattr(found, name).cpu()[same] for found in (surface, other))
        differences.add(name, one, two, 1e-4, allowed=0.002)
    differences.add("images", images[same], other_images.cpu()[same], 1e-3, allowed=0.002)
    upstream = normal(images.shape) * same[..., None]
    both = (
        gradients([images], [upstream], [*pyramid.levels]),
        gradients([other_images], [upstream], [*other_pyramid.levels]),
    )
    for index, (one, two) in enumerate(zip(*both, strict=True)):
        differences.add_gradient(f"level{index}", one, two, 1e-2, allowed=0.002)
    differences.check()


def test_painting_on_the_gpu_gives_what_painting_on_the_cpu_gives(tmp_path):
    """A few steps of the whole command by each way; the model computes in bfloat16 on all."""
    textures = {}
    for device, rasterizer in (("cpu", "auto"), ("cuda", "nvdiffrast"), ("cuda", "numba")):
        folder = tmp_path / f"{device}-{rasterizer}"
        command = [sys.executable, "-m", "texcsd", "paint", str(ASSETS / "mug.obj"), "gold"]
        options = {"--device": device, "--rasterizer": rasterizer, "--steps": "6",
                   "--texture-size": "256", "-o": str(folder)}  # fmt: skip
        command += [text for pair in options.items() for text in pair]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert finished.returncode == 0, finished.stderr[-2000:]
        assert ("rendering with nvdiffrast" in finished.stderr) == (rasterizer == "nvdiffrast")
        report = json.loads((folder / "run.json").read_text())
        assert report["device"] == device
        picture = Image.open(folder / "textures" / "base_color.png")
        textures[device, rasterizer] = torch.from_numpy(np.array(picture)[..., :3] / 255)
        seconds = {stage: round(value, 2) for stage, value in report["seconds"].items()}
        Differences(f"paint {device} {rasterizer}, seconds {seconds}").check()
    differences = Differences("paint, 6 steps")
    on_cpu, by_nvdiffrast, by_numba = textures.values()
    assert on_cpu.std() > 0.02
    for name, one, other in (
        ("cpu-nvdiffrast", on_cpu, by_nvdiffrast),
        ("cpu-numba", on_cpu, by_numba),
        ("nvdiffrast-numba", by_nvdiffrast, by_numba),
    ):
        differences.add(f"{name} mean", (one - other).abs().mean(), torch.zeros(()), 0.005)
        differences.add(name, one, other, 0.03, allowed=0.01)
    differences.check()
