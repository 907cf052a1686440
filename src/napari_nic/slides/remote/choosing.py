"""Which server answers an address, by its scheme."""

from __future__ import annotations

from urllib.parse import urlsplit

from napari_nic.addresses import TESTED, UNTESTED, name_in, without_secrets
from napari_nic.errors import UnreadableSlideError
from napari_nic.slides.remote.servers import Server
from napari_nic.telling import Notices, tell


def server_of(address: str) -> Server:
    """Return what reads an address; nothing is asked yet.

    Raises
    ------
    UnreadableSlideError
        If the scheme is none that is read, or the address would be asked for without encryption.
    MissingDependencyError
        If the libraries for it are not installed.
    """
    scheme = urlsplit(address).scheme.lower()
    if scheme not in (*TESTED, *UNTESTED):
        hint = "give the path of the file" if scheme == "file" else "download the file first"
        raise UnreadableSlideError(
            f"{without_secrets(address)}: addresses of the scheme {scheme} are not read",
            expected=f"one of {', '.join(TESTED)} (and untested: {', '.join(UNTESTED)})",
            hint=hint,
        )
    if scheme in UNTESTED:
        tell(Notices(name_in(address), (f"reading by {scheme} has never been tested with this program",)))
        from napari_nic.slides.remote.others import OtherServer

        return OtherServer(address)
    if scheme == "s3":
        from napari_nic.slides.remote.s3 import S3Server

        return S3Server(address)
    from napari_nic.slides.remote.http import HttpServer

    return HttpServer(address)
