import dataclasses
import io
import json
import struct

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from texcsd.geometry.mesh import Part
from texcsd.output.gltf import glb_bytes, png_bytes

COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
TYPES = {5123: np.dtype("<u2"), 5125: np.dtype("<u4"), 5126: np.dtype("<f4")}


def random_pixels(size=8):
    return np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)


def parse(glb):
    """The JSON and a function from accessor number to array; asserts the container's rules."""
    magic, version, length = struct.unpack("<4sII", glb[:12])
    assert (magic, version, length) == (b"glTF", 2, len(glb))
    json_length, json_type = struct.unpack("<I4s", glb[12:20])
    start = 20 + json_length
    binary_length, binary_type = struct.unpack("<I4s", glb[start : start + 8])
    assert (json_type, binary_type) == (b"JSON", b"BIN\0")
    assert json_length % 4 == binary_length % 4 == 0
    assert start + 8 + binary_length == length
    document, binary = json.loads(glb[20:start]), glb[start + 8 :]

    def accessor_values(number):
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        dtype, width = TYPES[accessor["componentType"]], COMPONENTS[accessor["type"]]
        count = accessor["count"] * width
        assert count * dtype.itemsize == view["byteLength"]
        return np.frombuffer(binary, dtype, count, view["byteOffset"]).reshape(-1, width)

    return document, accessor_values


def reload(glb):
    return trimesh.load(io.BytesIO(glb), file_type="glb", process=False)


def test_every_accessor_and_view_follows_the_specification(cube):
    document, values = parse(glb_bytes(cube, {0: png_bytes(random_pixels(7))}, "cube"))
    end = 0
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] >= end
        end = view["byteOffset"] + view["byteLength"]
    assert end <= document["buffers"][0]["byteLength"]
    for number, accessor in enumerate(document["accessors"]):
        if "min" in accessor:
            assert accessor["min"] == values(number).min(0).tolist()
            assert accessor["max"] == values(number).max(0).tolist()
    for mesh in document["meshes"]:
        (primitive,) = mesh["primitives"]
        attributes = {name: values(number) for name, number in primitive["attributes"].items()}
        count = {len(array) for array in attributes.values()}
        indices = values(primitive["indices"])
        assert set(attributes) == {"POSITION", "NORMAL", "TEXCOORD_0"}
        assert len(count) == 1
        assert set(np.unique(indices)) == set(range(*count))
        assert "min" in document["accessors"][primitive["attributes"]["POSITION"]]
        assert np.allclose(np.linalg.norm(attributes["NORMAL"], axis=1), 1, atol=1e-6)


def test_the_material_is_matte_two_sided_and_textured(cube):
    document, _ = parse(glb_bytes(cube, {0: png_bytes(random_pixels())}, "my cube"))
    (material,) = document["materials"]
    assert material == {
        "name": "my cube",
        "doubleSided": True,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0},
            "metallicFactor": 0,
            "roughnessFactor": 0.6,
        },
    }
    assert document["samplers"][0]["minFilter"] == 9987
    assert document["samplers"][0]["wrapS"] == 33071
    assert document["asset"]["generator"].startswith("texcsd")


def test_a_red_texture_corner_is_at_the_right_uv_after_reloading(square):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[:4, :4] = [255, 0, 0]  # top left: u near 0, v near 1
    loaded = next(
        iter(reload(glb_bytes(square, {0: png_bytes(pixels)}, "square")).geometry.values())
    )
    image = np.asarray(loaded.visual.material.baseColorTexture)
    assert (image == pixels).all()
    for position, uv in zip(loaded.vertices, loaded.visual.uv, strict=True):
        assert np.allclose(uv, position[:2], atol=1e-7)
        row, column = int((1 - uv[1]) * 15.99), int(uv[0] * 15.99)
        at_top_left = position[0] == 0 and position[1] == 1
        assert image[row, column].tolist() == ([255, 0, 0] if at_top_left else [0, 0, 0])


def test_texture_coordinates_in_the_file_count_from_the_top(square):
    document, values = parse(glb_bytes(square, {0: png_bytes(random_pixels())}, "square"))
    attributes = document["meshes"][0]["primitives"][0]["attributes"]
    positions, uv = values(attributes["POSITION"]), values(attributes["TEXCOORD_0"])
    assert (uv == np.stack([positions[:, 0], 1 - positions[:, 1]], 1)).all()


def test_positions_are_the_meshs_own_in_float32_and_in_its_order(cube):
    generator = np.random.default_rng(3)
    vertices = generator.normal(size=tuple(cube.vertices.shape)) * [1e-3, 1.0, 1e3]
    moved = dataclasses.replace(cube, vertices=torch.from_numpy(vertices))
    document, values = parse(glb_bytes(moved, {0: png_bytes(random_pixels())}, "cube"))
    written = [
        values(mesh["primitives"][0]["attributes"]["POSITION"]).tobytes()
        for mesh in document["meshes"]
    ]
    assert b"".join(written) == vertices.astype("<f4").tobytes()
    assert all("translation" not in node for node in document["nodes"])


