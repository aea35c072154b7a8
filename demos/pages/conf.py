"""Sphinx: how the pages are built, by `docker/env.sh docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(HERE)]

from generate import write_pages  # noqa: E402

from fe_phaseinv.core.version import __version__ as release  # noqa: E402, F401

project = "fe_phaseinv"
author = copyright = "The fe_phaseinv authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "numpydoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"
smartquotes = False
default_role = "literal"
# Base classes of other packages, whose pages are not at hand, and those that are an affair of one module.
nitpick_ignore_regex = [("py:class", r"(?!fe_phaseinv).*|.*\._\w+")]
autodoc_default_options = {"member-order": "bysource", "show-inheritance": True}
autodoc_typehints = "none"
autosummary_generate = False
numpydoc_show_class_members = False
html_theme = "furo"
html_title = "fe_phaseinv"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False


def setup(app):
    """Have the pages that follow from the sources written before the others are read."""
    app.connect("builder-inited", lambda _: write_pages(HERE))
