"""``python -m napari_nic.cli`` does what ``napari-nic`` does."""

from napari_nic.cli.starting import start

if __name__ == "__main__":
    start()
