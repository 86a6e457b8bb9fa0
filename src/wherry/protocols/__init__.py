"""HTTP dialects: parse a request, let the engine do it, render what it says."""
