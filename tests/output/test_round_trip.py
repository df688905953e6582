"""Other programs take what we write: the Khronos validator, trimesh, Blender."""

import functools
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gltf_scenes
import khronos_validator
import numpy as np
import pytest
import torch
import trimesh
from gltf_scenes import Scene
from PIL import Image
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

from texcsd.geometry.mesh import Mesh, bounding_sphere, fit_to_unit_sphere, load_mesh
from texcsd.geometry.uv_atlas import ensure_uv
from texcsd.output.gltf import png_bytes
from texcsd.output.mesh_files import mesh_file_contents, mesh_file_names
from texcsd.rendering.cameras import orbit_cameras
from texcsd.rendering.rasterize import rasterize_mesh
from texcsd.rendering.shading import downsample
from texcsd.rendering.texture import sample_map

ASSETS = Path(__file__).parents[2] / "assets"
TEXTURE_SIZE, VIEW_SIZE = 64, 128


def marked() -> np.ndarray:
    """Two ramps, and a red corner at the top left."""
    row, column = np.mgrid[:TEXTURE_SIZE, :TEXTURE_SIZE]
    pixels = np.stack([0 * row + 40, 2 * row + 100, 2 * column + 100], axis=-1).astype(np.uint8)
    pixels[: TEXTURE_SIZE // 4, : TEXTURE_SIZE // 4] = [255, 0, 0]
    return pixels


def painted(path: Path, folder: Path, unwrap) -> tuple[Path, Mesh]:
    """The GLB, and the mesh with the uv that were painted."""
    mesh, source, _ = ensure_uv(load_mesh(path), unwrap, TEXTURE_SIZE)
    names = mesh_file_names(path) | {"base_color": "base_color.png"}
    pictures = {0: png_bytes(marked())}
    folder.mkdir(exist_ok=True)
    contents = mesh_file_contents(path, mesh, source == "input", pictures, names)
    for key, content in contents.items():
        (folder / names[key]).write_bytes(content)
    return folder / f"{path.stem}.glb", mesh


def scene_files(folder: Path) -> list[Path]:
    """Files with all there is in glTF, and our own."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    gltf_scenes.PNG = stream.getvalue()  # the validator looks into images
    scenes: dict[str, Scene] = {
        "everything": gltf_scenes.everything(),
        "plain": gltf_scenes.one_mesh(),
        "with_uv": gltf_scenes.one_mesh(),
    }
    primitive = scenes["with_uv"].tree["meshes"][0]["primitives"][0]
    primitive["attributes"]["TEXCOORD_0"] = scenes["with_uv"].uv(gltf_scenes.FIRST_UV)
    for name, scene in scenes.items():
        (folder / f"{name}.glb").write_bytes(scene.glb())
    made = [folder / f"{name}.glb" for name in scenes]
    return [*made, ASSETS / "table_and_stool.glb", ASSETS / "armchair.obj", ASSETS / "vase.ply"]


@pytest.mark.slow
@pytest.mark.skipif(khronos_validator.modules() is None, reason="gltf-validator is not installed")
@pytest.mark.parametrize("unwrap", ["auto", "always"])
def test_the_validator_finds_no_error_that_the_input_did_not_have(tmp_path, unwrap) -> None:
    for path in scene_files(tmp_path):
        glb, _ = painted(path, tmp_path / "painted", unwrap)
        errors = khronos_validator.error_codes(glb)
        if path.suffix == ".glb":
            errors -= khronos_validator.error_codes(path)
        assert not errors, path.name


def test_trimesh_shows_the_marked_corner_where_it_is(tmp_path) -> None:
    glb, mesh = painted(ASSETS / "table_and_stool.glb", tmp_path, "auto")
    scene = trimesh.load(glb)
    pixels = marked()
    for geometry in scene.geometry.values():
        embedded = np.asarray(geometry.visual.material.baseColorTexture.convert("RGB"))
        np.testing.assert_array_equal(embedded, pixels)
    uv = np.concatenate([geometry.visual.uv for geometry in scene.geometry.values()])
    assert mesh.uv is not None and mesh.uv_faces is not None
    distances, _ = KDTree(uv).query(mesh.uv[mesh.uv_faces].reshape(-1, 2).numpy())
    assert distances.max() < 1e-6


@functools.cache
def blender() -> list[str] | None:
    """The command that runs a script with bpy; TEXCSD_BLENDER names a Blender or such a Python."""
    chosen = os.environ.get("TEXCSD_BLENDER") or shutil.which("blender")
    if chosen is None:
        return [sys.executable] if importlib.util.find_spec("bpy") else None
    if "python" in Path(chosen).name:
        return [chosen]
    return [chosen, "--background", "--factory-startup", "--python"]


@pytest.mark.slow
@pytest.mark.skipif(blender() is None, reason="neither Blender nor bpy is installed")
@pytest.mark.parametrize("name", ["table_and_stool.glb", "armchair.obj"])
def test_blender_shows_the_texture_as_our_preview_does(tmp_path, name: str) -> None:
    """Same place, same way round, same colours, from the same camera and without light."""
    glb, mesh = painted(ASSETS / name, tmp_path, "auto")
    camera = orbit_cameras(5, elevation_degrees=25, view_width=2.2).one(1)
    surface = rasterize_mesh(fit_to_unit_sphere(mesh), camera, 4 * VIEW_SIZE, 4 * VIEW_SIZE)
    ours = sample_map(torch.from_numpy(marked() / np.float32(255))[None], surface).base_color
    ours = downsample(ours * surface.coverage, 4)[0].numpy() * 255
    inside = binary_erosion(downsample(surface.coverage, 4)[0, ..., 0].numpy() == 1)
    centre, radius = bounding_sphere(mesh)
    pose = camera.camera_to_world[0].double()
    pose[:3, 3] = centre + radius * pose[:3, 3]
    view = {"camera_to_world": pose.tolist(), "fov_degrees": camera.fov_degrees.item()}
    (tmp_path / "view.json").write_text(json.dumps(view | {"size": VIEW_SIZE}))
    script, picture = Path(__file__).with_name("blender_render.py"), tmp_path / "blender.png"
    command = [*(blender() or []), script, "--", glb, picture, tmp_path / "view.json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=300)
    theirs = np.asarray(Image.open(picture)).astype(float)
    assert (theirs[inside][:, 3] > 250).mean() > 0.99
    difference = np.abs(theirs[..., :3] - ours)[inside].max(axis=1)
    # Where a texel ends, and at edges of faces, the two filter differently.
    assert np.median(difference) < 3 and (difference < 16).mean() > 0.9
    red = (theirs[..., 0] > 200) & inside
    assert 20 < red.sum() < inside.sum() / 2
