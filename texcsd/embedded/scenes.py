"""Random shapes, views, light and captions: batches of (image, geometry, view width, caption).

The views, the light, the backgrounds and the depth normalisation are those the painter renders, so
the model meets in painting what it saw in training. Shapes are signed distance fields made of a few
rounded boxes and a ring, smoothly joined and often mirrored as furniture and animals are (Quilez,
"Distance functions"), and some are cut-outs, flat as leaves and signs; they are sphere traced (Hart
1996) at twice the image size and box filtered. Pure torch on any device; all randomness comes from
one generator on the CPU.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from texcsd.embedded.captions import DEFECTS, Look, random_look
from texcsd.embedded.patterns import Style
from texcsd.embedded.place import geometry_channels

IMAGE_SIZE = 64
SUPERSAMPLING = 2
TRACE_STEPS = 32
REFINE_STEPS = 8
FOV_DEGREES = (25.0, 50.0)
CLOSEST_EYE = 1.1
"""Distance of the nearest eye from the origin."""
CLOSE_UP_FRACTION = 0.6
"""Of the views tried; a few miss the object and show all of it instead."""
FAR_DEPTH = 0.2
"""Normalised depth of the farthest visible point: above 0, so silhouettes stay visible."""
SHEETS = 0.15
"""Of the shapes: flat cut-outs, as leaves, signs and cards are."""
SHEET_THICKNESS = 0.02
PATTERN_OFFSET = 1.2
"""Patterns begin anywhere in a cube of this size: what another seed changes in a painting."""
PATTERN_SCALE = (0.5, 2.0)
"""Smallest and largest size of a pattern; most are near the usual one."""


@dataclass(frozen=True)
class Scenes:
    """Rendered examples."""

    images: Tensor
    """float[n, size, size, 3], sRGB in [0, 1], row 0 on top."""
    geometry: Tensor
    """float[shapes, size, size, GEOMETRY_CHANNELS], see `place`; n / shapes images share each."""
    view_width: Tensor
    """float[n], width of the image at the looked-at point, in units of the unit sphere's radius."""
    captions: list[str]


@dataclass(frozen=True)
class Shapes:
    """Signed distance fields inside the unit sphere: k rounded boxes and one ring each."""

    center: Tensor
    """float[n, k, 3]."""
    rotation: Tensor
    """float[n, k, 3, 3], world to box."""
    half_size: Tensor
    """float[n, k, 3], of the box before it is rounded."""
    radius: Tensor
    """float[n, k], of the rounding."""
    ring: Tensor
    """float[n, 2], major and minor radius; a minor radius of -9 is no ring."""
    blend: Tensor
    """float[n], length over which parts melt into each other."""
    mirror: Tensor
    """float[n, 3], 1 where the shape is symmetric in that coordinate."""

    def distance(self, points: Tensor) -> Tensor:
        """Signed distance of float[n, p, 3], negative inside; float[n, p]."""
        mirror = self.mirror[:, None]
        points = torch.lerp(points, points.abs(), mirror)
        local = (points[:, None] - self.center[:, :, None]) @ self.rotation.transpose(-1, -2)
        outside = local.abs() - self.half_size[:, :, None]
        boxes = outside.clamp(min=0).norm(dim=-1) + outside.amax(-1).clamp(max=0)
        boxes = boxes - self.radius[..., None]
        around = points[..., [0, 2]].norm(dim=-1) - self.ring[:, :1]
        ring = torch.hypot(around, points[..., 1]) - self.ring[:, 1:]
        parts = torch.cat([boxes, ring[:, None]], dim=1)
        # Smooth minimum; exact where one part is alone.
        sharpness = 1 / self.blend[:, None]
        nearest = parts.amin(1)
        weight = torch.exp((nearest[:, None] - parts) * sharpness[:, None]).sum(1)
        return nearest - weight.log() / sharpness

    def normals(self, points: Tensor) -> Tensor:
        """Unit normals of float[n, p, 3] by differences over a tetrahedron."""
        total = torch.zeros_like(points)
        for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
            direction = torch.tensor(corner, dtype=points.dtype, device=points.device)
            total = total + direction * self.distance(points + 2e-3 * direction)[..., None]
        return functional.normalize(total, dim=-1)


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=generator)


