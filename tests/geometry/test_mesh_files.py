"""Every bad file is refused in one line that names it; nothing is printed, nothing else escapes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from geometry_shapes import (
    ASSETS,
    CUBE_FACES,
    CUBE_VERTICES,
    GltfWriter,
    cube_gltf,
    write_obj,
    write_off,
    write_ply,
    write_stl,
)

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import load_mesh

NAN = float("nan")


@pytest.fixture(autouse=True)
def _nothing_is_printed(capfd, caplog):
    yield
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def refusal(path: Path) -> str:
    with pytest.raises(TexcsdError) as caught:
        load_mesh(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_a_missing_file(tmp_path: Path):
    assert "no such file" in refusal(tmp_path / "chair.obj")


def test_a_folder(tmp_path: Path):
    (tmp_path / "chair.obj").mkdir()
    assert "is a folder" in refusal(tmp_path / "chair.obj")


@pytest.mark.parametrize("name", ["chair.fbx", "chair", "chair.obj.bak", ".obj"])
def test_an_unknown_extension_lists_the_known_ones(tmp_path: Path, name: str):
    (tmp_path / name).write_text("v 0 0 0")
    assert "OBJ, GLB, GLTF, PLY, STL, OFF" in refusal(tmp_path / name)


@pytest.mark.parametrize("extension", ["obj", "glb", "gltf", "ply", "stl", "off"])
def test_an_empty_file(tmp_path: Path, extension: str):
    (tmp_path / f"a.{extension}").touch()
    assert "empty (0 bytes)" in refusal(tmp_path / f"a.{extension}")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_text_in_another_encoding(tmp_path: Path, encoding: str):
    text = "\ufeff" + "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    (tmp_path / "a.obj").write_text(text, encoding=encoding)
    assert "save it as UTF-8" in refusal(tmp_path / "a.obj")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(tmp_path: Path):
    write_obj(tmp_path / "a.obj", CUBE_VERTICES, CUBE_FACES).chmod(0)
    assert "cannot be opened" in refusal(tmp_path / "a.obj")


@pytest.mark.parametrize("writer", [write_obj, write_off, write_ply])
def test_only_points(tmp_path: Path, writer):
    path = writer(tmp_path / f"a.{writer.__name__[-3:]}", CUBE_VERTICES, [])
    assert "no faces, only 8 point(s); texcsd needs a triangle mesh" in refusal(path)


def test_no_content_at_all(tmp_path: Path):
    (tmp_path / "a.obj").write_text("# nothing here\n")
    assert "no faces" in refusal(tmp_path / "a.obj")
    writer = GltfWriter()
    writer.node()
    assert "no faces" in refusal(writer.write_glb(tmp_path / "a.glb"))
    path = write_stl(tmp_path / "a.stl", CUBE_VERTICES, np.zeros((0, 3), int))
    assert "no faces" in refusal(path)


@pytest.mark.parametrize("value", [NAN, float("inf")])
@pytest.mark.parametrize("writer", [write_obj, write_off, write_ply, write_stl])
def test_positions_that_are_not_finite(tmp_path: Path, writer, value: float):
    vertices = CUBE_VERTICES.copy()
    vertices[3, 1] = value
    path = writer(tmp_path / f"a.{writer.__name__[-3:]}", vertices, CUBE_FACES)
    message = refusal(path)
    assert "not finite" in message
    assert writer is write_stl or ": 1 vertex" in message


def test_positions_of_a_glb_that_are_not_finite(tmp_path: Path):
    writer = GltfWriter()
    writer.node(mesh=writer.mesh(np.where(CUBE_VERTICES > 0, NAN, 0), CUBE_FACES))
    assert "7 vertex positions are not finite" in refusal(writer.write_glb(tmp_path / "a.glb"))


def test_unused_positions_may_be_anything(tmp_path: Path):
    vertices = np.concatenate([CUBE_VERTICES, [[NAN, NAN, NAN]]])
    assert len(load_mesh(write_obj(tmp_path / "a.obj", vertices, CUBE_FACES)).vertices) == 9


def test_zero_area_everywhere(tmp_path: Path):
    line = np.arange(8)[:, None] * [[1.0, 2.0, 3.0]]
    assert "zero area" in refusal(write_obj(tmp_path / "a.obj", line, CUBE_FACES))
    path = cube_gltf(scale=[0, 0, 0]).write_glb(tmp_path / "a.glb")
    assert "zero area" in refusal(path)


def test_faces_beyond_the_vertices(tmp_path: Path):
    faces = CUBE_FACES.copy()
    faces[5, 1] = 8
    for writer in (write_obj, write_ply, write_off):
        path = writer(tmp_path / f"a.{writer.__name__[-3:]}", CUBE_VERTICES, faces)
        assert "face" in refusal(path)
    writer = GltfWriter()
    writer.node(mesh=writer.mesh(CUBE_VERTICES, faces))
    message = refusal(writer.write_glb(tmp_path / "a.glb"))
    assert "vertex number 8 (counted from 0)" in message and "8 vertices" in message
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n")
    assert "number -1" in refusal(tmp_path / "a.obj")


def test_faces_beyond_uv_and_normals_lose_only_those(tmp_path: Path):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1/1 2/2/1 3/9/1\n")
    mesh = load_mesh(tmp_path / "a.obj")
    assert mesh.uv is None
    assert mesh.normals.tolist() == [[0, 0, 1]] * len(mesh.normals)


@pytest.mark.parametrize(
    "line",
    [
        "v 1 2",
        "v 1 2 # 3",
        "v 1.#IND 2 3",
        "v 1 two 3",
        "v",
        "f 1 2 x",
        "f 1/a 2 3",
        "f 1.5 2 3",
        "vn 1 0",
    ],
)
def test_broken_obj_lines(tmp_path: Path, line: str):
    (tmp_path / "a.obj").write_text(f"v 0 0 0\nv 1 0 0\nv 0 1 0\n{line}\nf 1 2 3\n")
    assert "cannot be read" in refusal(tmp_path / "a.obj")


@pytest.mark.parametrize(
    ("write", "change"),
    [
        ("glb", lambda data: data[:15]),
        ("glb", lambda data: data[:-40]),
        ("glb", lambda data: b"FBX\0" + data[4:]),
        ("glb", lambda data: data[:4] + b"\1" + data[5:]),
        ("glb", lambda data: data[:30] + b"\xff\xff" + data[32:]),
        ("gltf", lambda data: data[:-10]),
        ("gltf", lambda data: b"[1, 2]"),
        ("gltf", lambda data: data.replace(b'"count": 8', b'"count": 80000')),
        ("gltf", lambda data: data.replace(b'"VEC3"', b'"VEC7"')),
        ("gltf", lambda data: data.replace(b'"mesh": 0', b'"mesh": 5')),
        ("gltf", lambda data: data.replace(b'"2.0"', b'"1.0"')),
    ],
)
def test_damaged_gltf(tmp_path: Path, write: str, change):
    path = getattr(cube_gltf(), f"write_{write}")(tmp_path / f"a.{write}")
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert "cannot be read" in refusal(path)


def test_a_truncated_glb_says_how_much_is_there(tmp_path: Path):
    path = cube_gltf().write_glb(tmp_path / "a.glb")
    path.write_bytes(path.read_bytes()[:700])
    assert "700 of" in refusal(path)


def test_a_missing_buffer_is_named(tmp_path: Path):
    path = cube_gltf().write_gltf(tmp_path / "a.gltf", "my data.bin")
    assert len(load_mesh(path).faces) == 12
    (tmp_path / "my data.bin").unlink()
    assert '"my data.bin" is missing' in refusal(path)


def test_nodes_in_a_circle_end(tmp_path: Path):
    writer = cube_gltf(children=[1])
    writer.node(children=[0, 1])
    assert len(load_mesh(writer.write_glb(tmp_path / "a.glb")).faces) == 12


def test_unreadable_textures_do_not_matter(tmp_path: Path):
    writer = cube_gltf()
    writer.tree["images"] = [{"uri": "nowhere.png"}, {"bufferView": 0, "mimeType": "image/png"}]
    writer.tree["textures"] = [{"source": 0}, {"source": 99}]
    writer.tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 1}}}]
    writer.tree["meshes"][0]["primitives"][0]["material"] = 0
    assert len(load_mesh(writer.write_glb(tmp_path / "a.glb")).faces) == 12
    (tmp_path / "broken.png").write_bytes(b"not an image")
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd broken.png\nKd 1\n")
    path = write_obj(tmp_path / "a.obj", CUBE_VERTICES, CUBE_FACES, "mtllib a.mtl\nusemtl m\n")
    assert len(load_mesh(path).faces) == 12
    path = write_ply(tmp_path / "a.ply", CUBE_VERTICES, CUBE_FACES)
    path.write_text(path.read_text().replace("1.0\n", "1.0\ncomment TextureFile broken.png\n", 1))
    assert len(load_mesh(path).faces) == 12


@pytest.mark.parametrize("extension", ["obj", "glb", "ply", "stl", "off"])
def test_cut_or_corrupted_files_load_or_are_refused(tmp_path: Path, extension: str):
    path = tmp_path / f"a.{extension}"
    source = {"glb": "table_and_stool.glb", "ply": "vase.ply"}.get(extension)
    if source:
        data = (ASSETS / source).read_bytes()
    else:
        writer = {"obj": write_obj, "stl": write_stl, "off": write_off}[extension]
        data = writer(path, CUBE_VERTICES, CUBE_FACES).read_bytes()
    random = np.random.default_rng(0)
    outcomes = []
    for attempt in range(60):
        changed = bytearray(data)
        if attempt % 2:
            del changed[int(random.integers(1, len(data))) :]
        else:  # mostly in the header, where it hurts
            reach = min(len(data), 400) if attempt % 4 else len(data)
            for place in random.integers(0, reach, size=4):
                changed[place] = int(random.integers(0, 256))
        path.write_bytes(changed)
        try:
            load_mesh(path)
            outcomes.append("loaded")
        except TexcsdError as error:
            assert "\n" not in str(error)
            outcomes.append("refused")
    assert "refused" in outcomes


def test_the_tree_of_a_gltf_may_hold_any_nonsense(tmp_path: Path):
    path = cube_gltf().write_gltf(tmp_path / "a.gltf")
    tree = json.loads(path.read_text())
    for key in tree:
        for nonsense in (None, 3, "x", [], {}, [None], [[]], [{}]):
            path.write_text(json.dumps({**tree, key: nonsense}))
            try:
                load_mesh(path)
            except TexcsdError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("uri", ["../data.bin", "{folder}/data.bin", "link/../../data.bin"])
def test_a_buffer_outside_the_folder_of_the_mesh_is_never_read(tmp_path: Path, uri: str):
    writer, folder = cube_gltf(), tmp_path / "mesh"
    folder.mkdir()
    (tmp_path / "data.bin").write_bytes(writer.blob)
    length = len(writer.blob)
    writer.tree["buffers"] = [{"byteLength": length, "uri": uri.format(folder=tmp_path)}]
    path = folder / "cube.gltf"
    path.write_text(json.dumps(writer.tree))
    assert "is outside the folder of the mesh, where no file is read" in refusal(path)


@pytest.mark.parametrize("uri", [5, [1], {"a": 1}])
def test_a_uri_that_is_no_text_is_named(tmp_path: Path, uri):
    writer = cube_gltf()
    writer.tree["buffers"] = [{"byteLength": len(writer.blob), "uri": uri}]
    path = tmp_path / "cube.gltf"
    path.write_text(json.dumps(writer.tree))
    assert f"the uri of buffer 0 is {uri}, not text" in refusal(path)


@pytest.mark.parametrize("uri", ["a\ud800.bin", "a%00.bin", "a\0.bin"])
def test_a_buffer_with_a_name_that_no_file_has(tmp_path: Path, uri: str):
    writer = cube_gltf()
    writer.tree["buffers"] = [{"byteLength": len(writer.blob), "uri": uri}]
    path = tmp_path / "cube.gltf"
    path.write_text(json.dumps(writer.tree))
    assert "no name of a file" in refusal(path)


def test_a_link_to_elsewhere_is_not_followed(tmp_path: Path):
    writer, folder = cube_gltf(), tmp_path / "mesh"
    folder.mkdir()
    (tmp_path / "data.bin").write_bytes(writer.blob)
    (folder / "data.bin").symlink_to(tmp_path / "data.bin")
    writer.tree["buffers"] = [{"byteLength": len(writer.blob), "uri": "data.bin"}]
    path = folder / "cube.gltf"
    path.write_text(json.dumps(writer.tree))
    assert "is outside the folder" in refusal(path)


@pytest.mark.parametrize(
    ("accessor", "view", "words"),
    [
        ({"count": 10**12, "bufferView": None}, {}, "claims 1,000,000,000,000 values"),
        ({"count": 10**12}, {"byteStride": 0}, "elements that overlap"),
        ({"count": 10**12}, {}, "ends before the data does"),
        ({}, {"byteOffset": -4}, "begin before it"),
    ],
)
def test_an_accessor_that_claims_more_than_the_file_holds(
    tmp_path: Path, accessor: dict, view: dict, words: str
):
    writer = cube_gltf()
    positions = writer.tree["accessors"][0]
    positions |= accessor
    if positions["bufferView"] is None:
        del positions["bufferView"]
    writer.tree["bufferViews"][0] |= view
    assert words in refusal(writer.write_glb(tmp_path / "cube.glb"))


@pytest.mark.parametrize("name", ["deep.gltf", "deep.glb"])
def test_json_that_is_nested_without_end(tmp_path: Path, name: str):
    text = b"[" * 200_000
    head = b"glTF" + (2).to_bytes(4, "little") + (20 + len(text)).to_bytes(4, "little")
    chunk = len(text).to_bytes(4, "little") + b"JSON" + text
    path = tmp_path / name
    path.write_bytes(text if name.endswith("gltf") else head + chunk)
    assert "cannot be read" in refusal(path)
