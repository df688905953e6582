"""Run by a Python that has bpy, or by Blender: renders a GLB without light, as its texture is.

Arguments after "--": the GLB, the PNG to write, and a JSON file with `camera_to_world` (y up, as
glTF), `fov_degrees` (vertical) and `size` in pixels.
"""

import json
import sys

import bpy
from mathutils import Matrix

Y_UP_TO_Z_UP = Matrix(((1, 0, 0, 0), (0, 0, -1, 0), (0, 1, 0, 0), (0, 0, 0, 1)))


def main(glb: str, picture: str, view: dict) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=glb)
    for material in bpy.data.materials:
        without_light(material)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    camera.matrix_world = Y_UP_TO_Z_UP @ Matrix(view["camera_to_world"])
    camera.data.sensor_fit = "VERTICAL"
    camera.data.angle = view["fov_degrees"] * 3.141592653589793 / 180
    camera.data.clip_start = 0.01
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 32, False
    scene.cycles.pixel_filter_type = "BOX"
    scene.view_settings.view_transform = "Standard"
    scene.render.resolution_x = scene.render.resolution_y = view["size"]
    scene.render.film_transparent = True
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.filepath = picture
    bpy.ops.render.render(write_still=True)


def without_light(material) -> None:
    """Show what the importer has connected with the base colour."""
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = next(node for node in nodes if node.type == "BSDF_PRINCIPLED")
    color = shader.inputs["Base Color"].links[0].from_socket
    emission = nodes.new("ShaderNodeEmission")
    links.new(color, emission.inputs["Color"])
    output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
    links.new(emission.outputs["Emission"], output.inputs["Surface"])


if __name__ == "__main__":
    glb, picture, view = sys.argv[sys.argv.index("--") + 1 :]
    with open(view) as file:
        main(glb, picture, json.load(file))
