"""The small model that travels in the wheel: what it has seen and how it was trained.

Nothing of the painting pipeline is imported here, so that the model can be trained, and its world
looked at, without it.
"""
