"""Objects of S3, through s3fs; its endpoint, region and credentials are those of your environment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from napari_nic.addresses import joined, without_secrets
from napari_nic.errors import NicError, RemoteError, UnreadableSlideError
from napari_nic.extras import check_installed
from napari_nic.slides.remote.http import WHAT
from napari_nic.slides.remote.servers import (
    CONNECT_SECONDS,
    PASSING,
    PIECE_BYTES,
    READ_SECONDS,
    PassingError,
    Server,
    Version,
    changed,
    check_encrypted,
    persistent,
    refusal,
    seconds_of,
    wrong_bytes,
)

_CONDITION = 412
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_/-]{1,250}")


class S3Server:
    """An object of a bucket, ``s3://bucket/key``.

    Parameters
    ----------
    address : str
        Credentials are never taken from it.
    files : fsspec filesystem, optional
        One that is connected already.
    """

    def __init__(self, address: str, files: Any = None) -> None:
        parts = urlsplit(address)
        self.address = without_secrets(address)
        self._bucket, self._key = parts.netloc, unquote(parts.path.lstrip("/"))
        if "@" in parts.netloc or parts.query:
            raise UnreadableSlideError(
                f"{self.address}: an address of S3 holds a bucket and a key alone",
                hint="give credentials by the environment or ~/.aws, as for the AWS command line",
            )
        if not _BUCKET.fullmatch(self._bucket) or not self._key:
            raise UnreadableSlideError(f"{self.address}: no bucket and key", expected="s3://BUCKET/KEY")
        self._files = files or _filesystem(is_anonymous=False)

    def version(self) -> Version:
        """Ask for the object's head; without any credentials of yours, as anybody may."""
        try:
            found = self._call("head_object", {})
        except _NoCredentialsError:
            self._files = _filesystem(is_anonymous=True)
            found = self._call("head_object", {})
        modified = found.get("LastModified")
        written = modified.timestamp() if modified else None
        asked = seconds_of(found.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", ""))
        tag = str(found.get("ETag", ""))
        return Version(int(found["ContentLength"]), tag, str(modified or ""), True, written, asked)

    def read(self, start: int, stop: int, version: Version) -> bytes:
        """Ask for a range of the object of this tag."""
        condition = {"IfMatch": version.tag} if version.tag else {}
        found = self._call("get_object", {"Range": f"bytes={start}-{stop - 1}", **condition})
        wanted = f"bytes {start}-{stop - 1}/{version.size}"
        if version.is_other(str(found.get("ETag", "")), ""):
            raise changed(self.address)
        if found.get("ContentRange") != wanted or len(found["Body"]) != stop - start:
            got = f"{found.get('ContentRange', 'no range')}, {len(found['Body'])} bytes"
            raise wrong_bytes(self.address, wanted, got)
        data: bytes = found["Body"]
        return data

    def pieces(self, version: Version) -> Iterator[bytes]:
        """Yield the object in ranges: S3 always has them."""
        for start in range(0, version.size, PIECE_BYTES):
            yield self.read(start, min(version.size, start + PIECE_BYTES), version)

    def below(self, key: str) -> Server:
        """Return an object below this one."""
        return S3Server(joined(self.address, key), self._files)

    def folders(self) -> tuple[str, ...]:
        """List what stands for folders below this key."""
        prefix = self._key.rstrip("/") + "/"
        names: list[str] = []
        more: dict[str, Any] = {}
        while True:
            found = self._call("list_objects_v2", {"Prefix": prefix, "Delimiter": "/", **more}, key=False)
            entries = found.get("CommonPrefixes", [])
            names += [entry["Prefix"][len(prefix) :].rstrip("/") for entry in entries]
            if not found.get("IsTruncated"):
                return tuple(sorted(names))
            more = {"ContinuationToken": found["NextContinuationToken"]}

    def _call(self, method: str, arguments: dict[str, Any], *, key: bool = True) -> dict[str, Any]:
        given = {"Bucket": self._bucket, **({"Key": self._key} if key else {}), **arguments}
        return persistent(lambda: self._once(method, given), self.address)

    def _once(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from fsspec.asyn import sync

        try:
            return dict(sync(self._files.loop, self._ask, method, arguments))
        except NicError:
            raise
        # Nothing of the library's own texts is shown or kept.
        except NoCredentialsError:
            raise _NoCredentialsError(
                f"{self.address}: there are no credentials", hint="give them as for the AWS command line"
            ) from None
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status in PASSING:
                raise PassingError(f"status {status}") from None
            raise (changed(self.address) if status == _CONDITION else refusal(status, self.address)) from None
        except (BotoCoreError, OSError) as error:
            raise PassingError(f"no connection, or none that lasts ({type(error).__name__})") from None

    async def _ask(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        await self._files.set_session()
        client = self._files.s3
        check_encrypted(str(client.meta.endpoint_url), self.address)
        found = dict(await getattr(client, method)(**arguments))
        if "Body" in found:
            async with found["Body"] as body:
                found["Body"] = await body.read()
        return found


class _NoCredentialsError(RemoteError):
    """The environment has none."""


def _filesystem(*, is_anonymous: bool) -> Any:
    for module in ("fsspec", "s3fs"):
        check_installed(module, WHAT)
    import fsspec

    limits = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"max_attempts": 0},  # they are made here, for all kinds of servers alike
    }
    return fsspec.filesystem(
        "s3", anon=is_anonymous, config_kwargs=limits, use_listings_cache=False, skip_instance_cache=True
    )
