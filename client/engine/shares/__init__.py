"""What this client shares: kept in line with the disk, tagged, hashed, listed, and told to the index servers.

Knows files and rows, no connection. Start reading at `shares.py`, then `stocktaking.py` and `publish.py`.
"""
