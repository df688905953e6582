"""The mesh is the file's: positions, order, pose, names; and its normals are never nonsense."""

from pathlib import Path

import numpy as np
import pytest
import torch
from geometry_shapes import (
    ASSETS,
    CUBE_FACES,
    CUBE_QUADS,
    CUBE_VERTICES,
    GltfWriter,
    cube_gltf,
    make_mesh,
    sphere_arrays,
    write_obj,
    write_off,
    write_ply,
    write_stl,
)

from texcsd.geometry.mesh import SurfaceSampler, fit_to_unit_sphere, load_mesh
from texcsd.geometry.normals import weld_vertices


def face_areas(mesh):
    corners = mesh.vertices.double()[mesh.faces]
    return (
        torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=1)
        / 2
    )


def volume(mesh):
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def corner_normals(mesh):
    return mesh.normals[mesh.normal_faces]


# ---- formats


@pytest.mark.parametrize("with_normals", [True, False])
def test_many_objects_over_one_vertex_list_cost_no_more_than_their_own_vertices(
    tmp_path: Path, monkeypatch, with_normals: bool
):
    def sphere_objects(count: int) -> str:
        vertices, faces = sphere_arrays()
        lines = [f"v {x} {y} {z}" for x, y, z in np.tile(vertices, (count, 1)).tolist()]
        if with_normals:
            lines += [line.replace("v", "vn") for line in lines]
        for number in range(count):
            lines.append(f"o sphere{number}")
            for face in faces + 1 + len(vertices) * number:
                lines.append("f " + " ".join(f"{c}//{c}" if with_normals else f"{c}" for c in face))
        return "\n".join(lines)

    def counting(vertices):
        welded.append(len(vertices))
        return weld_vertices(vertices)

    count, welded = 20, []
    (tmp_path / "one.obj").write_text(sphere_objects(1))
    (tmp_path / "many.obj").write_text(sphere_objects(count))
    one = load_mesh(tmp_path / "one.obj")
    monkeypatch.setattr("texcsd.geometry.normals.weld_vertices", counting)
    many = load_mesh(tmp_path / "many.obj")
    assert len(many.vertices) == count * len(one.vertices)
    assert sum(welded) <= len(many.vertices) and len(many.normals) == count * len(one.normals)
    assert torch.equal(corner_normals(many), corner_normals(one).repeat(count, 1, 1))


def test_gltf_primitives_over_one_pool_of_vertices_do_not_each_hold_all_of_it(tmp_path: Path):
    count, writer = 20, GltfWriter()
    vertices, faces = sphere_arrays()
    pool = np.tile(vertices, (count, 1))
    attributes = {
        "POSITION": writer.array(pool, 5126, "VEC3"),
        "NORMAL": writer.array(pool, 5126, "VEC3"),
        "TEXCOORD_0": writer.array(pool[:, :2], 5126, "VEC2"),
    }
    runs = [faces + number * len(vertices) for number in range(count)]
    primitives = [
        {"attributes": attributes, "indices": writer.array(np.ravel(run), 5123, "SCALAR")}
        for run in runs
    ]
    writer.tree["meshes"] = [{"primitives": primitives}]
    writer.node(mesh=0, scale=[-1, 1, 1])
    mesh = load_mesh(writer.write_glb(tmp_path / "spheres.glb"))
    used = count * len(np.unique(faces))
    assert mesh.uv is not None
    assert (len(mesh.vertices), len(mesh.uv), len(mesh.normals)) == (used, used, used)
    corners = pool.astype(np.float32)[np.concatenate(runs)[:, ::-1]]
    turned = torch.from_numpy(corners * np.float32([-1, 1, 1]))
    assert torch.equal(mesh.vertices[mesh.faces].float(), turned)
    assert torch.allclose(corner_normals(mesh), turned, atol=1e-6)
    assert torch.equal(mesh.uv[mesh.uv_faces][..., 0], torch.from_numpy(corners[..., 0]))


