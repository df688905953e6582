"""A written file is compared with the input; whatever was changed on purpose here is found."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gltf_scenes import Parsed, everything
from mesh_file_trials import glb_of
from test_gltf_patch import gltf, unwrapped
from test_obj_patch import EVERYTHING, by_polygon
from test_obj_patch import unwrapped as cut

from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.output.damage import measure_damage
from texcsd.output.mesh_files import mesh_file_contents, mesh_file_names

PNG = b"\x89PNG that was painted"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.glb"
    path.write_bytes(everything().glb())
    return path


@pytest.fixture
def obj(tmp_path: Path) -> Path:
    path = tmp_path / "mesh.obj"
    path.write_text(EVERYTHING)
    return path


def written(path: Path, mesh: Mesh, uv_kept: bool) -> dict[str, Path]:
    folder = path.parent / "results"
    folder.mkdir(exist_ok=True)
    names = mesh_file_names(path) | {"base_color": "a.png"}
    contents = mesh_file_contents(path, mesh, uv_kept, {0: PNG}, names)
    for key, content in contents.items():
        (folder / names[key]).write_bytes(content)
    return {Path(names[key]).suffix: folder / names[key] for key in contents}


def differing(found: dict) -> dict:
    return {name: value for name, value in found.items() if value is not True}


def test_a_patched_glb_with_kept_uv_differs_in_nothing(scene: Path) -> None:
    mesh = load_mesh(scene)
    found = measure_damage(scene, written(scene, mesh, True)[".glb"], mesh, True)
    assert differing(found) == {
        "max_position_delta": 0.0,
        "max_uv_delta": 0.0,
        "max_painted_uv_delta": 0.0,
        "vertices_copied": 0,
    }
    names = {"nodes", "scenes", "skins", "animations", "cameras", "extras", "extensions", "asset"}
    names |= {"faces", "part_names", "meshes", "attributes", "materials", "material_names"}
    assert names | {"images", "textures", "samplers", "accessors", "binary"} <= found.keys()


def test_seams_are_counted(scene: Path, obj: Path) -> None:
    mesh = unwrapped(load_mesh(scene))
    found = measure_damage(scene, written(scene, mesh, False)[".glb"], mesh, False)
    assert found["vertices_copied"] == 12 and found["max_position_delta"] == 0
    assert found["max_uv_delta"] is None and 0 <= found["max_painted_uv_delta"] < 1e-7
    mesh = by_polygon(load_mesh(obj))
    found = measure_damage(obj, written(obj, mesh, False)[".obj"], mesh, False)
    assert found["polygons_cut"] == 0 and found["lines"] is True
    mesh = cut(load_mesh(obj))
    assert measure_damage(obj, written(obj, mesh, False)[".obj"], mesh, False)["polygons_cut"] == 2


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_a_gltf_with_files_beside_it_differs_in_nothing(tmp_path: Path, suffix: str) -> None:
    path = gltf(everything(), tmp_path)
    mesh = load_mesh(path)
    found = measure_damage(path, written(path, mesh, True)[suffix], mesh, True)
    assert found["max_position_delta"] == 0 and found["images"] is True


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images.__setitem__(1, {"uri": "a.bmp"}),
        lambda images: images[1].update(bufferView=0),
        lambda images: images[1].update(name="another"),
        lambda images: images[1].pop("mimeType"),
    ],
)
def test_an_image_that_was_not_taken_in_as_it_is_is_found(tmp_path: Path, change) -> None:
    path = gltf(everything(), tmp_path)
    path.write_text(path.read_text().replace("im%C3%A4ge.png", "a.bmp"))
    (tmp_path / "a.bmp").write_bytes(b"BM\1\0\0\0\0\0\0\0 more")
    mesh = load_mesh(path)
    after = written(path, mesh, True)[".glb"]
    assert measure_damage(path, after, mesh, True)["images"] is True
    parsed = Parsed(after.read_bytes())
    change(parsed.tree["images"])
    after.write_bytes(glb_of(parsed.tree, parsed.binary))
    assert refusal(path, after, mesh, True) == "images"


def test_a_new_glb_differs_by_rounding_only(obj: Path) -> None:
    obj.write_text(EVERYTHING.replace("v 2 1 1", "v 2 1.1 1"))
    mesh = load_mesh(obj)
    found = measure_damage(obj, written(obj, mesh, True)[".glb"], mesh, True)
    assert 0 < found["max_position_delta"] < 1e-7 and found["max_uv_delta"] < 1e-7
    found = measure_damage(obj, written(obj, mesh, True)[".obj"], mesh, True)
    assert found["max_position_delta"] == 0 and found["max_uv_delta"] == 0


def refusal(before: Path, after: Path, mesh: Mesh, uv_kept: bool) -> str:
    with pytest.raises(TexcsdError) as raised:
        measure_damage(before, after, mesh, uv_kept)
    message = str(raised.value)
    assert message.startswith(str(after)) and "\n" not in message
    found = re.search(r"texture: (\w+) ", message)
    assert found is not None
    return found[1]


def set_in(*keys):
    *path, last, value = keys

    def change(tree: dict) -> None:
        for key in path:
            tree = tree[key]
        tree[last] = value

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("part_names", set_in("nodes", 3, "name", "links")),
        ("nodes", set_in("nodes", 2, "extras", {"limit": 31})),
        ("nodes", lambda tree: tree["nodes"][3].pop("extensions")),
        ("max_position_delta", set_in("nodes", 3, "translation", [5, 0, 0.001])),
        ("skins", set_in("skins", 0, "name", "bones")),
        ("animations", lambda tree: tree.pop("animations")),
        ("animations", set_in("animations", 0, "channels", 0, "target", "path", "scale")),
        ("cameras", set_in("cameras", 0, "perspective", "yfov", 0.81)),
        ("extras", set_in("extras", "number", 2e-7)),
        ("extensions", lambda tree: tree["extensions"].pop("EXT_z")),
        ("asset", set_in("asset", "generator", "another")),
        ("nothing_else_added", set_in("extensionsRequired", ["EXT_x"])),
        ("meshes", set_in("meshes", 0, "weights", [0.25])),
        ("meshes", set_in("meshes", 0, "primitives", 1, "material", 2)),
        ("meshes", lambda tree: tree["meshes"].append(tree["meshes"][0])),
        ("attributes", lambda tree: tree["meshes"][0]["primitives"][0].pop("targets")),
        ("attributes", lambda t: t["meshes"][0]["primitives"][0]["attributes"].pop("_TEMPERATURE")),
        ("attributes", set_in("meshes", 0, "primitives", 0, "attributes", "COLOR_0", 0)),
        ("materials", set_in("materials", 1, "name", "Rock")),
        ("materials", lambda tree: tree["materials"][0].pop("normalTexture")),
        ("material_names", set_in("materials", 3, "name", "Rock")),
        ("accessors", set_in("accessors", 5, "name", "colors")),
        ("samplers", set_in("samplers", 0, "wrapS", 10497)),
        ("images", set_in("images", 0, "bufferView", 0)),
        ("binary", set_in("bufferViews", 1, "byteLength", 9)),
        ("buffers", lambda tree: tree["buffers"][0].pop("extras")),
        ("buffers", lambda tree: tree["buffers"].append({"byteLength": 1, "uri": "data:,x"})),
    ],
)
@pytest.mark.parametrize("uv_kept", [True, False])
def test_any_other_change_of_a_gltf_is_found_and_named(scene, uv_kept: bool, name, change) -> None:
    mesh = load_mesh(scene) if uv_kept else unwrapped(load_mesh(scene))
    path = written(scene, mesh, uv_kept)[".glb"]
    parsed = Parsed(path.read_bytes())
    change(parsed.tree)
    path.write_bytes(glb_of(parsed.tree, parsed.binary))
    assert refusal(scene, path, mesh, uv_kept) == name


def test_a_chunk_that_is_lost_or_changed_is_found(scene: Path) -> None:
    content = everything()
    content.chunks = [(b"ABCD", b"userdata")]
    scene.write_bytes(content.glb())
    mesh = load_mesh(scene)
    path = written(scene, mesh, True)[".glb"]
    whole = path.read_bytes()
    assert measure_damage(scene, path, mesh, True)["chunks"] is True
    path.write_bytes(whole.replace(b"userdata", b"user data"[:8]))
    assert refusal(scene, path, mesh, True) == "chunks"
    parsed = Parsed(whole)
    path.write_bytes(glb_of(parsed.tree, parsed.binary))
    assert refusal(scene, path, mesh, True) == "chunks"


def test_a_variant_that_was_painted_over_is_found(scene: Path) -> None:
    content = everything()
    mappings = [{"material": 0, "variants": [0]}]
    extensions = {"KHR_materials_variants": {"mappings": mappings}}
    content.tree["meshes"][0]["primitives"][0]["extensions"] = extensions
    scene.write_bytes(content.glb())
    mesh = load_mesh(scene)
    path = written(scene, mesh, True)[".glb"]
    assert measure_damage(scene, path, mesh, True)["variants"] is True
    parsed = Parsed(path.read_bytes())
    body = parsed.tree["meshes"][0]["primitives"][0]
    parsed.tree["materials"][0] = parsed.tree["materials"][body["material"]]
    path.write_bytes(glb_of(parsed.tree, parsed.binary))
    assert refusal(scene, path, mesh, True) == "variants"


@pytest.mark.parametrize("uv_kept", [True, False])
def test_any_other_byte_of_the_binary_is_found(scene: Path, uv_kept: bool) -> None:
    before = Parsed(scene.read_bytes())
    mesh = load_mesh(scene) if uv_kept else unwrapped(load_mesh(scene))
    path = written(scene, mesh, uv_kept)[".glb"]
    content = path.read_bytes()
    start = content.index(before.binary)
    for offset in np.random.default_rng(0).integers(0, len(before.binary), 20):
        changed = bytearray(content)
        changed[start + offset] ^= 1
        path.write_bytes(changed)
        assert refusal(scene, path, mesh, uv_kept) in (
            "binary", "max_position_delta", "max_uv_delta", "max_painted_uv_delta", "attributes",
            "faces",
        )  # fmt: skip


def test_uv_that_are_not_the_painted_ones_are_found(scene: Path, obj: Path) -> None:
    for path, suffix in ((scene, ".glb"), (obj, ".glb"), (obj, ".obj")):
        mesh = cut(load_mesh(path)) if path == obj else unwrapped(load_mesh(path))
        after = written(path, mesh, False)[suffix]
        mesh = load_mesh(path)
        assert refusal(path, after, mesh, False) == "max_painted_uv_delta"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lines", "# by hand", "# by head"),
        ("part_names", "o second", "o third"),
        ("lines", "s off", "s 1"),
        ("lines", "usemtl Other", "usemtl Another"),
        ("lines", "v 1.000 0", "v 1.00 0"),
        ("max_position_delta", "v 1.000 0", "v 1.00001 0"),
        ("lines", "vn 0 0 1", "vn 0 0 2"),
        ("lines", "# five corners", "# corners"),
        ("lines", "call unknown.mod\n", ""),
        ("lines", "g front side\n", "g front side\ng back\n"),
        ("faces", "f 1//1", "g 1//1"),
    ],
)
@pytest.mark.parametrize("uv_kept", [True, False])
def test_any_other_change_of_an_obj_is_found(obj, uv_kept: bool, name, old, new) -> None:
    mesh = load_mesh(obj) if uv_kept else by_polygon(load_mesh(obj))
    path = written(obj, mesh, uv_kept)[".obj"]
    text = path.read_text()
    if old == "f 1//1" and not uv_kept:
        old, new = "usemtl Other\nf", "usemtl Other\ng"
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))
    assert refusal(obj, path, mesh, uv_kept) == name


def displaced(mesh: Mesh) -> Mesh:
    generator = np.random.default_rng(1)
    moves = generator.normal(0, 0.05, mesh.vertices.shape)
    return replace(mesh, vertices=mesh.vertices + torch.from_numpy(moves))


def written_displaced(path: Path, mesh: Mesh, uv_kept: bool, shape: Mesh) -> dict[str, Path]:
    names = mesh_file_names(path) | {"base_color": "a.png"}
    contents = mesh_file_contents(path, mesh, uv_kept, {0: PNG}, names, shape=shape)
    folder = path.parent / "results"
    folder.mkdir(exist_ok=True)
    for key, content in contents.items():
        (folder / names[key]).write_bytes(content)
    return {Path(names[key]).suffix: folder / names[key] for key in contents}


@pytest.mark.parametrize("uv_kept", [True, False])
def test_a_displaced_mesh_differs_by_its_displacement_and_says_so(obj: Path, uv_kept) -> None:
    mesh = load_mesh(obj) if uv_kept else cut(load_mesh(obj))
    shape = displaced(mesh)
    moved = (shape.vertices - mesh.vertices).abs()[mesh.faces.unique()].max().item()
    files = written_displaced(obj, mesh, uv_kept, shape)
    for suffix in (".obj", ".glb"):
        found = measure_damage(obj, files[suffix], mesh, uv_kept, shape)
        assert found["max_position_delta"] == pytest.approx(moved)
        assert found["max_displaced_position_delta"] < 1e-6
        assert found["part_names"] and found["faces"]


def test_a_displaced_obj_whose_vertices_are_elsewhere_is_an_error(obj: Path) -> None:
    mesh = load_mesh(obj)
    files = written_displaced(obj, mesh, True, displaced(mesh))
    other = replace(mesh, vertices=mesh.vertices + 0.01)
    with pytest.raises(TexcsdError, match="max_displaced_position_delta is 0"):
        measure_damage(obj, files[".obj"], mesh, True, other)


def test_a_displaced_obj_that_lost_a_line_is_an_error(obj: Path) -> None:
    mesh = load_mesh(obj)
    shape = displaced(mesh)
    path = written_displaced(obj, mesh, True, shape)[".obj"]
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("g ")))
    with pytest.raises(TexcsdError, match="lines differ"):
        measure_damage(obj, path, mesh, True, shape)


def two_textures(obj: Path, second: int = 1) -> tuple[Mesh, Path, Path]:
    """Painted with a texture for each of its two materials; the OBJ and the MTL."""
    mesh = load_mesh(obj)
    assert mesh.polygons is not None
    mesh = replace(mesh, textures=torch.where(mesh.polygons > 0, second, 0))
    names = mesh_file_names(obj) | {"base_color": "a.png", "base_color_2": "b.png"}
    contents = mesh_file_contents(obj, mesh, True, {0: PNG, second: PNG}, names)
    folder = obj.parent / "results"
    folder.mkdir()
    for key, content in contents.items():
        (folder / names[key]).write_bytes(content)
    return mesh, folder / names["obj"], folder / names["mtl"]


@pytest.mark.parametrize("image", ["a.png", ""])
def test_a_texture_that_others_show_too_or_nobody_is_an_error(obj: Path, image: str) -> None:
    mesh, painted, library = two_textures(obj)
    assert measure_damage(obj, painted, mesh, True)["materials_of_the_painted"] is True
    library.write_text(library.read_text().replace("map_Kd b.png", f"map_Kd {image}"))
    assert refusal(obj, painted, mesh, True) == "materials_of_the_painted"


def test_a_material_of_the_rest_that_says_something_else_is_an_error(obj: Path) -> None:
    (obj.parent / "old.mtl").write_text("newmtl Other\nKd 1 0 0\nNs 33\n")
    mesh, painted, library = two_textures(obj, -2)
    assert measure_damage(obj, painted, mesh, True)["materials_of_the_rest"] is True
    library.write_text(library.read_text().replace("Ns 33\n", ""))
    assert refusal(obj, painted, mesh, True) == "materials_of_the_rest"
