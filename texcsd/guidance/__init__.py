"""Images in, gradients out. Knows nothing of meshes."""