@pytest.mark.parametrize("extension", ["obj", "off", "ply", "stl", "glb", "gltf", "OBJ"])
def test_every_format_gives_the_same_cube(tmp_path: Path, extension: str):
    path = tmp_path / f"cube.{extension}"
    if extension in ("glb", "gltf"):
        getattr(cube_gltf(), f"write_{extension}")(path)
    elif extension == "stl":
        write_stl(path, CUBE_VERTICES, CUBE_FACES)
    else:
        writer = {"off": write_off, "ply": write_ply}.get(extension, write_obj)
        writer(path, CUBE_VERTICES, CUBE_QUADS)
    mesh = load_mesh(path)
    assert mesh.vertices.dtype == torch.float64
    assert volume(mesh) == 8.0
    assert mesh.faces.shape == (12, 3)
    assert (face_areas(mesh) == 2.0).all()
    assert len(mesh.vertices) == 8
    if extension != "stl":
        assert np.array_equal(mesh.vertices.numpy(), CUBE_VERTICES)
    # All edges are creases: every corner has the normal of its face.
    assert sorted(map(tuple, mesh.normals.unique(dim=0).tolist())) == sorted(
        map(tuple, np.concatenate([np.eye(3), -np.eye(3)]).tolist())
    )


@pytest.mark.parametrize("writer", [write_obj, write_off, write_ply])
def test_positions_are_the_files_bit_for_bit(tmp_path: Path, writer):
    vertices = np.random.default_rng(0).normal(size=(40, 3)) * [1e-7, 1.0, 1e9] + 12345.678
    faces = np.random.default_rng(1).integers(0, 40, size=(60, 3))
    path = tmp_path / f"noise.{writer.__name__[-3:]}"
    mesh = load_mesh(writer(path, vertices, faces))
    assert np.array_equal(mesh.vertices.numpy(), vertices)
    assert np.array_equal(mesh.faces.numpy(), faces)


def test_concave_polygons_are_cut_without_folds(tmp_path: Path):
    arrow = [(0, 0, 0), (4, 3, 0), (0, 6, 0), (1, 3, 0)]
    comb = [(0, 0, 1), (9, 0, 1), (9, 5, 1), (8, 1, 1), (4.5, 6, 1), (1, 1, 1), (0, 5, 1)]
    path = write_obj(tmp_path / "a.obj", arrow + comb, [range(4), range(4, 8), [4, 5, 6, 7, 8]])
    mesh = load_mesh(path)
    assert len(mesh.faces) == 2 + 2 + 3
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    areas = torch.linalg.cross(b - a, c - a)[:, 2] / 2
    assert (areas[:2] > 0).all()
    assert float(areas[:2].sum()) == 9.0  # 12 of the hull less 3 of the notch


def test_polygon_faces_stay_in_file_order(tmp_path: Path):
    triangles, quads = [[0, 1, 2], [1, 2, 3]], [[4, 5, 6, 7]]
    mesh = load_mesh(write_obj(tmp_path / "a.obj", CUBE_VERTICES, [*quads, *triangles, *quads]))
    assert [sorted(face) for face in mesh.faces.tolist()[2:4]] == triangles
    assert {v for face in mesh.faces.tolist()[:2] for v in face} == {4, 5, 6, 7}
    assert mesh.faces[:2].tolist() == mesh.faces[4:].tolist()


def test_obj_keeps_uv_normals_and_positions_apart(tmp_path: Path):
    text = """# seam: vertex 1 has two uv
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 5 5 5
vt 0 0
vt 1 0 0.5
vt 1 1
vt 0 1
vt 0.25 0.75
vn 0 0 3
vn 0 0.6 0.8
o first part
usemtl missing
f 1/1/1 2/2/1 3/3/2
o second
f 1/5/1 3/3/1 4/4/1
"""
    (tmp_path / "seam.obj").write_text(text)
    mesh = load_mesh(tmp_path / "seam.obj")
    assert mesh.vertices.shape == (5, 3)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.uv is not None and mesh.uv_faces is not None
    assert mesh.uv.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1], [0.25, 0.75]]
    assert mesh.uv_faces.tolist() == [[0, 1, 2], [4, 2, 3]]
    assert torch.allclose(corner_normals(mesh)[0, 2], torch.tensor([0, 0.6, 0.8]))
    assert torch.allclose(corner_normals(mesh)[1, 0], torch.tensor([0.0, 0.0, 1.0]))
    assert [(p.name, p.first_face, p.face_count) for p in mesh.parts] == [
        ("first part", 0, 1),
        ("second", 1, 1),
    ]


