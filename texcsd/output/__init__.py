"""Finished textures to files. Returns bytes and arrays; what is written where is for `job`."""
