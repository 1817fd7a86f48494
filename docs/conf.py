"""Configuration of the documentation: python -m sphinx -W docs docs/_build/html."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import qcluster  # noqa: E402

project = "qcluster"
author = "The qcluster maintainers"
version = release = qcluster.__version__
html_title = f"qcluster {release}"
html_theme = "qiskit-ecosystem"
html_static_path = ["_static"]
html_css_files = ["notebooks.css"]
extensions = [
    "myst_nb",  # brings myst_parser
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "qiskit_sphinx_theme",
    "generated",
]
exclude_patterns = ["_build", "_generated"]
default_role = "code"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # what is stored is shown; docs/notebooks/execute.py stores it
autodoc_default_options = {
    "members": True,
    "member-order": "bysource",
    # scikit-learn's, about routing
    "exclude-members": "set_fit_request, set_partial_fit_request, set_predict_request, set_score_request",
}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
