"""The command line as a process: what starts it, and how it ends."""

import os
import sys

INTERRUPTED = 130


def start() -> None:
    """Run the command line of this process, and end it with its exit code."""
    try:
        # Imported here: Ctrl-C while a busy machine still reads the program is an ordinary end too.
        from napari_nic.cli.main import main

        code = main()
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        # All that had to be put away is: the interpreter would only take large libraries down, for seconds
        # on a busy machine.
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                continue  # its reader has gone
        os._exit(code)
    sys.exit(code)