def _random_rotations(generator: torch.Generator, *shape: int) -> Tensor:
    """Uniform rotations from random quaternions (Shoemake 1992), float[*shape, 3, 3]."""
    w, x, y, z = functional.normalize(torch.randn(*shape, 4, generator=generator), dim=-1).unbind(
        -1
    )
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def random_shapes(count: int, generator: torch.Generator, parts: int = 5) -> Shapes:
    """Shapes of one to five parts: a body, limbs that may be thin, mirrored or not; or cut-outs."""
    half_size = _uniform(generator, 0.0, 0.32, count, parts, 3)
    radius = _uniform(generator, 0.03, 0.16, count, parts)
    half_size[:, 0] = _uniform(generator, 0.05, 0.50, count, 3)
    radius[:, 0] = _uniform(generator, 0.04, 0.35, count)
    thin = torch.rand(count, parts, 3, generator=generator) < 0.35
    thin[:, 0] = False
    half_size = torch.where(thin, half_size * 0.08, half_size)
    center = _uniform(generator, -0.65, 0.65, count, parts, 3)
    center[:, 0] *= 0.2
    rotation = _random_rotations(generator, count, parts)
    upright = torch.rand(count, parts, generator=generator) < 0.7
    rotation[upright] = torch.eye(3)
    # Unused parts are pushed far away, where the smooth minimum ignores them.
    used = torch.randint(1, parts + 1, (count,), generator=generator)
    unused = torch.arange(parts) >= used[:, None]
    has_ring = torch.rand(count, generator=generator) < 0.2
    major, minor = _uniform(generator, 0.3, 0.7, count), _uniform(generator, 0.05, 0.25, count)
    center = torch.where(unused[..., None], 50.0, center)
    ring = torch.stack([major, torch.where(has_ring, minor, torch.tensor(-9.0))], -1)
    mirror = torch.rand(count, 3, generator=generator) < torch.tensor([0.6, 0.0, 0.35])
    soft = torch.rand(count, generator=generator) < 0.5
    blend = torch.where(soft, torch.tensor(0.05), torch.tensor(0.012))
    shapes = Shapes(center, rotation, half_size, radius, ring, blend, mirror.float())
    across = torch.randint(3, (count,), generator=generator)
    is_sheet = torch.rand(count, generator=generator) < SHEETS
    thin = functional.one_hot(across, 3).bool() & is_sheet[:, None]
    return _fit_to_unit_sphere(_flattened(shapes, thin, generator), thin, generator)


def _flattened(shapes: Shapes, thin: Tensor, generator: torch.Generator) -> Shapes:
    """The shapes with all parts in one plane where bool[n, 3] tells the coordinate across it."""
    sheet, flat, half_thickness = thin.any(1), thin[:, None], torch.tensor(SHEET_THICKNESS / 2)
    # Each part turns in the plane, by the formula of Rodrigues.
    angle = torch.pi * torch.rand(*shapes.radius.shape, 1, 1, generator=generator)
    axis, unit = thin.float()[:, None, None].expand(-1, 1, 3, 3), torch.eye(3)
    across, around = axis * axis.mT, torch.linalg.cross(unit.expand_as(axis), axis)
    turned = across + angle.cos() * (unit - across) + angle.sin() * around
    solid = ~sheet[:, None]
    half_size = shapes.half_size + shapes.radius[..., None]
    return replace(
        shapes,
        center=shapes.center.masked_fill(flat & (shapes.center < 9), 0.0),
        rotation=torch.where(sheet[:, None, None, None], turned, shapes.rotation),
        half_size=torch.where(solid[..., None], shapes.half_size, half_size.masked_fill(flat, 0.0)),
        radius=torch.where(solid, shapes.radius, half_thickness),
        ring=torch.where(solid, shapes.ring, torch.tensor(-9.0)),
        blend=torch.where(sheet, half_thickness / 2, shapes.blend),
    )


def _fit_to_unit_sphere(shapes: Shapes, thin: Tensor, generator: torch.Generator) -> Shapes:
    """Scale each shape so that its farthest point from the origin lies at about 0.98."""
    probes = 1.6 * (2 * torch.rand(1, 6000, 3, generator=generator) - 1)
    probes = probes.masked_fill(thin[:, None], 0.0)
    inside = shapes.distance(probes) < 0
    scale = 0.98 / torch.where(inside, probes.norm(dim=-1), 0.3).amax(1)
    return replace(
        shapes,
        center=shapes.center * scale[:, None, None],
        half_size=shapes.half_size * scale[:, None, None],
        radius=shapes.radius * scale[:, None],
        ring=torch.where(shapes.ring > 0, shapes.ring * scale[:, None], shapes.ring),
    )


