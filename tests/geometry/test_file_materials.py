"""Which images belong to which faces, and that nothing outside the folder is read."""

import base64
import json
from pathlib import Path

import pytest
from geometry_shapes import CUBE_FACES, CUBE_VERTICES, GltfWriter
from textured_meshes import picture, png, write_gltf, write_obj

from texcsd.errors import TexcsdError
from texcsd.geometry.file_materials import (
    files_beside,
    moved_lookups,
    named_faces,
    read_image,
    read_materials,
)
from texcsd.geometry.mesh import load_mesh


def read(path: Path):
    return read_materials(path, load_mesh(path))


def test_each_face_of_an_obj_has_the_material_in_force(tmp_path) -> None:
    materials = read(write_obj(tmp_path / "mesh.obj"))
    assert materials.names == ("left stuff", "right stuff")
    assert materials.of_faces.tolist() == [0, 0, 1, 1]
    assert materials.images == ("./skin.png", "./skin.png")


@pytest.mark.parametrize(
    "line",
    [
        "map_Kd -s 2 2 1 skin.png",
        "map_Kd .\\skin.png",
        "MAP_KD skin.png",
        "\tmap_Kd  skin.png ",
        "map_Kd my skin.png",
    ],
)
def test_statements_as_programs_write_them_are_understood(tmp_path, line: str) -> None:
    path = write_obj(tmp_path / "mesh.obj", line)
    (tmp_path / "my skin.png").write_bytes(png(picture(8)))
    wanted = "my skin.png" if "my" in line else "skin.png"
    image = read(path).images[0]
    assert image is not None
    assert read_image(path, image) == (tmp_path / wanted).read_bytes()


def test_images_are_found_beside_their_library(tmp_path) -> None:
    path = write_obj(tmp_path / "mesh.obj")
    (tmp_path / "look").mkdir()
    for name in ("skin.mtl", "skin.png"):
        (tmp_path / name).rename(tmp_path / "look" / name)
    path.write_text(path.read_text().replace("mtllib skin.mtl", "mtllib look/skin.mtl"))
    assert read(path).images[0] == "look/skin.png"
    assert files_beside(path) == [tmp_path / "look" / "skin.mtl", tmp_path / "look" / "skin.png"]


@pytest.mark.parametrize("place", ["../outside.png", "{folder}/outside.png"])
def test_a_file_outside_the_folder_of_the_mesh_is_never_read(tmp_path, place: str) -> None:
    (tmp_path / "outside.png").write_bytes(png(picture()))
    folder = tmp_path / "mesh"
    folder.mkdir()
    path = write_obj(folder / "mesh.obj", f"map_Kd {place.format(folder=tmp_path)}")
    image = read(path).images[0]
    assert image is not None
    with pytest.raises(TexcsdError, match="is not there; put it into the folder of the mesh"):
        read_image(path, image)
    assert files_beside(path) == [folder / "skin.mtl"]


def test_an_image_of_a_gltf_may_be_a_view_a_file_or_text(tmp_path) -> None:
    content = png(picture())
    (tmp_path / "my skin.png").write_bytes(content)
    in_text = "data:image/png;base64," + base64.b64encode(content).decode()
    for uri in ("my%20skin.png", in_text):
        path = write_gltf(tmp_path, uri)
        assert read(path).images == ("0",)
        assert read_image(path, "0") == content
    assert files_beside(write_gltf(tmp_path, "my%20skin.png")) == [tmp_path / "my skin.png"]
    assert read_image(tmp_path / "mesh.glb", "0").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({}, "its image 0 cannot be read"),
        ({"uri": "data:image/png;base64,A"}, "its image 0 cannot be read"),
        ({"bufferView": 99}, "its image 0 cannot be read"),
        ({"uri": "../outside.png"}, r'its texture "\.\./outside\.png" is not there'),
    ],
)
def test_a_broken_image_is_one_line(tmp_path, image: dict, message: str) -> None:
    path = write_gltf(tmp_path, "x")
    tree = json.loads(path.read_text()) | {"images": [image]}
    path.write_text(json.dumps(tree))
    with pytest.raises(TexcsdError, match=message):
        read_image(path, "0")


