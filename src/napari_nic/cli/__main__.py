"""``python -m napari_nic.cli`` does what ``napari-nic`` does."""

import os
import sys

from napari_nic.cli.interrupt import Interrupted
from napari_nic.cli.main import main


def start() -> None:
    """Run the command line of this process, and end it with its exit code."""
    code = main()
    if code == Interrupted.exit_code:
        # All that had to be put away is: the interpreter would only take large libraries down, for seconds
        # on a busy machine.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                continue  # its reader has gone
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    start()
