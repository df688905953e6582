"""Shapes. No pixels, no diffusion."""
