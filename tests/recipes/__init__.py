"""How the test vectors are made. `scripts/vectors.py` writes them, and `--check` finds what has drifted."""
