"""Meshes and textures in, images out. Knows nothing of diffusion."""