def trace(
    shapes: Shapes,
    origins: Tensor,
    directions: Tensor,
    start: Tensor | None = None,
    steps: int = TRACE_STEPS,
) -> tuple[Tensor, Tensor]:
    """Sphere trace rays (float[n, p, 3]): distance along each, and whether it hits.

    Args:
        shapes: n of them.
        origins: float[n, p or 1, 3].
        directions: float[n, p, 3], unit.
        start: float[n, p], a distance known to be free on the way; the unit sphere by default.
        steps: Sphere tracing steps.
    """
    along = (origins * directions).sum(-1)
    inside = along**2 - (origins * origins).sum(-1) + 1.05**2
    half_chord = inside.clamp(min=0).sqrt()
    enters, leaves = -along - half_chord, -along + half_chord
    travelled = enters if start is None else torch.maximum(start, enters)
    for _ in range(steps):
        points = origins + travelled[..., None] * directions
        travelled = torch.minimum(travelled + shapes.distance(points), leaves)
    close = shapes.distance(origins + travelled[..., None] * directions) < 6e-3
    return travelled, close & (inside > 0) & (travelled < leaves - 1e-4)


def _trace_image(
    shapes: Shapes, views: "_Views", size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Origins, directions, distances and hits of all pixels, first at half the resolution."""
    device = shapes.center.device
    coarse, _ = trace(shapes, *_pixel_rays(views, size // 2, device))
    nearest = -functional.max_pool2d(-coarse.view(-1, 1, size // 2, size // 2), 3, 1, 1)
    start = functional.interpolate(nearest, scale_factor=2)[:, 0].flatten(1) - 0.03
    origins, directions = _pixel_rays(views, size, device)
    travelled, hit = trace(shapes, origins, directions, start, REFINE_STEPS)
    return origins, directions, travelled, hit


def _look_at(eye: Tensor, target: Tensor) -> Tensor:
    """Rotation camera to world (columns right, up, backward), float[n, 3, 3]."""
    backward = functional.normalize(eye - target, dim=-1)
    up = torch.tensor([0.0, 1.0, 0.0], device=eye.device).expand_as(backward)
    right = functional.normalize(torch.linalg.cross(up, backward), dim=-1)
    return torch.stack([right, torch.linalg.cross(backward, right), backward], -1)


@dataclass(frozen=True)
class _Views:
    eye: Tensor
    rotation: Tensor
    target_distance: Tensor
    view_width: Tensor


def random_views(shapes: Shapes, generator: torch.Generator) -> _Views:
    """Whole-object views and close-ups of a surface point, as the painter draws them."""
    count = len(shapes.blend)
    azimuth = _uniform(generator, 0, 2 * torch.pi, count)
    height = _uniform(generator, -0.342, 0.966, count)  # sines of -20 and 75 degrees
    ring = (1 - height**2).sqrt()
    toward = torch.stack([ring * azimuth.sin(), height, ring * azimuth.cos()], -1)
    fov = torch.deg2rad(_uniform(generator, *FOV_DEGREES, count))
    whole_width = _uniform(generator, 2.0, 2.8, count)
    close_width = 0.4 * (1.6 / 0.4) ** torch.rand(count, generator=generator)
    aim = 0.1 * torch.randn(count, 3, generator=generator).clamp(-1.5, 1.5)
    spread = 0.32 * torch.randn(count, 3, generator=generator).clamp(-2, 2)
    close = torch.rand(count, generator=generator) < CLOSE_UP_FRACTION
    # The first surface point along a ray parallel to the view is visible by construction.
    start = (spread + 3 * toward)[:, None]
    travelled, hit = trace(shapes, start, -toward[:, None])
    close &= hit[:, 0]
    found = (start - travelled[..., None] * toward[:, None])[:, 0]
    target = torch.where(close[:, None], found, aim)
    width = torch.where(close, close_width, whole_width)
    # Where the eye would come too near, a longer lens shows the same width from farther away.
    along = (target * toward).sum(-1)
    outside = (along**2 - (target**2).sum(-1) + CLOSEST_EYE**2).clamp(min=0).sqrt() - along
    distance = torch.maximum(width / (2 * torch.tan(fov / 2)), outside)
    eye = target + distance[:, None] * toward
    return _Views(eye, _look_at(eye, target), distance, width)


def random_light(rotation: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Direction towards the light float[n, 3] in world space, ambient and exposure float[n]."""
    count = len(rotation)
    local = torch.randn(count, 3, generator=generator) * torch.tensor([0.7, 0.5, 0.0])
    local = local + torch.tensor([0.0, 0.5, 1.0])
    direction = functional.normalize(torch.einsum("nij,nj->ni", rotation, local), dim=-1)
    return direction, _uniform(generator, 0.45, 0.8, count), _uniform(generator, 0.9, 1.1, count)


def random_background(generator: torch.Generator) -> Tensor:
    """float[3] sRGB: a grey or any colour, equally often."""
    color = torch.rand(3, generator=generator)
    return color[:1].expand(3) if torch.rand((), generator=generator) < 0.5 else color


def _normalized_depth(depth: Tensor, hit: Tensor) -> Tensor:
    """Near 1, far 0.2, background 0, by each image's foreground; float[n, p] -> float[n, p]."""
    far = torch.where(hit, depth, -torch.inf).amax(1, keepdim=True)
    near = torch.where(hit, depth, torch.inf).amin(1, keepdim=True)
    value = FAR_DEPTH + (1 - FAR_DEPTH) * (far - depth) / (far - near).clamp(min=1e-6)
    return torch.where(hit, value, 0.0)


def _to_linear(srgb: Tensor) -> Tensor:
    return torch.where(
        srgb <= 0.04045, srgb / 12.92, ((srgb.clamp(min=0.04) + 0.055) / 1.055) ** 2.4
    )


def _to_srgb(linear: Tensor) -> Tensor:
    bright = 1.055 * linear.clamp(min=0.003) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, bright)


