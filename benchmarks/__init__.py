"""How calotype compares with its peer: one question in each file, both sides in one run on one machine."""
