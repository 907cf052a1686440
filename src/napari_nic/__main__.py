"""``python -m napari_nic`` does what ``napari-nic`` does."""

from napari_nic.cli.__main__ import start

if __name__ == "__main__":
    start()
