"""A mesh looked at before it is painted. Loads no model, changes nothing."""
