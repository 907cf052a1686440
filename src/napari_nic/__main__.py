"""``python -m napari_nic`` does what ``napari-nic`` does."""

import runpy

if __name__ == "__main__":
    runpy.run_module("napari_nic.cli", run_name="__main__", alter_sys=True)