def test_negative_obj_indices_count_back_from_where_they_stand(tmp_path: Path):
    (tmp_path / "a.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 2\nv 1 0 2\nv 0 1 2\nf -3//-1 -2 -1\n"
    )
    assert load_mesh(tmp_path / "a.obj").faces.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_faces_without_uv_get_no_area_in_the_texture(tmp_path: Path):
    (tmp_path / "a.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nf 1/1 2/2 3/3\nf 1 3 4\n"
    )
    mesh = load_mesh(tmp_path / "a.obj")
    assert mesh.uv_faces is not None
    assert mesh.uv_faces[0].tolist() == [0, 1, 2]
    assert len(mesh.uv_faces[1].unique()) == 1


def test_off_may_break_its_lines_anywhere(tmp_path: Path):
    path = write_off(tmp_path / "a.off", CUBE_VERTICES, CUBE_QUADS)
    head, faces = path.read_text().split("\n4 ", 1)
    path.write_text(head + "\n" + "\n".join(f"4 {faces}".split()) + "\n")
    assert volume(load_mesh(path)) == 8.0


def test_stl_is_welded_and_smooth(tmp_path: Path):
    vertices, faces = sphere_arrays()
    mesh = load_mesh(write_stl(tmp_path / "sphere.stl", vertices, faces))
    assert len(mesh.vertices) == 11 * 24 + 2
    directions = mesh.vertices[mesh.faces].float()
    areas = face_areas(mesh)
    cosines = (corner_normals(mesh) * directions).sum(-1)[areas > 0]
    assert cosines.min() > 0.98  # facets of 15 degrees


def test_ply_uv_of_faces_leave_the_vertices_alone(tmp_path: Path):
    header = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
property list uchar float texcoord
end_header
0 0 0
1 0 0
1 1 0
0 1 0
3 0 1 2 6 0 0 1 0 1 1
3 0 2 3 6 0.5 0.25 1 1 0 1
"""
    (tmp_path / "a.ply").write_text(header)
    mesh = load_mesh(tmp_path / "a.ply")
    assert mesh.vertices.shape == (4, 3)
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.uv is not None and mesh.uv_faces is not None
    corners = mesh.uv[mesh.uv_faces]
    assert corners.tolist() == [[[0, 0], [1, 0], [1, 1]], [[0.5, 0.25], [1, 1], [0, 1]]]


def test_ply_strips_of_scanners_are_read(tmp_path: Path):
    header = b"""ply
