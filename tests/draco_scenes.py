"""GLBs whose primitives are compressed by Draco, for tests of reading and of writing."""

from __future__ import annotations

from pathlib import Path

import DracoPy
import numpy as np
from mesh_file_trials import glb_of

DRACO = "KHR_draco_mesh_compression"


def patch(columns: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A curved square: vertices, faces and uv that fill the texture without overlap."""
    u, v = np.meshgrid(*2 * [np.linspace(0, 1, columns)])
    vertices = np.stack([u, v, 0.3 * np.sin(3 * u)], -1).reshape(-1, 3).astype(np.float32)
    uv = np.stack([u, 1 - v], -1).reshape(-1, 2)
    first = (np.arange(columns - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    halves = np.array([[0, 1, columns + 1], [0, columns + 1, columns]])
    faces = np.concatenate([first + half for half in halves])
    return vertices, faces.astype(np.uint32), uv


class DracoScene:
    """A GLB of compressed primitives, each in a mesh and a node of its own."""

    def __init__(self) -> None:
        declared = {"extensionsUsed": [DRACO, "EXT_other"], "extensionsRequired": [DRACO]}
        lists = {key: [] for key in ("nodes", "meshes", "accessors", "bufferViews")}
        scene = {"scene": 0, "scenes": [{"nodes": []}]}
        self.tree: dict = {"asset": {"version": "2.0"}, **declared, **lists, **scene}
        self.binary = b""

    def add(self, with_uv: bool, **more) -> dict:
        """Append a patch; return its primitive, and what it says about itself."""
        vertices, faces, uv = patch()
        attributes = {"tex_coord": uv} if with_uv else {}
        content = DracoPy.encode(vertices, faces, quantization_bits=16, **attributes)
        mesh = DracoPy.decode(content)
        names = {0: "POSITION", 3: "TEXCOORD_0"}
        found = {names[each["attribute_type"]]: each for each in mesh.attributes}
        primitive = {
            "attributes": {name: self.accessor(each["data"]) for name, each in found.items()},
            "indices": self.append("accessors", number(mesh.faces.size, "SCALAR", 5123)),
        }
        numbers = {name: each["unique_id"] for name, each in found.items()}
        compressed = {"bufferView": self.view(content), "attributes": numbers}
        primitive["extensions"] = {DRACO: compressed} | more
        self.append("meshes", {"primitives": [primitive]})
        place = self.append("nodes", {"mesh": len(self.tree["meshes"]) - 1})
        self.tree["scenes"][0]["nodes"].append(place)
        return primitive

    def accessor(self, values: np.ndarray) -> int:
        bounds = {"min": (values.min(0) - 1e-3).tolist(), "max": (values.max(0) + 1e-3).tolist()}
        described = number(len(values), f"VEC{values.shape[1]}", 5126)
        return self.append("accessors", described | (bounds if values.shape[1] == 3 else {}))

    def view(self, content: bytes) -> int:
        start = len(self.binary)
        self.binary += content + b"\0" * (-len(content) % 4)
        view = {"buffer": 0, "byteOffset": start, "byteLength": len(content)}
        return self.append("bufferViews", view)

    def append(self, key: str, value: dict) -> int:
        self.tree[key].append(value)
        return len(self.tree[key]) - 1

    def write(self, path: Path) -> Path:
        tree = self.tree | {"buffers": [{"byteLength": len(self.binary)}]}
        path.write_bytes(glb_of(tree, self.binary))
        return path


def number(count: int, kind: str, component: int) -> dict:
    """An accessor without values."""
    return {"count": count, "type": kind, "componentType": component}
