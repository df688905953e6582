"""What does not fit together is refused in one line, before anything is read that is not there."""

import pytest
import torch

from texcsd.geometry.edges import find_edges
from texcsd.rendering import cube_maps, operations
from texcsd.rendering.antialias import antialias

CORNERS = torch.tensor([[[-1.0, -1, 0, 1], [3, -1, 0, 1], [-1, 3, 0, 1]]])
TRIANGLE = torch.tensor([[0, 1, 2]])


def rasterized():
    return operations.rasterize(CORNERS, TRIANGLE, (4, 4))


@pytest.mark.parametrize(
    "triangles, said",
    [
        (torch.tensor([[0, 1, 3]]), "vertices 0 to 3; there are 3"),
        (torch.tensor([[0, -1, 2]]), "vertices -1 to 2; there are 3"),
        (torch.tensor([[0, 1, 2**32 + 2]]), "to 4294967298; there are 3"),
        (torch.tensor([[0, 1, 2, 0]]), r"shape \(1, 4\); it must be \[triangle, 3\]"),
        (torch.tensor([[0.0, 1, 2]]), "torch.float32; it must be of torch.int32 or torch.int64"),
    ],
)
def test_triangles_of_vertices_that_are_not_there_are_refused(triangles, said):
    found, edges = rasterized(), find_edges(torch.tensor([[0, 1, 7]]))
    with pytest.raises(ValueError, match=said):
        operations.rasterize(CORNERS, triangles, (4, 4))
    with pytest.raises(ValueError, match=said):
        operations.interpolate(torch.ones(1, 3, 2), found, triangles)
    with pytest.raises(ValueError, match="vertex 7; there are 3"):
        antialias(torch.ones(1, 4, 4, 1), found, CORNERS, edges)


@pytest.mark.parametrize("resolution", [(-1, 4), (4.0, 4), 4, (4, 4, 4)])
def test_a_resolution_is_two_whole_numbers(resolution):
    with pytest.raises((ValueError, TypeError)):
        operations.rasterize(CORNERS, TRIANGLE, resolution)


@pytest.mark.parametrize(
    "clip_positions, ranges, said",
    [
        (CORNERS[..., :3], None, r"shape \(1, 3, 3\)"),
        (CORNERS.long(), None, "torch.int64; it must be of torch.float32"),
        (CORNERS[0], torch.tensor([0, 1]), r"shape \(2,\); it must be \[view, 2\]"),
        (CORNERS[0], torch.tensor([[1, -1]]), "reach from -1 to 0"),
    ],
)
def test_positions_and_ranges_that_are_none_are_refused(clip_positions, ranges, said):
    with pytest.raises(ValueError, match=said):
        operations.rasterize(clip_positions, TRIANGLE, (4, 4), ranges)


def test_attributes_are_those_of_the_views_and_pixels_see_triangles_that_are_there():
    found, attributes = rasterized(), torch.ones(1, 3, 2)
    with pytest.raises(ValueError, match=r"attributes has the shape .*must be \[1, vertex"):
        operations.interpolate(attributes.repeat(2, 1, 1), found, TRIANGLE)
    with pytest.raises(ValueError, match=r"rast_db has the shape .*must be \[1, 4, 4, 4\]"):
        operations.interpolate(attributes, found._replace(rast_db=found.rast_db[:, 1:]), TRIANGLE)
    with pytest.raises(ValueError, match="sees triangle 0; triangles are 0"):
        operations.interpolate(attributes, found, TRIANGLE[:0])
    with pytest.raises(ValueError, match=r"of channels \[2\]; there are 2"):
        operations.interpolate(attributes, found, TRIANGLE, [2])


IMAGE, UV, SLOPES = torch.ones(1, 8, 8, 3), torch.rand(2, 4, 4, 2), torch.ones(2, 4, 4, 4)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"image": IMAGE.repeat(3, 1, 1, 1)}, r"image .*\[1 or 2, rows, columns, channel\]"),
        ({"image": IMAGE[:, :0]}, "must not be empty"),
        ({"image": IMAGE.byte()}, "torch.uint8; it must be of torch.float32"),
        ({"uv": torch.ones(2, 4, 4, 3)}, r"uv .*\[view, height, width, 2\]"),
        ({"uv_derivatives": SLOPES[:1]}, r"uv_derivatives .*\[2, 4, 4, 4\]"),
        ({"mip_level_bias": SLOPES}, r"mip_level_bias .*\[2, 4, 4\]"),
        ({"mask": torch.ones(1, 4, 4).bool()}, r"mask .*\[2, 4, 4\]"),
        ({"mips": [IMAGE[:, ::2, ::2, :1]]}, r"mip level .*\[1, rows, columns, 3\]"),
        ({"mips": [torch.ones(2, 4, 4, 3)]}, r"mip level .*\[1, rows, columns, 3\]"),
        ({"filter_mode": "cubic"}, "one of auto, nearest, linear"),
        ({"boundary": "mirror"}, "one of wrap, clamp, zero"),
        ({"max_mip_level": -1}, "must be 0 or more"),
    ],
)
def test_lookups_that_do_not_fit_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        operations.texture(**{"image": IMAGE, "uv": UV, "uv_derivatives": SLOPES, **arguments})


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"cube": torch.ones(3, 6, 4, 4, 3)}, r"cube .*\[1 or 2, 6"),
        ({"mips": [torch.ones(1, 6, 2, 2, 1)]}, "mip level"),
        ({"mip_level_bias": torch.ones(2, 3, 3)}, r"mip_level_bias .*\[2, 4, 4\]"),
        ({"filter_mode": "cubic"}, "one of auto"),
        ({"derivatives": torch.ones(2, 4, 4, 6), "max_mip_level": -2}, "must be 0 or more"),
    ],
)
def test_lookups_in_cube_maps_that_do_not_fit_are_refused(arguments, said):
    fitting = {"cube": torch.ones(1, 6, 4, 4, 3), "directions": torch.ones(2, 4, 4, 3)}
    with pytest.raises(ValueError, match=said):
        cube_maps.texture(**{**fitting, **arguments})


def test_images_are_antialiased_with_what_was_rasterized_of_them():
    found, edges = rasterized(), find_edges(TRIANGLE)
    with pytest.raises(ValueError, match=r"rast .*must be \[1, 2, 4, 4\]"):
        antialias(torch.ones(1, 2, 4, 3), found, CORNERS, edges)
    with pytest.raises(ValueError, match=r"clip_positions .*must be \[1, vertex, 4\]"):
        antialias(torch.ones(1, 4, 4, 3), found, CORNERS.repeat(2, 1, 1), edges)
