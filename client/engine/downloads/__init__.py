"""One file from many people: which piece to ask of whom, and the file on disk while it grows."""