def test_reloaded_triangles_have_the_same_corners(cube):
    glb = glb_bytes(cube, {0: png_bytes(random_pixels())}, "cube")
    loaded = list(reload(glb).geometry.values())
    triangles = np.concatenate([mesh.vertices[mesh.faces] for mesh in loaded])
    assert (triangles == cube.vertices.float().numpy()[cube.faces]).all()
    corner_uv = np.concatenate([mesh.visual.uv[mesh.faces] for mesh in loaded])
    # Two flips, 1 - (1 - v), each rounded to float32.
    assert np.abs(corner_uv - cube.uv.numpy()[cube.uv_faces]).max() < 2e-7
    normals = np.concatenate([mesh.vertex_normals[mesh.faces] for mesh in loaded])
    assert np.abs(normals - cube.normals.numpy()[cube.normal_faces]).max() < 1e-6


def test_vertices_split_only_where_normal_or_uv_differ(square):
    # Both triangles share position, normal and uv on their diagonal.
    two_uv = dataclasses.replace(
        square,
        uv=torch.cat([square.uv, torch.tensor([[0.5, 0.5]])]),
        uv_faces=torch.tensor([[0, 1, 2], [4, 2, 3]]),
    )
    two_normals = dataclasses.replace(
        square,
        normals=torch.tensor([[0.0, 0, 1], [0, 1, 0]]),
        normal_faces=torch.tensor([[0, 0, 0], [1, 1, 1]]),
    )
    counts = []
    for mesh in (square, two_uv, two_normals):
        document, _ = parse(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "square"))
        counts.append(document["accessors"][0]["count"])
    assert counts == [4, 5, 6]


def test_parts_keep_names_and_order_and_only_repeated_names_get_numbers(cube):
    names = ["leg", "leg", "leg_2", "", "Sitz fläche"]
    parts = [Part(name, 2 * index, 2) for index, name in enumerate(names)]
    mesh = dataclasses.replace(cube, parts=(*parts, Part("nothing", 10, 0)))
    document, _ = parse(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "cube"))
    written = [node["name"] for node in document["nodes"]]
    assert written == ["leg", "leg_3", "leg_2", "mesh", "Sitz fläche"]
    assert (
        list(reload(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "cube")).geometry) == written
    )
    assert document["scenes"][0]["nodes"] == [0, 1, 2, 3, 4]


def test_a_small_part_far_away_keeps_its_shape_through_a_translation(cube):
    far = cube.vertices + torch.tensor([1e6, -3e5, 0.1], dtype=torch.float64)
    mesh = dataclasses.replace(cube, vertices=far)
    glb = glb_bytes(mesh, {0: png_bytes(random_pixels())}, "cube")
    document, values = parse(glb)
    translation = np.array(document["nodes"][0]["translation"])
    positions = values(document["meshes"][0]["primitives"][0]["attributes"]["POSITION"])
    corners = far.numpy()[: len(positions)]
    assert np.abs(positions + translation - corners).max() < 1e-7
    assert np.abs(corners.astype(np.float32) - corners).max() > 1e-3  # what it would have cost
    scene = reload(glb)
    assert np.abs(scene.bounds - [far.numpy().min(0), far.numpy().max(0)]).max() < 1e-6


def test_vertices_that_no_face_uses_do_not_matter(cube):
    unused = torch.tensor([[1e9 + 0.1, float("nan"), 0]], dtype=torch.float64)
    mesh = dataclasses.replace(cube, vertices=torch.cat([cube.vertices, unused]))
    pngs = {0: png_bytes(random_pixels())}
    assert glb_bytes(mesh, pngs, "cube") == glb_bytes(cube, pngs, "cube")


def test_positions_far_away_that_float32_holds_exactly_stay_as_they_are(cube):
    far = (cube.vertices + 1e6).float().double()
    mesh = dataclasses.replace(cube, vertices=far)
    document, _ = parse(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "cube"))
    assert "translation" not in document["nodes"][0]


def test_many_vertices_get_32_bit_indices(square):
    count = 70_000
    positions = torch.rand(count, 3, generator=torch.Generator().manual_seed(0)).double()
    faces = torch.arange(count - count % 3).reshape(-1, 3)
    mesh = dataclasses.replace(
        square,
        vertices=positions,
        faces=faces,
        uv=positions[:, :2].float(),
        uv_faces=faces,
        normal_faces=torch.zeros_like(faces),
        parts=(Part("many", 0, len(faces)),),
    )
    document, values = parse(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "many"))
    indices = document["meshes"][0]["primitives"][0]["indices"]
    assert document["accessors"][indices]["componentType"] == 5125
    assert (values(indices)[:, 0] == faces.reshape(-1).numpy()).all()


def test_uv_outside_the_unit_square_are_tiled(square):
    mesh = dataclasses.replace(square, uv=square.uv * 2)
    document, _ = parse(glb_bytes(mesh, {0: png_bytes(random_pixels())}, "square"))
    assert document["samplers"][0]["wrapS"] == document["samplers"][0]["wrapT"] == 10497


def test_a_mesh_without_uv_is_refused(square):
    with pytest.raises(ValueError, match="uv"):
        glb_bytes(dataclasses.replace(square, uv=None, uv_faces=None), {}, "square")


def test_the_same_mesh_gives_the_same_bytes(cube):
    first, second = (glb_bytes(cube, {0: png_bytes(random_pixels())}, "cube") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 5, 3), (64, 64, 3), (20, 30, 3)])
def test_a_png_has_exactly_the_pixels_it_was_given(shape):
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(png_bytes(pixels)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert (np.asarray(image) == pixels).all()
