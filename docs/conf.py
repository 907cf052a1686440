"""How ``make docs`` builds the documentation site: without network, a warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "src"))
sys.path.insert(0, str(HERE / "_extensions"))

from napari_nic import __version__  # noqa: E402 - the source must be found first

project = "napari-nic"
author = "The napari-nic developers"
copyright = author  # noqa: A001 - Sphinx's name
version = release = __version__

extensions = [
    "api_pages",
    "links_out",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.githubpages",
    "sphinx_copybutton",
]
exclude_patterns = ["_extensions"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Types are written in the docstrings, with shapes and units, so that signatures stay short.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_use_plots = False

html_theme = "furo"
html_title = f"napari-nic {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": "https://github.com/napari-nic/napari-nic",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": ["view"],
}
