"""``python -m qcluster`` runs the command ``qcluster``."""

from qcluster.cli.main import main

if __name__ == "__main__":
    main()
