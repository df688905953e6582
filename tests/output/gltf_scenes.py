"""glTF files with everything in them, written and read without the code under test."""

import base64
import copy
import json
import struct

import numpy as np

TYPES = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
PNG = b"\x89PNG of the input"

CORNERS = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 1], [2, 1, 1]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3], [1, 4, 5], [1, 5, 2]])
"""Two squares with an edge in common; vertex 6 and 7 of the scenes below are in no triangle."""
STRIP = [3, 0, 2, 1, 5, 4]
FIRST_UV = np.float32([[0, 1], [0.5, 1], [0.5, 0.5], [0, 0.5], [1, 1], [1, 0.5]])
SECOND_UV = FIRST_UV[:, ::-1] * 0.5


class Scene:
    """A glTF tree and its buffers, the first of which is the one that arrays go to."""

    def __init__(self) -> None:
        self.tree: dict = {"asset": {"version": "2.0", "extras": {"by": "hand"}}}
        self.blobs = [b""]
        self.chunks: list[tuple[bytes, bytes]] = []
        self.padding = b" "

    def add(self, key: str, value: dict) -> int:
        self.tree.setdefault(key, []).append(value)
        return len(self.tree[key]) - 1

    def view(self, content: bytes, buffer: int = 0, **more) -> int:
        self.blobs[buffer] += b"\0" * (-len(self.blobs[buffer]) % 4)
        place = {"buffer": buffer, "byteOffset": len(self.blobs[buffer])}
        self.blobs[buffer] += content
        return self.add("bufferViews", place | {"byteLength": len(content)} | more)

    def array(self, values, component: int, kind: str, buffer: int = 0, **more) -> int:
        values = np.ascontiguousarray(values, TYPES[component]).reshape(-1, WIDTHS[kind])
        rows = values.view(np.uint8).reshape(len(values), -1)
        padding = -rows.shape[1] % 4 if kind != "SCALAR" else 0
        stride = {"byteStride": rows.shape[1] + padding} if padding else {}
        view = self.view(np.pad(rows, ((0, 0), (0, padding))).tobytes(), buffer, **stride)
        accessor = {"bufferView": view, "componentType": component, "type": kind}
        return self.add("accessors", accessor | {"count": len(values)} | more)

    def positions(self, values=None, **more) -> int:
        values = with_unused(CORNERS if values is None else values)
        bounds = {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
        return self.array(values, 5126, "VEC3", **bounds, **more)

    def indices(self, values=TRIANGLES) -> int:
        return self.array(np.ravel(values), 5123, "SCALAR")

    def primitive(self, **attributes) -> dict:
        attributes = {"POSITION": self.positions(), **attributes}
        return {"attributes": attributes, "indices": self.indices()}

    def uv(self, values, component: int = 5126, **more) -> int:
        return self.array(with_unused(values), component, "VEC2", **more)

    def glb(self) -> bytes:
        tree = copy.deepcopy(self.tree)
        tree["buffers"] = [{"byteLength": len(self.blobs[0]), "extras": "of the buffer"}]
        for blob in self.blobs[1:]:
            uri = "data:application/octet-stream;base64," + base64.b64encode(blob).decode()
            tree["buffers"].append({"byteLength": len(blob), "uri": uri})
        text = json.dumps(tree).encode()
        text += self.padding * (4 + -len(text) % 4)
        binary = self.blobs[0] + b"\0" * (-len(self.blobs[0]) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        for kind, content in [(b"BIN\0", binary), *self.chunks]:
            chunks += struct.pack("<I4s", len(content), kind) + content
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def with_unused(values) -> np.ndarray:
    """Two more rows, for the vertices that are in no triangle."""
    values = np.asarray(values)
    return np.concatenate([values, values[:1] * 0 + 7, values[:1] * 0 + 9]).astype(values.dtype)


def one_mesh(**attributes) -> Scene:
    scene = Scene()
    scene.add("meshes", {"primitives": [scene.primitive(**attributes)]})
    scene.add("nodes", {"mesh": 0})
    scene.tree |= {"scene": 0, "scenes": [{"nodes": [0]}]}
    return scene


def everything() -> Scene:
    """Skin, animation, morph target, instances, two uv sets, lights, extras and the unknown."""
    scene = Scene()
    random = np.random.default_rng(0)
    color = with_unused(random.integers(0, 255, (6, 3)))
    weights = np.tile(np.float32([0.75, 0.25, 0, 0]), (8, 1))
    tangents = with_unused(random.normal(size=(6, 4)).astype(np.float32))
    primitive = scene.primitive(
        TEXCOORD_0=scene.uv(FIRST_UV),
        TEXCOORD_1=scene.uv(SECOND_UV),
        NORMAL=scene.array(with_unused(np.float32([[0, 0, 1]] * 6)), 5126, "VEC3"),
        TANGENT=scene.array(tangents, 5126, "VEC4"),
        COLOR_0=scene.array(color, 5121, "VEC3", normalized=True, name="colours"),
        JOINTS_0=scene.array(np.tile([0, 1, 0, 0], (8, 1)), 5121, "VEC4"),
        WEIGHTS_0=scene.array(weights, 5126, "VEC4"),
        _TEMPERATURE=scene.array(np.arange(8), 5123, "SCALAR"),
    )
    moved = scene.array(random.normal(size=(8, 3)), 5126, "VEC3")
    primitive["targets"] = [{"POSITION": moved, "NORMAL": sparse_zeros(scene)}]
    primitive["material"], primitive["extras"] = 0, {"kept": [1, 2.5]}
    lines = {"attributes": dict(primitive["attributes"]), "indices": scene.indices([0, 1, 1, 2])}
    lines |= {"mode": 1, "material": 1}
    still = {key: primitive[key] for key in ("indices", "material")}
    still["attributes"] = {k: primitive["attributes"][k] for k in ("POSITION", "TEXCOORD_0")}
    scene.add("meshes", {"name": "body", "primitives": [primitive, lines], "weights": [0.5]})
    scene.add("meshes", {"name": "stone", "primitives": [still | {"material": 1}]})
    normal = {"normalTexture": {"index": 0, "texCoord": 1}, "alphaMode": "BLEND"}
    scene.add("materials", {"name": "Skin", "doubleSided": True, "extras": 5} | normal)
    metal = {"baseColorFactor": [1, 0, 0, 0.5]}
    scene.add("materials", {"name": "Stone", "pbrMetallicRoughness": metal})
    scene.add("materials", {"name": "Unused", "extensions": {"EXT_unknown": {"a": [1]}}})
    scene.add("textures", {"source": 0, "sampler": 0})
    scene.add("samplers", {"wrapS": 33648})
    scene.add("images", {"bufferView": scene.view(PNG), "mimeType": "image/png"})
    scene.add("skins", {"joints": [1, 2], "inverseBindMatrices": identities(scene)})
    times = scene.array([0, 1], 5126, "SCALAR", min=[0], max=[1])
    sampler = {"input": times, "output": scene.array(np.eye(4)[:2], 5126, "VEC4")}
    channel = {"sampler": 0, "target": {"node": 1, "path": "rotation"}}
    scene.add("animations", {"name": "wave", "samplers": [sampler], "channels": [channel]})
    scene.add("cameras", {"type": "perspective", "perspective": {"yfov": 0.8, "znear": 0.1}})
    scene.tree["nodes"] = [
        {"name": "body", "mesh": 0, "skin": 0, "children": [1]},
        {"name": "hip", "children": [2], "translation": [0, 0.1, 0]},
        {"name": "knee", "rotation": [0, 0, 0.6, 0.8], "extras": {"limit": 30}},
        {"name": "left", "mesh": 1, "translation": [5, 0, 0], "extensions": {"EXT_x": {"n": 1}}},
        {"name": "right", "mesh": 1, "translation": [-5, 0, 0], "scale": [-1, 1, 1]},
        {"name": "eye", "camera": 0, "extensions": {"KHR_lights_punctual": {"light": 0}}},
        {"name": "elsewhere", "mesh": 1},
    ]
    scene.tree |= {
        "scene": 1,
        "scenes": [{"nodes": [6]}, {"name": "main", "nodes": [0, 3, 4, 5], "extras": "kept"}],
        "extensionsUsed": ["KHR_lights_punctual", "EXT_unknown", "EXT_x"],
        "extensions": {"KHR_lights_punctual": {"lights": [{"type": "point"}]}, "EXT_z": [None]},
        "extras": {"text": "größe \ud83d\ude00", "number": 1e-7},
    }
    return scene


def sparse_zeros(scene: Scene) -> int:
    """Zeros but for the vertices 1 and 5: there is no dense part."""
    sparse = {
        "count": 2,
        "indices": {"bufferView": scene.view(bytes([1, 5])), "componentType": 5121},
        "values": {"bufferView": scene.view(np.float32([[1, 2, 3], [4, 5, 6]]).tobytes())},
    }
    return scene.add(
        "accessors", {"componentType": 5126, "type": "VEC3", "count": 8, "sparse": sparse}
    )


def identities(scene: Scene) -> int:
    return scene.array(np.tile(np.eye(4), (2, 1, 1)), 5126, "MAT4")


class Parsed:
    """The tree of a GLB and the numbers in it."""

    def __init__(self, glb: bytes) -> None:
        size, kind = struct.unpack("<I4s", glb[12:20])
        assert kind == b"JSON" and struct.unpack("<I", glb[8:12]) == (len(glb),)
        self.tree = json.loads(glb[20 : 20 + size])
        start, self.chunks = 20 + size, list[tuple[bytes, bytes]]()
        while start < len(glb):
            size, kind = struct.unpack("<I4s", glb[start : start + 8])
            self.chunks.append((kind, glb[start + 8 : start + 8 + size]))
            start += 8 + size
        self.binary = self.chunks.pop(0)[1]

    def view(self, number: int) -> bytes:
        view = self.tree["bufferViews"][number]
        assert view["buffer"] == 0 and "uri" not in self.tree["buffers"][0]
        start = view.get("byteOffset", 0)
        assert start + view["byteLength"] <= self.tree["buffers"][0]["byteLength"]
        return self.binary[start : start + view["byteLength"]]

    def values(self, number: int) -> np.ndarray:
        """As stored; sparse values filled in."""
        accessor = self.tree["accessors"][number]
        dtype, width = np.dtype(TYPES[accessor["componentType"]]), WIDTHS[accessor["type"]]
        values = np.zeros((accessor["count"], width), dtype)
        if "bufferView" in accessor:
            stride = self.tree["bufferViews"][accessor["bufferView"]].get("byteStride", 0)
            content = self.view(accessor["bufferView"])[accessor.get("byteOffset", 0) :]
            for row in range(len(values)):
                start = row * (stride or width * dtype.itemsize)
                values[row] = np.frombuffer(content, dtype, width, start)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            kind = TYPES[sparse["indices"]["componentType"]]
            at = np.frombuffer(self.view(sparse["indices"]["bufferView"]), kind)
            values[at] = np.frombuffer(self.view(sparse["values"]["bufferView"]), dtype).reshape(
                -1, width
            )
        return values

    def corners(self, mesh: int, primitive: int = 0) -> dict[str, np.ndarray]:
        """Every attribute and target at the corners of the triangles, as bytes count."""
        found = self.tree["meshes"][mesh]["primitives"][primitive]
        indices = self.values(found["indices"])[:, 0].astype(int)
        named = {name: number for name, number in found["attributes"].items()}
        for index, target in enumerate(found.get("targets", [])):
            named |= {f"{name} of target {index}": number for name, number in target.items()}
        return {name: self.values(number)[indices] for name, number in named.items()}
