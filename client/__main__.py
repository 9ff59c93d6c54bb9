"""The command `p2pshare`, also as `python -m client`."""

from client.cli.app import main

if __name__ == "__main__":
    main()