def test_materials_that_contradict_the_format_are_one_line(tmp_path) -> None:
    path = write_gltf(tmp_path, "x")
    tree = json.loads(path.read_text()) | {"textures": []}
    path.write_text(json.dumps(tree))
    with pytest.raises(TexcsdError, match="its materials cannot be read"):
        read(path)


@pytest.mark.parametrize("name", ["missing.glb", "broken.gltf", "missing.obj"])
def test_a_mesh_that_cannot_be_read_has_no_files_beside_it(tmp_path, name: str) -> None:
    (tmp_path / "broken.gltf").write_text('{"images": 3}')
    assert files_beside(tmp_path / name) == []


@pytest.mark.parametrize(
    ("options", "moved"),
    [("-s 2 2 1", True), ("-o 0.5 0", True), ("-s 1 1 1 -o 0 0", False), ("-clamp on", False)],
)
def test_options_that_scale_or_move_an_image_are_found(tmp_path, options: str, moved: bool) -> None:
    path = write_obj(tmp_path / "mesh.obj", f"map_Kd {options} skin.png")
    assert moved_lookups(path, "./skin.png") == ([options] if moved else [])
    assert moved_lookups(path, "./other.png") == []


def named(path: Path, name: str) -> list[str]:
    """The parts whose faces are found, all or none of each."""
    mesh = load_mesh(path)
    chosen = named_faces(path, mesh, read_materials(path, mesh), name)
    faces = {part: chosen[part.first_face :][: part.face_count] for part in mesh.parts}
    assert all(of_part.all() == of_part.any() for of_part in faces.values())
    return [part.name for part, of_part in faces.items() if of_part.any()]


def wheels(path: Path, nodes: list[str], materials: tuple[str, ...] = ()) -> Path:
    """Nodes of a mesh each; that of "wheel" has two primitives, with these materials if any."""
    writer = GltfWriter()
    for name in nodes:
        mesh = writer.mesh(CUBE_VERTICES, CUBE_FACES)
        writer.node(mesh=mesh, name=name)
        if name == "wheel":
            primitives = writer.tree["meshes"][mesh]["primitives"]
            primitives.append(dict(primitives[0]))
            for number, material in enumerate(materials):
                writer.tree.setdefault("materials", []).append({"name": material})
                primitives[number]["material"] = number
    writer.tree["scenes"] = [{"nodes": [*range(len(nodes))]}]
    return writer.write_glb(path)


def test_a_name_with_a_number_is_another_name(tmp_path) -> None:
    path = wheels(tmp_path / "a.glb", ["axle", "axle_1", "axle_12", "axle_rear"])
    assert named(path, "axle") == ["axle"]
    assert named(path, "axle_1") == ["axle_1"]
    path = wheels(tmp_path / "b.glb", ["axle_1", "axle_2"])
    with pytest.raises(TexcsdError, match='named "axle"; choose one of: axle_'):
        named(path, "axle")


def test_a_node_is_all_its_primitives_and_a_primitive_has_its_number(tmp_path) -> None:
    path = wheels(tmp_path / "a.glb", ["wheel", "body"])
    assert named(path, "wheel") == ["wheel_1", "wheel_2"]
    assert named(path, "wheel_2") == ["wheel_2"]
    with pytest.raises(TexcsdError, match="choose one of: wheel, wheel_"):
        named(path, "wheels")


def test_a_node_or_material_of_that_name_comes_before_a_numbered_primitive(tmp_path) -> None:
    mesh = load_mesh(wheels(tmp_path / "a.glb", ["wheel", "wheel_2"]))
    assert [part.name for part in mesh.parts] == ["wheel_1", "wheel_2", "wheel_2"]
    path, materials = tmp_path / "a.glb", read_materials(tmp_path / "a.glb", mesh)
    chosen = named_faces(path, mesh, materials, "wheel_2")
    assert chosen.tolist() == [False] * 24 + [True] * 12
    path = wheels(tmp_path / "b.glb", ["wheel"], ("wheel_2", "rubber"))
    assert named(path, "wheel_2") == ["wheel_1"]


def test_a_plain_colour_is_read_before_a_comment(tmp_path) -> None:
    materials = read(write_obj(tmp_path / "mesh.obj", "Kd 1 0.5 0 # orange"))
    assert materials.images == (None, None) and materials.colors == ((1.0, 0.5, 0.0),) * 2
