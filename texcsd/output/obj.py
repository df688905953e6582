"""A mesh without texture as the text of an OBJ."""

from __future__ import annotations

from texcsd.geometry.mesh import Mesh


def new_obj(mesh: Mesh) -> bytes:
    """Write positions, normals and faces, each part as an object; there are no uv and no materials.

    Numbers have the digits that float32 takes to be read back the same.
    """
    vertices, normals = mesh.vertices.tolist(), mesh.normals.tolist()
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices]
    lines += [f"vn {x:.6g} {y:.6g} {z:.6g}" for x, y, z in normals]
    corners = (1 + mesh.faces).tolist()
    normal_corners = (1 + mesh.normal_faces).tolist()
    for part in mesh.parts:
        lines.append(f"o {part.name}")
        for face in range(part.first_face, part.first_face + part.face_count):
            pairs = zip(corners[face], normal_corners[face], strict=True)
            lines.append("f " + " ".join(f"{place}//{normal}" for place, normal in pairs))
    return ("\n".join(lines) + "\n").encode()
