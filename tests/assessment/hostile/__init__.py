"""Steps that do what a step must not: they stand for a decoder that a file has taken over."""
