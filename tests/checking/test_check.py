"""Reports of meshes whose every number is known, and the files they are written to."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from checking_shapes import CUBE_SIDES, square, write_cube, write_spheres, write_squares
from meshopt_scenes import EXT, KHR, compressed
from PIL import Image

import texcsd
from texcsd.errors import TexcsdError
from texcsd.geometry.mesh import load_mesh
from texcsd.geometry.uv_atlas import ensure_uv

ASSETS = Path(__file__).parents[2] / "assets"
SPREAD = {"low": float, "median": float, "high": float}
SCHEMA = {
    "texcsd": str,
    "check": int,
    "input": {
        "path": str,
        "sha256": str,
        "vertices": int,
        "triangles": int,
        "parts": list,
        "polygons": int,
        "materials": list,
        "unit": type(None),
        "bounds": {"lowest": list, "highest": list, "size": list},
    },
    "orientation": {"up": str, "front": list},
    "surface": {
        "boundary_edges": int,
        "nonmanifold_edges": int,
        "degenerate_faces": int,
        "duplicate_faces": int,
        "inconsistent_faces": int,
        "inside_out": bool,
        "pieces": int,
    },
    "uv": {
        "present": bool,
        "finite": bool,
        "outside_fraction": float,
        "zero_area_fraction": float,
        "overlap_fraction": float,
        "mirrored_fraction": float,
        "covered_fraction": float,
        "chart_count": int,
        "texture_size": int,
        "distortion": {
            "lowest": list,
            "highest": list,
            "mirrored_faces": int,
            "mirrored_area_fraction": float,
            "texels_per_unit": SPREAD,
            "area_stretch": SPREAD,
            "angle_stretch": SPREAD,
        },
    },
    "visibility": {
        "painting_views": int,
        "unseen_faces": int,
        "unseen_area_fraction": float,
        "surrounding_views": int,
        "enclosed_faces": int,
        "enclosed_area_fraction": float,
    },
    "painting": {
        "uv": str,
        "reason": str,
        "textures": int,
        "warnings": list,
        "shape_steps": int,
        "seen_area": float,
        "steps": int,
        "views": int,
        "seconds": float,
        "memory_bytes": int,
        "models": {
            name: {"on": str, "basis": str, "seconds": float, "memory_bytes": int}
            for name in (
                "embedded",
                "stable-diffusion-1.5",
                "stable-diffusion-2-depth",
                "stable-diffusion-2.1",
                "sdxl",
                "deepfloyd-if",
            )
        },
    },
    "problems": list,
    "notes": list,
}
"""Of format 1. Who adds a key adds it here; who changes or removes one raises the format."""


FIN = "v 9 0 0\nvt 0.02 0.7\nvt 0.32 0.7\nvt 0.02 0.97\nf 5/25 6/26 9/27\n"
"""One more face on an edge of the cube, with a chart of its own."""


def schema_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: schema_of(inner) for key, inner in value.items()}
    return type(value)


def kinds(report: dict) -> list[str]:
    return [problem["kind"] for problem in report["problems"]]


@pytest.fixture
def cube(tmp_path: Path) -> Path:
    return write_cube(tmp_path / "cube.obj")


def test_the_schema_is_stable(cube: Path):
    report = texcsd.check(cube).report
    assert report["check"] == 1
    assert schema_of(report) == SCHEMA
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_good_cube_has_its_numbers_and_no_problems(cube: Path):
    result = texcsd.check(cube, texture_size=2048)
    report = result.report
    assert result.problems == report["problems"] == report["notes"] == []
    assert report["input"]["triangles"] == 12 and report["input"]["polygons"] == 6
    assert report["input"]["bounds"] == {
        "lowest": [3, -1, 0],
        "highest": [5, 1, 2],
        "size": [2, 2, 2],
    }
    assert report["uv"]["chart_count"] == 6
    assert report["uv"]["covered_fraction"] == pytest.approx(6 * 0.09, abs=0.01)
    density = report["uv"]["distortion"]["texels_per_unit"]
    assert density == pytest.approx(dict.fromkeys(SPREAD, 0.3 * 2048 / 2), rel=1e-4)
    assert report["orientation"] == {"up": "+y", "front": []}
    assert report["visibility"]["enclosed_faces"] == 0


def test_the_report_says_which_estimates_are_measured(cube: Path):
    models = texcsd.check(cube).report["painting"]["models"]
    measured = [name for name, model in models.items() if model["basis"] == "measured"]
    assert measured == ["embedded", "stable-diffusion-1.5"]
    assert {model["basis"] for model in models.values()} == {"measured", "calculated"}


def test_the_same_mesh_has_the_same_report(cube: Path):
    assert texcsd.check(cube).report == texcsd.check(cube).report


@pytest.mark.parametrize(
    ("extra", "sides", "kind"),
    [
        (FIN, CUBE_SIDES, "nonmanifold_edges"),
        ("f 1/1 1/1 2/2\n", CUBE_SIDES, "degenerate_faces"),
        ("f 1/1 2/2 4/3 3/4\n", CUBE_SIDES, "duplicate_faces"),
        ("", [(3, 4, 2, 1), *CUBE_SIDES[1:]], "inconsistent_faces"),
        ("", [side[::-1] for side in CUBE_SIDES], "inside_out"),
    ],
)
def test_a_defect_of_the_surface_is_a_problem(tmp_path: Path, extra: str, sides, kind: str):
    report = texcsd.check(write_cube(tmp_path / "cube.obj", extra, sides)).report
    assert kinds(report) == [kind]


def test_the_sides_of_a_leaf_are_duplicates_and_both_seen(tmp_path: Path):
    triangles = [(side[0], side[k], side[k + 1]) for side in CUBE_SIDES for k in (1, 2)]
    both_sides = [*triangles, *(triangle[::-1] for triangle in triangles)]
    lines = write_cube(tmp_path / "cube.obj").read_text().splitlines()[:32]
    lines += ["f " + " ".join(map(str, side)) for side in both_sides]
    (tmp_path / "leaf.obj").write_text("\n".join(lines) + "\n")
    report = texcsd.check(tmp_path / "leaf.obj").report
    assert report["visibility"]["enclosed_faces"] == 0
    assert report["surface"]["duplicate_faces"] == 12


def test_an_open_box_is_noted_and_no_problem(tmp_path: Path):
    report = texcsd.check(write_cube(tmp_path / "box.obj", sides=CUBE_SIDES[:5])).report
    assert report["surface"]["boundary_edges"] == 4
    assert kinds(report) == []
    assert any(note.startswith("open edges") and note.endswith(": 4") for note in report["notes"])


@pytest.mark.parametrize("extension", [EXT, KHR])
def test_a_compressed_glb_has_the_report_of_the_plain_one(tmp_path: Path, extension: str):
    plain, path = ASSETS / "table_and_stool.glb", tmp_path / "compressed.glb"
    path.write_bytes(compressed(plain.read_bytes(), extension))
    reports = [texcsd.check(each).report for each in (plain, path)]
    for report in reports:
        del report["input"]["path"], report["input"]["sha256"]
    assert reports[0] == reports[1]


def test_vertex_colours_that_will_tint_a_texture_are_noted(tmp_path: Path):
    path = write_cube(tmp_path / "cube.obj")
    path.write_text(path.read_text().replace("\n", " 0.5 0.5 0.5\n", 1))
    report = texcsd.check(path).report
    (note,) = report["notes"]
    assert note.startswith("parts with vertex colours") and note.endswith(": 1")
    assert kinds(report) == []


def test_the_enclosed_faces_are_those_of_the_inner_sphere(tmp_path: Path):
    alone = texcsd.check(write_spheres(tmp_path / "alone.obj", (1.0,))).report
    assert alone["visibility"]["enclosed_faces"] == 0
    both = texcsd.check(write_spheres(tmp_path / "both.obj", (1.0, 0.5))).report
    assert both["surface"]["pieces"] == 2 and both["surface"]["boundary_edges"] == 0
    assert both["visibility"]["enclosed_faces"] == both["input"]["triangles"] / 2
    assert both["visibility"]["enclosed_area_fraction"] == pytest.approx(1 / 5)
    assert kinds(both) == ["enclosed_faces"]


def test_the_overlap_is_the_share_of_the_charts_covered_twice(tmp_path: Path):
    charts = square(0.1, 0.1, 0.4, 0.4), square(0.3, 0.1, 0.4, 0.4)
    report = texcsd.check(write_squares(tmp_path / "squares.obj", *charts)).report
    assert report["uv"]["overlap_fraction"] == pytest.approx(0.2 / 0.6, abs=0.01)
    assert kinds(report) == ["uv_overlap"]
    assert report["painting"]["uv"] == "kept"
    assert len(report["painting"]["warnings"]) == 1


def test_a_mirrored_chart_is_a_problem_and_its_faces_are_counted(tmp_path: Path):
    charts = square(0.05, 0.05, 0.4, 0.4), square(0.95, 0.05, -0.4, 0.4)
    report = texcsd.check(write_squares(tmp_path / "squares.obj", *charts)).report
    assert report["uv"]["distortion"]["mirrored_faces"] == 2
    assert report["uv"]["distortion"]["mirrored_area_fraction"] == pytest.approx(0.5)
    assert kinds(report) == ["uv_mirrored"]


@pytest.mark.parametrize(
    ("chart", "kind"),
    [
        (square(0.5, 0.55, 0.1, 0.1), "uneven_texel_density"),
        (square(0.5, 0.55, 0.45, 0.09), "uv_stretch"),
        (square(0.5, 0.55, 0.0, 0.0), "unusable_uv"),
        (square(0.5, 0.55, 7, 7), "unusable_uv"),
    ],
)
def test_bad_uv_of_half_the_surface_are_a_problem(tmp_path: Path, chart, kind: str):
    path = write_squares(tmp_path / "squares.obj", square(0.02, 0.02, 0.45, 0.45), chart)
    assert kinds(texcsd.check(path).report) == [kind]


@pytest.mark.parametrize(
    ("charts", "expected"),
    [
        ([square(0, 0, 0.4, 0.4), square(0.5, 0, 0.4, 0.4)], "kept"),
        ([square(0, 0, 1, 1), square(0, 0, 1, 1)], "unwrapped"),
        ([square(0, 0, 3, 3)], "unwrapped"),
        ([square(0, 0, 1, 1), square(1, 0, -1, 1)], "kept"),
    ],
)
def test_the_uv_are_kept_exactly_where_painting_keeps_them(tmp_path: Path, charts, expected: str):
    path = write_squares(tmp_path / "squares.obj", *charts)
    painting = texcsd.check(path).report["painting"]
    assert painting["uv"] == expected
    _, source, warnings = ensure_uv(load_mesh(path), "auto", 64)
    assert (source == "input") == (expected == "kept")
    if expected == "kept":
        assert warnings == painting["warnings"]
    else:
        assert painting["reason"] in warnings[0]


def test_a_mesh_without_uv_has_none_and_that_is_no_problem(tmp_path: Path):
    report = texcsd.check(write_spheres(tmp_path / "sphere.obj", (1.0,))).report
    assert report["uv"]["present"] is False and report["uv"]["distortion"] is None
    assert report["painting"]["uv"] == "unwrapped"
    assert report["painting"]["reason"] == "the mesh has no uv"
    assert kinds(report) == []


@pytest.mark.parametrize("stray", ["nan nan nan", "inf 0 0", "1e300 0 0"])
def test_vertices_that_no_face_uses_may_be_anything(cube: Path, tmp_path: Path, stray: str):
    expected = texcsd.check(cube).report
    report = texcsd.check(write_cube(tmp_path / "stray.obj", f"v {stray}\n")).report
    for part in ("orientation", "surface", "uv", "visibility", "problems", "notes"):
        assert report[part] == expected[part]
    assert report["input"]["bounds"] == expected["input"]["bounds"]


def test_nothing_is_written_without_a_folder(cube: Path, tmp_path: Path, monkeypatch):
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    assert texcsd.check(cube).folder is None
    assert list(empty.iterdir()) == []
    assert set(tmp_path.iterdir()) == {empty, cube}


def test_the_folder_holds_the_report_and_the_pictures_and_may_be_written_again(
    cube: Path, tmp_path: Path
):
    folder = tmp_path / "a" / "b"
    for size in (512, 1024):
        result = texcsd.check(cube, folder, texture_size=size)
        assert result.folder == folder
        assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == result.report
    names = ["coverage.png", "orbit.png", "report.json", "uv_layout.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name in (name for name in names if name.endswith("png")):
        assert Image.open(io.BytesIO((folder / name).read_bytes())).format == "PNG"


def test_the_layout_of_another_mesh_does_not_stay_behind(cube: Path, tmp_path: Path):
    texcsd.check(cube, tmp_path / "out")
    texcsd.check(write_spheres(tmp_path / "bare.obj", (1.0,)), tmp_path / "out")
    assert not (tmp_path / "out" / "uv_layout.png").exists()


@pytest.mark.parametrize("name", ["report.json", "orbit.png", "coverage.png", "uv_layout.png"])
@pytest.mark.parametrize("content", [b"mine", b"{}", b"[1]"])
def test_files_of_others_stay_as_they_are(cube: Path, tmp_path: Path, name: str, content: bytes):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / name).write_bytes(content)
    with pytest.raises(TexcsdError, match=rf"{name}: is in the way.*-o"):
        texcsd.check(cube, folder)
    assert [path.read_bytes() for path in folder.iterdir()] == [content]


def test_a_link_that_leads_nowhere_stays_as_it_is(cube: Path, tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "orbit.png").symlink_to(tmp_path / "not mounted")
    with pytest.raises(TexcsdError, match=r"orbit.png: is in the way.*-o"):
        texcsd.check(cube, tmp_path / "out")


def test_a_name_that_is_not_utf_8_is_reported(cube: Path, tmp_path: Path):
    try:
        path = cube.rename(tmp_path / os.fsdecode(b"st\xfchl.obj"))
    except OSError:
        pytest.skip("this file system takes no such names")
    result = texcsd.check(path, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == result.report


def test_a_file_where_the_folder_should_be_is_one_line(cube: Path):
    with pytest.raises(TexcsdError, match="cannot be made a folder"):
        texcsd.check(cube, cube)
    with pytest.raises(TexcsdError, match="cannot be made a folder"):
        texcsd.check(cube, cube / "deeper")


def test_a_bad_texture_size_is_refused_as_in_painting(cube: Path):
    with pytest.raises(TexcsdError, match="texture_size is 8"):
        texcsd.check(cube, texture_size=8)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("v 0 0 0\nv 1 0 0\n", "no faces, only 2 point"),
        ("v nan 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("v 0 0 0\nv 1e200 0 0\nv 0 1e200 0\nf 1 2 3\n", "beyond 1e\\+100"),
        ("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "zero area"),
        ("v 0 0 0\nf 1 2 3\n", "only 1 vertices"),
    ],
)
def test_what_cannot_be_painted_is_one_line_of_the_loader(tmp_path: Path, text: str, reason: str):
    path = tmp_path / "bad.obj"
    path.write_text(text)
    with pytest.raises(TexcsdError, match=reason) as caught:
        texcsd.check(path, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
