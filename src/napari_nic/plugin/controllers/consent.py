"""Ask whether a program may run that an encoder is."""

from __future__ import annotations

from napari_nic.errors import ConsentError
from napari_nic.plugin.controllers.asking import Asking

TITLE = "Run this program?"


def ask_trust(asking: Asking, error: ConsentError) -> bool:
    """Ask for consent, and remember it by the program's SHA-256.

    Parameters
    ----------
    asking : Asking
    error : ConsentError
        Names the file and its SHA-256.

    Returns
    -------
    bool
        Whether the user lets it run; what was refused may be tried again then.
    """
    from napari_nic.encoders.external.trust import remember

    agreed = asking.confirm(
        TITLE,
        f"{error.file}\n\n"
        "This encoder is a program. It runs with your rights as soon as it is opened: it can read, change "
        "and send whatever you can. Run it only if you trust whoever made it and gave it to you."
        f"\n\nSHA-256 {error.sha256}\n\nYour answer is remembered for exactly this file; once it is changed, "
        "you are asked again.",
        yes="Run it",
        no="Do not run it",
    )
    if agreed and error.file is not None:
        remember(error.sha256, error.file)
    return agreed
