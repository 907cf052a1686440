"""``python -m napari_nic.cli`` does what ``napari-nic`` does."""

import sys

from napari_nic.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
