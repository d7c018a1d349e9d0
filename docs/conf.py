"""How Sphinx builds these pages (`make docs`): without network, and without a warning."""

from __future__ import annotations

import sys
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

from webhook_delivery.version import __version__  # noqa: E402

project = "django-webhook-delivery"
version = release = __version__
project_copyright = "the contributors; MIT licence"

extensions = ["myst_parser", "contents"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["words.txt"]
nitpicky = True
smartquotes = False  # the texts have their own, and JSON must keep its

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 6
myst_links_external_new_tab = False

html_theme = "furo"
html_title = f"{project} {__version__}"
html_copy_source = False
html_show_sphinx = False
html_permalinks_icon = "#"
templates_path: list[str] = []
pygments_style = "friendly"
pygments_dark_style = "monokai"


def setup(app: Sphinx) -> None:
    """The requests on these pages are shortened, which Pygments does not take for HTTP."""
    app.add_lexer("http", TextLexer)
