"""Small shapes as arrays, and files that hold them, written without the code under test."""

import json
import struct
from pathlib import Path

import numpy as np
import torch

from texcsd.geometry.mesh import Mesh, Part
from texcsd.geometry.normals import smooth_normals

ASSETS = Path(__file__).parents[2] / "assets"

CUBE_VERTICES = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)
CUBE_FACES = np.concatenate([CUBE_QUADS[:, :3], CUBE_QUADS[:, [0, 2, 3]]])


def sphere_arrays(rows: int = 12, columns: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere whose seam and poles repeat vertices, with degenerate faces at the poles."""
    theta = np.linspace(0, np.pi, rows + 1)
    phi = np.linspace(0, 2 * np.pi, columns + 1)
    ring = np.stack([np.sin(phi), np.zeros_like(phi), np.cos(phi)], axis=-1)
    ring[-1] = ring[0]
    radius = np.sin(theta)
    radius[[0, -1]] = 0.0
    up = np.zeros((rows + 1, 1, 3))
    up[..., 1] = -np.cos(theta)[:, None]
    vertices = (radius[:, None, None] * ring + up).reshape(-1, 3)
    row, column = np.mgrid[0:rows, 0:columns]
    first = (row * (columns + 1) + column).ravel()
    quads = np.stack([first, first + 1, first + columns + 2, first + columns + 1], axis=1)
    return vertices, np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])


def make_mesh(vertices, faces, uv=None, uv_faces=None) -> Mesh:
    vertices = np.array(vertices, np.float64).reshape(-1, 3)
    faces = np.array(faces, np.int64).reshape(-1, 3)
    normals, normal_faces = smooth_normals(vertices, faces)
    return Mesh(
        vertices=torch.from_numpy(vertices),
        faces=torch.from_numpy(faces),
        uv=None if uv is None else torch.tensor(np.array(uv), dtype=torch.float32),
        uv_faces=None
        if uv is None
        else torch.from_numpy(np.array(faces if uv_faces is None else uv_faces, np.int64)),
        normals=torch.from_numpy(normals),
        normal_faces=torch.from_numpy(normal_faces),
        parts=(Part("shape", 0, len(faces)),),
    )


def write_obj(path: Path, vertices, polygons, extra: str = "") -> Path:
    lines = [f"v {' '.join(map(repr, map(float, v)))}" for v in vertices]
    lines += [f"f {' '.join(str(int(i) + 1) for i in polygon)}" for polygon in polygons]
    path.write_text("\n".join(lines) + "\n" + extra)
    return path


def write_off(path: Path, vertices, polygons) -> Path:
    lines = ["OFF", f"{len(vertices)} {len(polygons)} 0"]
    lines += [" ".join(map(repr, map(float, v))) for v in vertices]
    lines += [f"{len(p)} {' '.join(map(str, map(int, p)))}" for p in polygons]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_ply(path: Path, vertices, polygons) -> Path:
    lines = ["ply", "format ascii 1.0", f"element vertex {len(vertices)}"]
    lines += [f"property double {axis}" for axis in "xyz"]
    lines += [f"element face {len(polygons)}", "property list uchar int vertex_indices"]
    lines += ["end_header", *(" ".join(map(repr, map(float, v))) for v in vertices)]
    lines += [f"{len(p)} {' '.join(map(str, map(int, p)))}" for p in polygons]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_stl(path: Path, vertices, faces) -> Path:
    rows = np.zeros(
        len(faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("x", "u2")]
    )
    rows["corners"] = np.asarray(vertices)[np.asarray(faces)]
    path.write_bytes(b"binary".ljust(80) + struct.pack("<I", len(faces)) + rows.tobytes())
    return path


class GltfWriter:
    """Collects arrays and nodes, and writes them as GLB or as glTF with a separate buffer."""

    def __init__(self):
        self.tree = {"asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}]}
        self.blob = b""

    def array(self, values, component: int, kind: str, **more) -> int:
        dtype = {5121: "u1", 5123: "<u2", 5125: "<u4", 5126: "<f4"}[component]
        values = np.ascontiguousarray(values, dtype)
        self.blob += b"\0" * (-len(self.blob) % 4)
        view = {"buffer": 0, "byteOffset": len(self.blob), "byteLength": values.nbytes}
        self.blob += values.tobytes()
        self._append("bufferViews", view)
        return self._append(
            "accessors",
            {
                "bufferView": len(self.tree["bufferViews"]) - 1,
                "componentType": component,
                "type": kind,
                "count": len(values),
                **more,
            },
        )

    def _append(self, key: str, value) -> int:
        self.tree.setdefault(key, []).append(value)
        return len(self.tree[key]) - 1

    def mesh(self, vertices, faces, mode: int = 4, **attributes) -> int:
        """Attributes are accessor indices by their glTF name."""
        primitive = {
            "attributes": {"POSITION": self.array(vertices, 5126, "VEC3"), **attributes},
            "indices": self.array(np.ravel(faces), 5123, "SCALAR"),
            "mode": mode,
        }
        return self._append("meshes", {"name": "shape", "primitives": [primitive]})

    def node(self, **content) -> int:
        return self._append("nodes", content)

    def write_glb(self, path: Path) -> Path:
        self.tree["buffers"] = [{"byteLength": len(self.blob)}]
        text = json.dumps(self.tree).encode()
        text += b" " * (-len(text) % 4)
        blob = self.blob + b"\0" * (-len(self.blob) % 4)
        chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
        chunks += struct.pack("<II", len(blob), 0x004E4942) + blob
        path.write_bytes(struct.pack("<III", 0x46546C67, 2, 12 + len(chunks)) + chunks)
        return path

    def write_gltf(self, path: Path, buffer_name: str = "shape data.bin") -> Path:
        uri = buffer_name.replace(" ", "%20")
        self.tree["buffers"] = [{"byteLength": len(self.blob), "uri": uri}]
        path.with_name(buffer_name).write_bytes(self.blob)
        path.write_text(json.dumps(self.tree))
        return path


def cube_gltf(**node) -> GltfWriter:
    writer = GltfWriter()
    writer.node(mesh=writer.mesh(CUBE_VERTICES, CUBE_FACES), **node)
    return writer
