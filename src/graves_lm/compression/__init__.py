"""A text model as a compressor of files: what it predicts well takes few bits (docs/adr/0030)."""
