"""Many paintings: planned, spread over workers, and nothing lost. Knows no pixels and no model."""