format binary_little_endian 1.0
element vertex 5
property float x
property float y
property float z
element tristrips 1
property list int int vertex_indices
end_header
"""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 2, 0]], "<f4")
    strip = np.array([7, 0, 1, 2, 3, -1, 2, 4], "<i4")
    strip = np.array([8, 0, 1, 2, 3, -1, 2, 3, 4], "<i4")
    (tmp_path / "a.ply").write_bytes(header + vertices.tobytes() + strip.tobytes())
    mesh = load_mesh(tmp_path / "a.ply")
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    assert (torch.linalg.cross(b - a, c - a)[:, 2] == 1.0).all()  # all wound alike
    assert len(mesh.faces) == 3


# ---- glTF


def test_a_scene_is_one_mesh_in_its_pose_with_named_parts():
    mesh = load_mesh(ASSETS / "table_and_stool.glb")
    assert [part.name for part in mesh.parts] == [
        "table_top",
        *(f"table_leg_{i}" for i in (1, 2, 3, 4)),
        "stool_seat",
        *(f"stool_leg_{i}" for i in (1, 2, 3)),
    ]
    assert sum(part.face_count for part in mesh.parts) == len(mesh.faces)
    box = {}
    for part in mesh.parts:
        faces = mesh.faces[part.first_face : part.first_face + part.face_count]
        corners = mesh.vertices[faces].reshape(-1, 3)
        box[part.name] = corners.amin(0), corners.amax(0)
    assert torch.allclose(
        box["table_top"][1], torch.tensor([0.55, 0.745, 0.35]).double(), atol=1e-6
    )
    for name in ("table_leg_1", "stool_leg_2"):
        assert abs(float(box[name][0][1])) < 0.01  # both stand on the floor
    centre = (box["stool_seat"][0] + box["stool_seat"][1]) / 2
    assert torch.allclose(centre, torch.tensor([0.15, 0.47, 0.62]).double(), atol=1e-6)


def test_nested_node_transforms_compose_like_matrices(tmp_path: Path):
    writer = GltfWriter()
    half = np.sqrt(0.5)
    writer.node(children=[1], translation=[10, 0, 0], rotation=[0, half, 0, half])  # 90 about y
    writer.node(mesh=writer.mesh(CUBE_VERTICES, CUBE_FACES), scale=[1, 2, 3], translation=[0, 0, 5])
    mesh = load_mesh(writer.write_glb(tmp_path / "a.glb"))
    expected = CUBE_VERTICES * [1, 2, 3] + [0, 0, 5]
    expected = np.stack([10 + expected[:, 2], expected[:, 1], -expected[:, 0]], axis=1)
    assert np.allclose(mesh.vertices.numpy(), expected, atol=1e-12)


def test_a_mirroring_node_keeps_faces_and_normals_outwards(tmp_path: Path):
    vertices, faces = sphere_arrays()
    writer = GltfWriter()
    normals = writer.array(vertices, 5126, "VEC3")
    index = writer.mesh(vertices, faces, NORMAL=normals)
    writer.node(children=[1, 2])
    writer.node(mesh=index, name="left", translation=[-2, 0, 0])
    writer.node(mesh=index, name="right", translation=[2, 0, 0], scale=[-1, 1, 1])
    mesh = load_mesh(writer.write_glb(tmp_path / "pair.glb"))
    assert volume(mesh) == pytest.approx(2 * 4.09, abs=0.05)
    centre = torch.tensor([[-2.0, 0, 0], [2.0, 0, 0]]).repeat_interleave(len(faces), 0)
    outwards = mesh.vertices[mesh.faces].float() - centre[:, None]
    assert torch.allclose(corner_normals(mesh), outwards, atol=1e-5)


def test_gltf_uv_need_no_material_and_turn_upside_down(tmp_path: Path):
    writer = GltfWriter()
    uv = writer.array([[0, 0], [65535, 0], [0, 65535]], 5123, "VEC2", normalized=True)
    writer.node(mesh=writer.mesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 2], TEXCOORD_0=uv))
    mesh = load_mesh(writer.write_glb(tmp_path / "a.glb"))
    assert mesh.uv is not None
    assert mesh.uv.tolist() == [[0, 1], [1, 1], [0, 0]]


def test_gltf_strips_and_fans_and_sparse_positions(tmp_path: Path):
    square = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
    for mode, order in ((5, [0, 1, 2, 3]), (6, [0, 1, 3, 2])):
        writer = GltfWriter()
        writer.node(mesh=writer.mesh(square, order, mode=mode))
        mesh = load_mesh(writer.write_glb(tmp_path / "a.glb"))
        a, b, c = mesh.vertices[mesh.faces].unbind(1)
        assert torch.linalg.cross(b - a, c - a)[:, 2].tolist() == [1, 1]
    writer = GltfWriter()
    index = writer.mesh(square, [0, 1, 2, 1, 3, 2])
    where, what = writer.array([3], 5123, "SCALAR"), writer.array([[5, 5, 5]], 5126, "VEC3")
    views = writer.tree["accessors"]
    views[0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": views[where]["bufferView"], "componentType": 5123},
        "values": {"bufferView": views[what]["bufferView"]},
    }
    writer.node(mesh=index)
    assert load_mesh(writer.write_glb(tmp_path / "a.glb")).vertices[3].tolist() == [5, 5, 5]


def test_a_skinned_mesh_stands_as_its_joints_pose_it(tmp_path: Path):
    writer = GltfWriter()
    joints = writer.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]], 5121, "VEC4")
    weights = writer.array([[1, 0, 0, 0], [1, 0, 0, 0], [0.5, 0.5, 0, 0]], 5126, "VEC4")
    index = writer.mesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]], [0, 1, 2], JOINTS_0=joints, WEIGHTS_0=weights
    )
    bind = np.tile(np.eye(4), (2, 1, 1))
    writer.tree["skins"] = [
        {"joints": [1, 2], "inverseBindMatrices": writer.array(bind.reshape(2, 16), 5126, "MAT4")}
    ]
    writer.node(mesh=index, skin=0, translation=[99, 99, 99])  # void, says the format
    writer.node(translation=[0, 0, 1])
    writer.node(translation=[0, 0, 3])
    writer.tree["scenes"] = [{"nodes": [0, 1, 2]}]
    mesh = load_mesh(writer.write_glb(tmp_path / "a.glb"))
    assert mesh.vertices.tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 2]]


# ---- normals


def test_seams_do_not_show_in_the_normals():
    vertices, faces = sphere_arrays()
    mesh = make_mesh(vertices, faces)
    solid = face_areas(mesh) > 0
    assert solid.sum() < len(faces)  # the poles hold degenerate faces
    cosines = (corner_normals(mesh) * mesh.vertices[mesh.faces].float()).sum(-1)
    assert cosines[solid].min() > 0.98
    assert torch.isfinite(mesh.normals).all()
    assert torch.allclose(mesh.normals.norm(dim=1), torch.ones(len(mesh.normals)), atol=1e-6)
    # One place, one normal: first and last column of vertices coincide.
    by_place = {}
    for place, normal in zip(
        mesh.vertices[mesh.faces][solid].reshape(-1, 3).tolist(),
        corner_normals(mesh)[solid].reshape(-1, 3).tolist(),
        strict=True,
    ):
        assert by_place.setdefault(tuple(place), normal) == normal


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_normals_do_not_depend_on_units(scale: float):
    vertices, faces = sphere_arrays()
    assert torch.allclose(
        make_mesh(vertices * scale, faces).normals, make_mesh(vertices, faces).normals, atol=1e-5
    )


def test_inconsistent_winding_still_shades_smoothly():
    vertices, faces = sphere_arrays()
    flipped = np.random.default_rng(3).random(len(faces)) < 0.3
    mixed = np.where(flipped[:, None], faces[:, ::-1], faces)
    mesh = make_mesh(vertices, mixed)
    solid = face_areas(mesh) > 0
    cosines = (corner_normals(mesh) * mesh.vertices[mesh.faces].float()).sum(-1)[solid]
    assert cosines.min() > 0.98  # the majority decides


def test_creases_divide_and_flat_edges_do_not():
    roof = [[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]]
    for rise, sharp in ((0.2, False), (1.0, True)):
        mesh = make_mesh(
            [*roof, [0, -rise, 2], [1, -rise, 2]], [[0, 2, 1], [1, 2, 3], [2, 4, 3], [3, 4, 5]]
        )
        ridge = corner_normals(mesh)[1, 1]  # vertex 2 as the flat side has it
        assert (float(ridge[1]) == pytest.approx(1.0, abs=1e-6)) == sharp


def test_degenerate_faces_stay_and_have_normals(tmp_path: Path):
    vertices = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [2, 0, 0], [9, 9, 9]]
    faces = [[0, 1, 2], [0, 1, 3], [0, 0, 1], [4, 4, 4]]
    mesh = load_mesh(write_obj(tmp_path / "a.obj", vertices, faces))
    assert mesh.faces.tolist() == faces
    assert torch.allclose(mesh.normals.norm(dim=1), torch.ones(len(mesh.normals)))
    assert corner_normals(mesh)[3].tolist() == [[0, 1, 0]] * 3  # nothing around it


def test_nonsense_normals_of_a_file_are_replaced(tmp_path: Path):
    cube = [f"v {x} {y} {z}" for x, y, z in CUBE_VERTICES.tolist()]
    for normal in ("0 0 0", "nan 0 1", "1 0 0"):  # none, not a number, the same everywhere
        quads = [" ".join(f"{i + 1}//1" for i in quad) for quad in CUBE_QUADS.tolist()]
        text = "\n".join([*cube, f"vn {normal}", *(f"f {quad}" for quad in quads)])
        (tmp_path / "a.obj").write_text(text)
        mesh = load_mesh(tmp_path / "a.obj")
        a, b, c = mesh.vertices[mesh.faces].unbind(1)
        flat = torch.linalg.cross(b - a, c - a)
        flat = (flat / flat.norm(dim=1, keepdim=True)).float()
        assert torch.allclose(corner_normals(mesh), flat[:, None].expand(-1, 3, -1), atol=1e-6)


# ---- fitting and sampling


def test_fitting_centres_the_box_and_reaches_radius_one():
    vertices, faces = sphere_arrays()
    stray = np.concatenate([vertices * [1, 2, 0.5] * 7e-4 + [1e5, -3e4, 12], [[1e9, 0, 0]]])
    fitted = fit_to_unit_sphere(make_mesh(stray, faces))
    used = fitted.vertices[fitted.faces.unique()]
    assert fitted.vertices.dtype == torch.float32
    assert float(used.norm(dim=1).max()) == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(used.amin(0), -used.amax(0), atol=1e-6)
    # float64 until after centring: the shape survives its distance from the origin.
    assert torch.allclose(used[:, 1].abs().max(), torch.tensor(1.0), atol=1e-6)
    assert torch.allclose(used[:, 0].max() / used[:, 1].max(), torch.tensor(0.5), atol=1e-4)


def test_samples_lie_on_the_surface_evenly_and_follow_the_seed():
    mesh = make_mesh(CUBE_VERTICES * [1, 1, 3], CUBE_FACES)

    def draw(seed):
        return SurfaceSampler(mesh).draw(6000, torch.Generator().manual_seed(seed))

    positions, normals = draw(5)
    assert positions.dtype == mesh.vertices.dtype
    assert torch.equal(positions, draw(5)[0])
    assert not torch.equal(positions, draw(6)[0])
    size = torch.tensor([1, 1, 3]).double()
    assert torch.allclose((positions / size).abs().amax(1), torch.ones(6000).double())
    assert torch.allclose((positions * normals / size).sum(1), torch.ones(6000).double())
    # Both ends are 2 * 4 of 56 in area; 5 standard deviations.
    ends = (normals[:, 2].abs() > 0.5).double().mean()
    assert abs(float(ends) - 8 / 56) < 5 * np.sqrt(8 / 56 * 48 / 56 / 6000)


def test_degenerate_faces_are_never_sampled():
    mesh = make_mesh(
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 9]], [[3, 3, 3], [0, 1, 2], [3, 3, 0]]
    )
    positions, normals = SurfaceSampler(mesh).draw(500, torch.Generator().manual_seed(0))
    assert positions.max() <= 1
    # Uniform within the triangle: the mean is its centroid; deviation of a coordinate 0.236.
    assert torch.allclose(
        positions.mean(0), torch.tensor([1 / 3, 1 / 3, 0]).double(), atol=5 * 0.236 / 500**0.5
    )
    assert torch.equal(normals, torch.tensor([[0.0, 0, 1]]).double().expand(500, 3))


def test_moving_a_mesh_moves_every_tensor():
    mesh = load_mesh(ASSETS / "armchair.obj").to("meta")
    assert mesh.uv is not None and mesh.uv_faces is not None
    tensors = (mesh.vertices, mesh.faces, mesh.uv, mesh.uv_faces, mesh.normals, mesh.normal_faces)
    assert all(tensor.device.type == "meta" for tensor in tensors)
