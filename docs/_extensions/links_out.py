"""Links from a page to a file outside of the documentation lead to the repository.

In a clone and on the repository's pages such a link is right as it stands; the site does not hold the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LINK_OUT = re.compile(r"\]\(\.\./(?=[^)\s]+\))")


def lead_to_repository(app: Sphinx, _name: str, content: list[str]) -> None:
    """Replace the relative beginning of links in a page that is read."""
    options = app.config.html_theme_options
    base = f"{options['source_repository']}/blob/{options['source_branch']}/"
    content[0] = LINK_OUT.sub(f"]({base}", content[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", lead_to_repository)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
