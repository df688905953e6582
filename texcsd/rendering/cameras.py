"""Where the mesh is looked at from: random views for painting, an orbit for previews.

Right-handed, y up; a camera looks along its -z axis (OpenGL, glTF). Azimuth 0 looks at the side of
the object that faces +z, its front; azimuth 90 at the side that faces +x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from texcsd.rendering.transfer import send

LOWEST_ELEVATION, HIGHEST_ELEVATION = -20.0, 75.0
CLOSEST_EYE = 1.1
"""Distance of the nearest eye from the origin; the mesh fits into the unit sphere."""
NEAREST_PLANE = 0.05
"""Distance of the nearest near plane; nothing on the sphere in view of such an eye is nearer."""
GOLDEN_ANGLE = 180 * (3 - math.sqrt(5))
"""Degrees."""


@dataclass(frozen=True)
class Cameras:
    """A batch of pinhole cameras."""

    camera_to_world: Tensor
    """float32[view, 4, 4], rigid."""
    fov_degrees: Tensor
    """float32[view], vertical field of view."""
    azimuth_degrees: Tensor
    """float32[view], in [0, 360)."""
    elevation_degrees: Tensor
    """float32[view], positive above the horizon."""
    view_width: Tensor
    """float32[view], size of what is seen at the point looked at; the unit sphere measures 2."""

    def __len__(self) -> int:
        """Number of views."""
        return len(self.fov_degrees)

    def to(self, device: torch.device | str) -> Cameras:
        """Returns the same cameras on another device; does not wait for it."""
        return Cameras(
            *(send(getattr(self, field.name), torch.device(device)) for field in fields(self))
        )

    def turned(self, rotation: Tensor) -> Cameras:
        """Cameras that see of a scene what these see of the scene turned by a rotation.

        Azimuth and elevation stay those in the turned scene.

        Args:
            rotation: float32[3, 3].
        """
        poses = self.camera_to_world.clone()
        poses[:, :3] = rotation.T @ poses[:, :3]
        return replace(self, camera_to_world=poses)

    @property
    def eyes(self) -> Tensor:
        """float32[view, 3], where the cameras are."""
        return self.camera_to_world[:, :3, 3]

    def one(self, index: int) -> Cameras:
        """A batch of the one camera with this index."""
        return Cameras(*(getattr(self, field.name)[index : index + 1] for field in fields(self)))

    def world_to_camera(self) -> Tensor:
        """float32[view, 4, 4], the inverse of camera_to_world."""
        rotation = self.camera_to_world[:, :3, :3].transpose(1, 2)
        translation = -rotation @ self.camera_to_world[:, :3, 3:]
        return torch.cat([torch.cat([rotation, translation], 2), self.camera_to_world[:, 3:]], 1)

    def projection(self, near: float | Tensor, far: float | Tensor, aspect: float = 1.0) -> Tensor:
        """OpenGL perspective matrices, float32[view, 4, 4].

        Args:
            near: Distance of the near plane, the same for all or float[view].
            far: Distance of the far plane, likewise.
            aspect: Width over height.
        """
        focal = 1 / torch.tan(torch.deg2rad(self.fov_degrees) / 2)
        near, far = torch.as_tensor(near).to(focal), torch.as_tensor(far).to(focal)
        matrices = torch.zeros(len(self), 4, 4, device=focal.device)
        matrices[:, 0, 0] = focal / aspect
        matrices[:, 1, 1] = focal
        matrices[:, 2, 2] = (far + near) / (near - far)
        matrices[:, 2, 3] = 2 * far * near / (near - far)
        matrices[:, 3, 2] = -1
        return matrices

    def zoomed_to(self, points: Tensor, share: float) -> Cameras:
        """The same cameras with other lenses: of square images, what they see takes up a share.

        Args:
            points: float[point, 3], all of them in front of the cameras.
            share: Of half the image, that from its centre to the outermost point.
        """
        # One after another: of large meshes, six times all vertices would be much.
        clip = (self.one(index).clip_positions(points)[0] for index in range(len(self)))
        reach = torch.stack([(seen[:, :2].abs() / seen[:, 3:]).amax() for seen in clip]) / share
        tangent = reach * torch.tan(torch.deg2rad(self.fov_degrees) / 2)
        fov_degrees = 2 * torch.rad2deg(torch.atan(tangent))
        return replace(self, fov_degrees=fov_degrees, view_width=self.view_width * reach)

    def clip_positions(self, vertices: Tensor, aspect: float = 1.0) -> Tensor:
        """Projects float[vertex, 3] to float32[view, vertex, 4]; w is distance along the view axis.

        The near and far planes enclose the unit sphere around the origin; the rest may be cut.
        """
        depth_of_origin = (self.eyes * self.camera_to_world[:, :3, 2]).sum(1)
        near = (0.9 * (depth_of_origin - 1)).clamp(min=NEAREST_PLANE)
        far = torch.maximum(1.1 * (depth_of_origin + 1), 2 * near)
        matrices = self.projection(near, far, aspect) @ self.world_to_camera()
        homogeneous = torch.nn.functional.pad(vertices.float(), (0, 1), value=1.0)
        return homogeneous @ matrices.transpose(1, 2)


def look_at(eye: Tensor, target: Tensor) -> Tensor:
    """camera_to_world float32[view, 4, 4] of cameras at float[view, 3] that look at float[view, 3].

    World up (+y) is up in the image; a camera that looks straight up or down has -z or +z on top.
    """
    backward = torch.nn.functional.normalize(eye - target, dim=1)
    up = torch.tensor([0.0, 1.0, 0.0], device=eye.device).expand_as(eye)
    vertical = backward[:, 1:2].abs() > 1 - 1e-6
    up = torch.where(vertical, torch.stack([up[:, 0], up[:, 0], -backward[:, 1]], 1), up)
    right = torch.nn.functional.normalize(torch.linalg.cross(up, backward, dim=1), dim=1)
    top = torch.linalg.cross(backward, right, dim=1)
    matrices = torch.eye(4, device=eye.device).repeat(len(eye), 1, 1)
    matrices[:, :3] = torch.stack([right, top, backward, eye], 2)
    return matrices


def random_cameras(
    points: Tensor,
    directions: Tensor,
    generator: torch.Generator,
    close_up_fraction: float = 0.5,
) -> Cameras:
    """One camera per point: whole-object views first, then close-ups of the given points.

    Where the share of close-ups is no whole number of them, chance decides about one more.
    Elevations of whole-object views are -20..75 degrees, uniform in area; their azimuths are
    stratified, and they ignore the points.

    Args:
        points: float[view, 3], inside the unit sphere.
        directions: float[view, 3], unit, in which the eyes of close-ups lie, seen from the points.
        generator: The only source of randomness.
        close_up_fraction: Share of close-ups in [0, 1].
    """
    whole = _randomly_rounded((1 - close_up_fraction) * len(points), generator)
    overview = _whole_object_cameras(whole, generator, points.device)
    close_ups = _close_up_cameras(points[whole:].float(), directions[whole:].float(), generator)
    pairs = ((getattr(overview, f.name), getattr(close_ups, f.name)) for f in fields(Cameras))
    return Cameras(*(torch.cat(pair) for pair in pairs))


def random_directions(count: int, generator: torch.Generator) -> Tensor:
    """Unit vectors float[count, 3] towards eyes, uniform over the elevations of painting."""
    azimuth = _uniform(0, 360, (count,), generator, torch.device("cpu"))
    return _directions(azimuth, _random_elevations((count,), generator, azimuth.device))


def orbit_cameras(
    count: int, elevation_degrees: float = 15.0, fov_degrees: float = 30.0, view_width: float = 2.3
) -> Cameras:
    """Cameras evenly around the whole object, the first in front of it (looking at its +z side)."""
    azimuth = torch.arange(count) * (360.0 / count)
    elevation = torch.full((count,), float(elevation_degrees))
    fov, width = torch.full((count,), float(fov_degrees)), torch.full((count,), float(view_width))
    return _aimed_cameras(torch.zeros(count, 3), azimuth, elevation, fov, width)


def side_cameras(view_width: float = 2.12) -> Cameras:
    """Six views of the whole object: front, right, back, left, from above and from below.

    The first four look down a little; front is the side that faces +z, right the one to +x.
    """
    azimuth = torch.tensor([0.0, 90.0, 180.0, 270.0, 0.0, 0.0])
    elevation = torch.tensor([15.0, 15.0, 15.0, 15.0, 90.0, -90.0])
    fov, width = torch.full((6,), 30.0), torch.full((6,), view_width)
    return _aimed_cameras(torch.zeros(6, 3), azimuth, elevation, fov, width)


def surrounding_cameras(count: int, view_width: float = 2.1) -> Cameras:
    """Cameras all around the whole object, evenly over the sphere, from below and above, too."""
    # A Fibonacci lattice: equal steps in height, golden angles around.
    heights = 1 - (2 * torch.arange(count, dtype=torch.float64) + 1) / count
    elevation = torch.rad2deg(torch.asin(heights)).float()
    azimuth = (torch.arange(count, dtype=torch.float64) * GOLDEN_ANGLE % 360).float()
    fov, width = torch.full((count,), 30.0), torch.full((count,), view_width)
    return _aimed_cameras(torch.zeros(count, 3), azimuth, elevation, fov, width)


def _randomly_rounded(number: float, generator: torch.Generator) -> int:
    """One of the whole numbers around it, so that the mean is the number; nothing is drawn for one.

    A number counts as whole that differs by the rounding of its computation.
    """
    if abs(number - round(number)) < 1e-9:
        return round(number)
    return math.floor(number + torch.rand((), generator=generator).item())


def _whole_object_cameras(count: int, generator: torch.Generator, device: torch.device) -> Cameras:
    start = _uniform(0, 1, (1,), generator, device)
    slots = torch.arange(count, device=device) + _uniform(0, 1, (count,), generator, device)
    azimuth = torch.remainder((start + slots / max(count, 1)) * 360, 360)
    elevation = _random_elevations((count,), generator, device)
    targets = _uniform(-0.1, 0.1, (count, 3), generator, device)
    fov = _uniform(25, 50, (count,), generator, device)
    width = _uniform(2.0, 2.8, (count,), generator, device)
    return _aimed_cameras(targets, azimuth, elevation, fov, width)


def _close_up_cameras(points: Tensor, directions: Tensor, generator: torch.Generator) -> Cameras:
    azimuth = torch.rad2deg(torch.atan2(directions[:, 0], directions[:, 2])).remainder(360)
    elevation = torch.rad2deg(torch.asin(directions[:, 1].clamp(-1, 1)))
    fov = _uniform(25, 50, (len(points),), generator, points.device)
    width = 0.4 * (1.6 / 0.4) ** _uniform(0, 1, (len(points),), generator, points.device)
    return _aimed_cameras(points, azimuth, elevation, fov, width)


def _aimed_cameras(
    targets: Tensor, azimuth: Tensor, elevation: Tensor, fov_degrees: Tensor, view_width: Tensor
) -> Cameras:
    """Cameras that see view_width at their target, with a longer lens where the eye is too near."""
    directions = _directions(azimuth, elevation)
    distance = view_width / (2 * torch.tan(torch.deg2rad(fov_degrees) / 2))
    along = (targets * directions).sum(1)
    beyond = (along**2 - (targets**2).sum(1) + CLOSEST_EYE**2).clamp(min=0).sqrt()
    distance = torch.maximum(distance, beyond - along)
    fov_degrees = torch.rad2deg(2 * torch.atan(view_width / (2 * distance)))
    poses = look_at(targets + distance[:, None] * directions, targets)
    return Cameras(poses, fov_degrees, azimuth, elevation, view_width)


def _directions(azimuth_degrees: Tensor, elevation_degrees: Tensor) -> Tensor:
    """Unit vectors float[..., 3] from the object towards the eye."""
    azimuth, elevation = torch.deg2rad(azimuth_degrees), torch.deg2rad(elevation_degrees)
    flat = torch.cos(elevation)
    return torch.stack(
        [torch.sin(azimuth) * flat, torch.sin(elevation), torch.cos(azimuth) * flat], -1
    )


def _random_elevations(
    shape: tuple[int, ...], generator: torch.Generator, device: torch.device
) -> Tensor:
    low, high = (math.sin(math.radians(e)) for e in (LOWEST_ELEVATION, HIGHEST_ELEVATION))
    return torch.rad2deg(torch.asin(_uniform(low, high, shape, generator, device)))


def _uniform(
    low: float,
    high: float,
    shape: tuple[int, ...],
    generator: torch.Generator,
    device: torch.device,
) -> Tensor:
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return low + (high - low) * drawn.to(device)
