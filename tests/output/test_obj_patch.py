"""An OBJ comes back line by line; with new uv only `vt` lines and the uv of corners differ."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from texcsd.geometry.mesh import Mesh, load_mesh
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.output.obj_patch import patch_obj

ASSETS = Path(__file__).parents[2] / "assets"

EVERYTHING = """\
# by hand, with a size in m\u00b2
mtllib old.mtl more.mtl
o first thing
v 0 0 0
v 1.000 0 0  0.5 0.5 0.5
v 1 1 0
v  0\t1 0 # the corner
vt 0 0
vt 0.50 0
vt 0.5 0.5
vt 0 0.5
vn 0 0 1
g front side
s 1
usemtl Old Paint
f 1/1/1 2/2/1 3/3/1 4/4/1
s off
o second
v 2 0 1
v 2 1 1
v 1.5 1.5 1
vt 0.6 0
vt 1 0
vt 0.9 .5
vt .8 0.6
vt 0.5 0.5
usemtl Other
f -6/5/1 \\
  -3/6/1\\
  -2/7/1 -1/-2/-1   -5/-1/1 # five corners
l 1/1 2/2
p 3
f 1 2
f 1//1 3//1 5//1
vp 0.5 0.5
call unknown.mod
"""


def unwrapped(mesh: Mesh) -> Mesh:
    """Every triangle a chart of its own: also polygons are cut."""
    uv = np.random.default_rng(0).random((3 * len(mesh.faces), 2)).astype(np.float32)
    uv_faces = torch.arange(len(uv)).reshape(-1, 3)
    return replace(mesh, uv=torch.from_numpy(uv), uv_faces=uv_faces)


def by_polygon(mesh: Mesh) -> Mesh:
    """Every polygon a chart of its own."""
    assert mesh.polygons is not None
    keys = mesh.polygons[:, None] * len(mesh.vertices) + mesh.faces
    distinct, uv_faces = torch.unique(keys, return_inverse=True)
    uv = np.random.default_rng(0).random((len(distinct), 2)).astype(np.float32)
    return replace(mesh, uv=torch.from_numpy(uv), uv_faces=uv_faces)


def patched(path: Path, mesh: Mesh, uv_kept: bool) -> tuple[list[str], str]:
    """The lines with their ends, and the MTL."""
    files = patch_obj(path.read_bytes(), mesh, uv_kept, "new.mtl", {0: "textures/a.png"}, "plain")
    path.with_name("patched.obj").write_bytes(files.obj)
    return lines_of(files.obj), files.mtl.decode()


def lines_of(content: bytes) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+$", content.decode("utf-8", "surrogateescape"))


def write(folder: Path, text: str = EVERYTHING, end: str = "\n") -> Path:
    path = folder / "mesh.obj"
    path.write_bytes(text.replace("\n", end).encode())
    return path


def assert_same_surface(path: Path, mesh: Mesh) -> None:
    """The written file is read as the same triangles with the painted uv."""
    again = load_mesh(path.with_name("patched.obj"))
    assert torch.equal(again.vertices, mesh.vertices)
    assert torch.equal(again.faces, mesh.faces)
    assert [part.name for part in again.parts] == [part.name for part in mesh.parts]
    assert torch.equal(again.normals[again.normal_faces], mesh.normals[mesh.normal_faces])
    assert again.uv is not None and again.uv_faces is not None
    assert mesh.uv is not None and mesh.uv_faces is not None
    assert torch.equal(again.uv[again.uv_faces], mesh.uv[mesh.uv_faces])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_with_kept_uv_only_the_library_differs(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, end=end)
    lines, mtl = patched(path, load_mesh(path), uv_kept=True)
    expected = lines_of(path.read_bytes())
    expected[1] = f"mtllib new.mtl{end}"
    assert lines == expected
    assert mtl.split(end)[::7] == ["newmtl Old Paint", "newmtl Other"]
    assert mtl.count("map_Kd textures/a.png") == 2
    assert_same_surface(path, load_mesh(path))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_with_new_uv_every_other_line_stays(tmp_path: Path, end: str) -> None:
    path = write(tmp_path, end=end)
    mesh = by_polygon(load_mesh(path))
    lines, _ = patched(path, mesh, uv_kept=False)
    assert_same_surface(path, mesh)

    def without_uv(line: str) -> str:
        if line.startswith(("mtllib", "vt")):
            return ""
        return re.sub(r"(?<=\d)/-?\d*(/-?\d+)?", lambda corner: corner[1] or "", line)

    before = [without_uv(line) for line in lines_of(path.read_bytes())]
    after = [without_uv(line) for line in lines]
    assert list(filter(None, after)) == list(filter(None, before))
    assert all(line.endswith(end) for line in lines)


def test_negative_and_continued_corners_keep_their_vertices_and_spaces(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines, _ = patched(path, by_polygon(load_mesh(path)), uv_kept=False)
    at = lines.index("usemtl Other\n")
    shape = [re.sub(r"/\d+/", "/N/", line) for line in lines[at + 1 : at + 4]]
    assert shape == ["f -6/N/1 \\\n", "  -3/N/1\\\n", "  -2/N/1 -1/N/-1   -5/N/1 # five corners\n"]
    # Lines and faces of two corners have no place in the new texture.
    assert lines[at + 4 : at + 7] == ["l 1 2\n", "p 3\n", "f 1 2\n"]


def test_new_uv_stand_where_the_first_old_ones_were(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines, _ = patched(path, by_polygon(load_mesh(path)), uv_kept=False)
    places = [index for index, line in enumerate(lines) if line.startswith("vt")]
    assert places == list(range(7, 7 + 4 + 5 + 3))
    (tmp_path / "bare.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n# here\nf 1 2 3\n")
    mesh = by_polygon(load_mesh(tmp_path / "bare.obj"))
    lines, mtl = patched(tmp_path / "bare.obj", mesh, uv_kept=False)
    keywords = [line.split()[0] for line in lines]
    assert keywords == ["mtllib", "v", "v", "v", "#", "usemtl", "vt", "vt", "vt", "f"]
    assert lines[-1] == "f 1/1 2/2 3/3\n"
    assert mtl.startswith("newmtl plain\n")


def test_a_polygon_that_a_seam_cuts_becomes_its_triangles_in_place(tmp_path: Path) -> None:
    path = write(tmp_path)
    mesh = unwrapped(load_mesh(path))
    lines, _ = patched(path, mesh, uv_kept=False)
    counts = [len(line.split()) - 1 for line in lines if line.startswith("f ")]
    assert counts == [3, 3, 3, 3, 3, 2, 3]
    assert_same_surface(path, mesh)


def test_a_face_without_area_takes_the_uv_of_its_polygon(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nf 1 2 3 4 5\n"
    path = write(tmp_path, text)
    mesh, source, _ = ensure_uv(load_mesh(path), "auto", 64)
    lines, _ = patched(path, mesh, source == "input")
    assert len(lines[-1].split()) == 6


@pytest.mark.parametrize("name", ["armchair", "mug", "teapot"])
def test_quads_stay_quads_when_unwrapped(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.obj"
    path.write_bytes((ASSETS / path.name).read_bytes())
    mesh, _, _ = ensure_uv(load_mesh(path), "always", 512)
    lines, _ = patched(path, mesh, uv_kept=False)
    faces = [line for line in path.read_text().splitlines() if line.startswith("f ")]
    sizes = [len(line.split()) for line in faces]
    assert max(sizes) > 4
    assert [len(line.split()) for line in lines if line.startswith("f ")] == sizes
    assert_same_surface(path, mesh)


def test_a_byte_order_mark_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mesh.obj"
    for first in ("v 0 0 0\n", "# head\nv 0 0 0\n", "mtllib old.mtl\nv 0 0 0\n"):
        path.write_text("\ufeff" + first + "v 1 0 0\nv 0 1 0\nusemtl a\nf 1 2 3\n", "utf-8")
        mesh = load_mesh(path)
        assert len(mesh.vertices) == 3
        lines, _ = patched(path, mesh, uv_kept=True)
        assert "".join(lines).count("\ufeff") == lines[0].startswith("\ufeff") == 1
        libraries = [line.lstrip("\ufeff") for line in lines if "mtllib" in line]
        assert libraries == ["mtllib new.mtl\n"]
        assert torch.equal(load_mesh(tmp_path / "patched.obj").vertices, mesh.vertices)


def test_bytes_that_are_not_utf_8_come_back(tmp_path: Path) -> None:
    path = tmp_path / "mesh.obj"
    content = b"usemtl gr\xfcn\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3"
    path.write_bytes(content)
    files = patch_obj(content, load_mesh(path), True, "new.mtl", {0: "a.png"}, "plain")
    assert files.obj == b"mtllib new.mtl\n" + content
    assert files.mtl.startswith(b"newmtl gr\xfcn\n")


def test_faces_without_a_material_share_none_with_one_that_is_called_like_theirs(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, EVERYTHING.replace("usemtl Old Paint\n", "").replace("Other", "plain"))
    mesh = load_mesh(path)
    assert mesh.polygons is not None
    mesh = replace(mesh, textures=(mesh.polygons > 0).long())
    images = {0: "textures/a.png", 1: "textures/b.png"}
    files = patch_obj(path.read_bytes(), mesh, True, "new.mtl", images, "plain")
    named = [line for line in lines_of(files.obj) if line.startswith("usemtl")]
    assert [line.strip() for line in named] == ["usemtl plain_2", "usemtl plain"]
    blocks = files.mtl.decode().split("newmtl ")[1:]
    assert {block.split()[0]: block.split()[-1] for block in blocks} == {
        "plain_2": "textures/a.png",
        "plain": "textures/b.png",
    }


def test_of_an_obj_painted_in_part_the_old_uv_stay_where_they_were(tmp_path: Path) -> None:
    text = EVERYTHING.replace("vt 0.50 0\n", "vt 0.0512345678901 1e-12 0.25 # deep\n")
    path = write(tmp_path, text)
    mesh = load_mesh(path)
    assert mesh.polygons is not None
    painted = replace(by_polygon(mesh), textures=torch.where(mesh.polygons > 0, 0, -2))
    files = patch_obj(path.read_bytes(), painted, False, "new.mtl", {0: "a.png"}, "plain")
    old = [line for line in lines_of(path.read_bytes()) if line.startswith("vt")]
    new = [line for line in lines_of(files.obj) if line.startswith("vt")]
    added = len(new) - len(old)
    assert new[added:] == old
    assert f"f 1/{1 + added}/1 2/{2 + added}/1 3/{3 + added}/1 4/{4 + added}/1\n" in lines_of(
        files.obj
    )
    assert f"l 1/{1 + added} 2/{2 + added}\n" in lines_of(files.obj)
    path.write_bytes(files.obj)
    read = load_mesh(path)
    assert read.uv is not None and read.uv_faces is not None
    assert mesh.uv is not None and mesh.uv_faces is not None
    kept = mesh.polygons == 0
    assert torch.equal(read.uv[read.uv_faces[kept]], mesh.uv[mesh.uv_faces[kept]])
    assert painted.uv is not None and painted.uv_faces is not None
    assert torch.equal(
        read.uv[read.uv_faces[~kept]].float(), painted.uv[painted.uv_faces[~kept]].float()
    )
