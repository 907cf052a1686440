"""``python -m napari_nic`` does what ``napari-nic`` does."""

from napari_nic.cli.starting import start

if __name__ == "__main__":
    start()
