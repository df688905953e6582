"""Refuses tensors that do not fit together, before a kernel reads or writes beyond them.

What is wrong is a ValueError. Numbers are looked at on the CPU only: on a GPU that would be to wait
for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Size = int | tuple[int, ...] | None
"""How long an axis must be: so long, as long as one of these, or of any length."""


def expect_rasterized(clip_positions: Tensor, triangles: Tensor, ranges: Tensor | None) -> Tensor:
    """Checks what `operations.rasterize` takes; returns the triangles as `expect_triangles`."""
    if clip_positions.ndim != (3 if ranges is None else 2) or clip_positions.shape[-1] != 4:
        shape, wanted = tuple(clip_positions.shape), "[view, vertex, 4] or [vertex, 4] with ranges"
        raise ValueError(f"clip_positions has the shape {shape}; it must be {wanted}")
    expect_floats(clip_positions=clip_positions)
    own = expect_triangles(triangles, clip_positions.shape[-2])
    if ranges is not None:
        expect_ranges(ranges, len(triangles))
    return own


def expect_interpolated(
    attributes: Tensor, rast: Tensor, rast_db: Tensor, triangle_ids: Tensor, triangles: Tensor
) -> Tensor:
    """Checks what `operations.interpolate` takes; returns the triangles as `expect_triangles`."""
    expect_shape("triangle_ids", triangle_ids, view=None, height=None, width=None)
    views, height, width = triangle_ids.shape
    for name, image in (("rast", rast), ("rast_db", rast_db)):
        expect_shape(name, image, view=views, height=height, width=width, channel=4)
    expect_shape("attributes", attributes, view=(1, views), vertex=None, channel=None)
    expect_floats(attributes=attributes, rast=rast, rast_db=rast_db)
    own = expect_triangles(triangles, attributes.shape[1])
    last = bounds(triangle_ids)[1]
    if last >= len(triangles):
        raise ValueError(f"a pixel sees triangle {last}; triangles are {len(triangles)}")
    return own


def expect_looked_up(
    image: Tensor,
    uv: Tensor,
    uv_derivatives: Tensor | None,
    mip_level_bias: Tensor | None,
    mask: Tensor | None,
    mips: Sequence[Tensor] | None,
) -> None:
    """Checks what `operations.texture` takes."""
    expect_shape("uv", uv, view=None, height=None, width=None, coordinate=2)
    views, height, width = uv.shape[:3]
    expect_shape("image", image, view=(1, views), rows=None, columns=None, channel=None)
    if image.shape[1:].numel() == 0:
        raise ValueError(f"image has the shape {tuple(image.shape)}; it must not be empty")
    levels = {"view": len(image), "rows": None, "columns": None, "channel": image.shape[3]}
    for mip in () if mips is None else mips:
        expect_shape("a mip level", mip, **levels)
        expect_floats(mips=mip)
    pixels = {"view": views, "height": height, "width": width}
    for name, values in (("mip_level_bias", mip_level_bias), ("mask", mask)):
        if values is not None:
            expect_shape(name, values, **pixels)
    if uv_derivatives is not None:
        expect_shape("uv_derivatives", uv_derivatives, **pixels, slope=4)
    expect_floats(image=image, uv=uv, uv_derivatives=uv_derivatives, mip_level_bias=mip_level_bias)


def expect_shape(name: str, tensor: Tensor, **axes: Size) -> None:
    """Checks the axes of a tensor, named as in the documentation of the argument."""
    sizes = [(size,) if isinstance(size, int) else size for size in axes.values()]
    if tensor.ndim == len(sizes) and all(
        size is None or length in size for length, size in zip(tensor.shape, sizes, strict=True)
    ):
        return
    wanted = ", ".join(
        axis if size is None else " or ".join(str(length) for length in dict.fromkeys(size))
        for axis, size in zip(axes, sizes, strict=True)
    )
    raise ValueError(f"{name} has the shape {tuple(tensor.shape)}; it must be [{wanted}]")


def expect_floats(**tensors: Tensor | None) -> None:
    """Checks that tensors, those that are given, hold real floats."""
    for name, tensor in tensors.items():
        if tensor is not None and not tensor.is_floating_point():
            raise ValueError(f"{name} is of {tensor.dtype}; it must be of torch.float32")


def expect_integers(name: str, tensor: Tensor) -> None:
    """Checks that a tensor holds integers."""
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ValueError(f"{name} is of {tensor.dtype}; it must be of torch.int32 or torch.int64")


def expect_triangles(triangles: Tensor, vertices: int) -> Tensor:
    """Checks int[triangle, 3] and that there are the vertices it names.

    Returns:
        The same, on the CPU as `own_indices` has them, so that they need not be looked at again.
    """
    expect_shape("triangles", triangles, triangle=None, corner=3)
    expect_integers("triangles", triangles)
    if triangles.device.type != "cpu":
        return triangles
    from texcsd.rendering.own_indices import own_indices

    numbers, low, high = own_indices(triangles)
    if low < 0 or high >= vertices:
        raise ValueError(f"triangles name vertices {low} to {high}; there are {vertices}")
    return numbers


def expect_ranges(ranges: Tensor, triangles: int) -> None:
    """Checks int[view, 2], first triangle and count, and that there are those triangles."""
    expect_shape("ranges", ranges, view=None, bound=2)
    expect_integers("ranges", ranges)
    if len(ranges) == 0:
        return
    low, high = int(ranges.min()), int(ranges.sum(1).max())
    if low < 0 or high > triangles:
        raise ValueError(f"ranges reach from {low} to {high}; triangles are {triangles}")


def expect_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Checks that a value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


def expect_level(max_mip_level: int | None) -> None:
    """Checks that it is a level, if it is given."""
    if max_mip_level is not None and max_mip_level < 0:
        raise ValueError(f"max_mip_level is {max_mip_level}; it must be 0 or more")


def bounds(indices: Tensor) -> tuple[int, int]:
    """The least and the greatest of them; 0 and -1 of none, or on a GPU.

    Found by NumPy, as torch's threads do not outlive a fork.
    """
    if indices.device.type != "cpu" or indices.numel() == 0:
        return 0, -1
    numbers = indices.detach().numpy()
    return int(numbers.min()), int(numbers.max())
