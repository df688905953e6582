"""Stand-ins for the pictures of paintings nobody looks at: rendering them takes seconds."""

QUICK_PICTURES = {
    "preview_png": lambda mesh, base_color, names, normal_maps: b"preview",
    "turntable_frames": lambda mesh, base_color, normal_maps: [],
    "turntable_gif": lambda frames: b"turntable",
    "can_write_mp4": lambda: False,
    "viewer_html": lambda mesh, base_color, name, normal_maps: b"viewer",
}
"""By their names in `texcsd.delivery`."""
