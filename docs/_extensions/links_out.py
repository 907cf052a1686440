"""Links from a page to a file outside of the documentation lead to the repository.

In a clone and on the repository's pages such a link is right as it stands; the site does not hold the file.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

UPWARD = re.compile(r"\]\((\.\./[^)\s]+)\)")
FOLDER = "docs"
"""The folder of the pages in the repository."""


def led_to_repository(page: str, text: str, base: str) -> str:
    """Return a page's text with its links out of the documentation made addresses.

    Parameters
    ----------
    page : str
        Its name without suffix, such as ``tutorials/annotate``.
    text : str
    base : str
        Address of the repository's files, ending in a slash.
    """

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(FOLDER, posixpath.dirname(page), match[1]))
        return match[0] if target.startswith(f"{FOLDER}/") else f"]({base}{target})"

    return UPWARD.sub(lead, text)


def on_source_read(app: Sphinx, page: str, content: list[str]) -> None:
    """Change a page that Sphinx has read."""
    options = app.config.html_theme_options
    base = f"{options['source_repository']}/blob/{options['source_branch']}/"
    content[0] = led_to_repository(page, content[0], base)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
