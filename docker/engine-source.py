"""Fetches llama.cpp's source: it is part of the pinned xllamacpp sdist, whose address and checksum stand in uv.lock.

python3 engine-source.py uv.lock FOLDER
"""

import hashlib
import io
import sys
import tarfile
import tomllib
import urllib.request
from pathlib import Path, PurePosixPath

PACKAGE = "xllamacpp"
INSIDE = PurePosixPath("thirdparty/llama.cpp")


def main(lock: Path, folder: Path) -> None:
    """Write the source into the folder, and what it is into its file REVISION."""
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    package = next(entry for entry in packages if entry["name"] == PACKAGE)
    address = package["sdist"]["url"]
    with urllib.request.urlopen(address) as response:  # noqa: S310 - from the lock
        content = response.read()
    checksum = "sha256:" + hashlib.sha256(content).hexdigest()
    if checksum != package["sdist"]["hash"]:
        sys.exit(f"{address} has the checksum {checksum}; uv.lock says {package['sdist']['hash']}. Fetch it again.")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if path.is_relative_to(INSIDE):
                member.name = str(path.relative_to(INSIDE))
                archive.extract(member, folder)  # safe: the checksum fits
    (folder / "REVISION").write_text(f"b{package['version'].rpartition('.')[2]} ({PACKAGE} {package['version']})\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
