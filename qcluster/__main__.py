"""``python -m qcluster`` is the command ``qcluster``."""

from qcluster.cli.main import main

if __name__ == "__main__":
    main()