def _shade(
    base_color: Tensor,
    normals: Tensor,
    toward_eye: Tensor,
    light: tuple[Tensor, ...],
    shine: float,
) -> Tensor:
    """Lambert plus the highlight and sky reflection of shiny looks; float[p, 3] sRGB."""
    direction, ambient, exposure = light
    lambert = ambient + (1 - ambient) * (normals * direction).sum(-1).clamp(min=0)
    linear = _to_linear(base_color) * (exposure * lambert)[:, None]
    if shine > 0:
        half = functional.normalize(direction + toward_eye, dim=-1)
        highlight = (normals * half).sum(-1).clamp(min=0) ** 30
        linear = linear + (0.5 * shine * highlight)[:, None]
    if shine > 0.5:
        facing = (normals * toward_eye).sum(-1, keepdim=True)
        mirrored = 2 * facing * normals - toward_eye
        sky = torch.sigmoid(6 * mirrored[:, 1])
        linear = linear * (0.60 + 0.65 * sky)[:, None]
    return _to_srgb(linear.clamp(0, 1))


def random_frames(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where patterns begin, float[count, 3], and their sizes, float[count]."""
    small, large = PATTERN_SCALE
    scale = small * (large / small) ** torch.rand(2, count, generator=generator).mean(0)
    return _uniform(generator, 0, PATTERN_OFFSET, count, 3), scale


def _pixel_rays(views: _Views, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Origins float[n, 1, 3] and unit directions float[n, size * size, 3]."""
    line = (torch.arange(size, device=device) + 0.5) / size - 0.5
    row, column = torch.meshgrid(-line, line, indexing="ij")
    width = (views.view_width / views.target_distance).to(device)[:, None]
    local = torch.stack(
        [
            column.reshape(1, -1) * width,
            row.reshape(1, -1) * width,
            -torch.ones(len(width), size * size, device=device),
        ],
        -1,
    )
    directions = functional.normalize(local @ views.rotation.to(device).transpose(-1, -2), dim=-1)
    return views.eye.to(device)[:, None], directions


def _box_filter(pixels: Tensor, size: int) -> Tensor:
    """float[n, (size * k)^2, c] -> float[n, size, size, c]."""
    count, total, channels = pixels.shape
    k = round(total**0.5) // size
    return pixels.view(count, size, k, size, k, channels).mean(dim=(2, 4))


def _move(shapes: Shapes, device: torch.device) -> Shapes:
    return Shapes(*[value.to(device) for value in vars(shapes).values()])


def random_scenes(
    shape_count: int,
    looks_per_shape: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    looks: list[Look] | None = None,
) -> Scenes:
    """Render `shape_count * looks_per_shape` examples; every shape is seen once, in several looks.

    Args:
        shape_count: Shapes, each with its own view.
        looks_per_shape: Materials each view is rendered with; light and background differ too.
        generator: On the CPU.
        device: Where to render and return.
        looks: Instead of random looks, these for every shape.
    """
    device = torch.device(device)
    size = IMAGE_SIZE * SUPERSAMPLING
    shapes = random_shapes(shape_count, generator)
    views = random_views(shapes, generator)
    on_device = _move(shapes, device)
    origins, directions, travelled, hit = _trace_image(on_device, views, size)
    points = origins + travelled[..., None] * directions
    normals = on_device.normals(points)
    backward = views.rotation[:, :, 2].to(device)
    depth = _normalized_depth(-(directions * backward[:, None]).sum(-1) * travelled, hit)
    offset, scale = random_frames(shape_count, generator)
    pattern_points = points / scale.to(device)[:, None, None] + offset.to(device)[:, None]
    as_image = (shape_count, size, size, -1)
    surface = (depth.view(as_image), normals.view(as_image), pattern_points.view(as_image))
    geometry = geometry_channels(*surface, IMAGE_SIZE).permute(0, 2, 3, 1)
    count = shape_count * looks_per_shape
    drawn = looks * shape_count if looks else [random_look(generator) for _ in range(count)]
    lights = random_light(views.rotation.repeat_interleave(looks_per_shape, 0), generator)
    lights = tuple(light.to(device) for light in lights)
    backgrounds = torch.stack([random_background(generator) for _ in drawn]).to(device)
    images = backgrounds[:, None].repeat(1, size * size, 1)
    # All images of a material at once: a graphics card would spend its time starting kernels.
    for look, numbers in _alike(drawn):
        number = torch.tensor(numbers, device=device)
        row, pixel = hit[number // looks_per_shape].nonzero(as_tuple=True)
        image = number[row]
        shape = image // looks_per_shape
        normal, toward_eye = normals[shape, pixel], -directions[shape, pixel]
        color = _repeat_style(look, row).base_color(pattern_points[shape, pixel], normal)
        light = tuple(light[image] for light in lights)
        images[image, pixel] = _shade(color, normal, toward_eye, light, look.shine)
    return Scenes(
        _box_filter(images, IMAGE_SIZE),
        geometry,
        views.view_width.to(device).repeat_interleave(looks_per_shape),
        [look.caption for look in drawn],
    )


def _alike(looks: list[Look]) -> list[tuple[Look, list[int]]]:
    """Looks that differ in colours and captions alone, as one with the colours float[n, 3] of all.

    Returns:
        Pairs of a look and the numbers of those it stands for.
    """
    groups: dict[tuple, list[int]] = {}
    for number, look in enumerate(looks):
        groups.setdefault((look.material, look.shine, look.finish), []).append(number)
    joined = []
    for numbers in groups.values():
        styles = [looks[number].style for number in numbers]
        style = Style(
            torch.stack([style.first for style in styles]),
            torch.stack([style.second for style in styles]),
        )
        joined.append((replace(looks[numbers[0]], style=style), numbers))
    return joined


def _repeat_style(look: Look, row: Tensor) -> Look:
    """The look with the colours of `row` int[n] at every one of n points."""
    first, second = (color.to(row.device)[row] for color in vars(look.style).values())
    return replace(look, style=Style(first, second))


def spoil(scenes: Scenes, probability: float, generator: torch.Generator) -> Scenes:
    """Spoil some of the images and say so in their captions, to give negative prompts a meaning."""
    images, captions = scenes.images.clone(), list(scenes.captions)
    for index in range(len(captions)):
        if torch.rand((), generator=generator) >= probability:
            continue
        defect = DEFECTS[int(torch.randint(len(DEFECTS), (), generator=generator))]
        images[index] = _spoiled(images[index], defect, generator).clamp(0, 1)
        captions[index] = f"{defect} {captions[index]}"
    return replace(scenes, images=images, captions=captions)


def _spoiled(image: Tensor, defect: str, generator: torch.Generator) -> Tensor:
    grey = image.mean(-1, keepdim=True)
    if defect == "blurry":
        small = functional.avg_pool2d(image.permute(2, 0, 1)[None], 6, 4, 1)
        return functional.interpolate(small, image.shape[:2], mode="bicubic")[0].permute(1, 2, 0)
    if defect == "noisy":
        return image + 0.15 * torch.randn(image.shape, generator=generator).to(image)
    return grey + (image - grey) * (2.5 if defect == "oversaturated" else 0.35)
