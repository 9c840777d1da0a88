"""A library that the engine needs and the machine does not have: which package brings it."""

import re

# How glibc's loader says it, and Python after it: `libgomp.so.1: cannot open shared object file: No such file or …`.
_MISSING = re.compile(r"(?P<library>lib[\w.+-]+\.so[\w.]*): cannot open shared object file: No such file")

PACKAGES = {"libgomp.so.1": "libgomp1"}
"""Debian's and Ubuntu's names of them. Of the libraries that the built-in engine needs, slim images lack only these."""


def missing_library(words: str) -> str | None:
    """What to install, if these words say that a library is not there; None where they do not, or none is known."""
    found = _MISSING.search(words)
    package = PACKAGES.get(found["library"]) if found else None
    if found is None or package is None:
        return None
    install = f"apt-get install {package}"
    return f"the engine needs {found['library']}, which is not installed: run `{install}` on Debian or Ubuntu"
