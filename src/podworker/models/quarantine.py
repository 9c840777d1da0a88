"""Bad files: moved to where nobody loads them, and kept for a look until room is needed."""

import logging
import os
from pathlib import Path

from podworker.models.folders import children, discard
from podworker.models.integrity import Condition, file_condition
from podworker.models.layout import Layout
from podworker.models.partials import Workplace
from podworker.models.records import RECORD_NAME, read_record

logger = logging.getLogger(__name__)


def set_aside(layout: Layout, name: str, path: Path) -> None:
    """Move a bad file or folder to where nobody loads it, in place of the last bad one of this model.

    Raises:
        OSError: It cannot be moved.
    """
    layout.set_aside.mkdir(parents=True, exist_ok=True)
    for older in layout.set_aside.glob(f"{name}.*"):
        discard(older)
    path.rename(layout.set_aside / f"{name}.{os.urandom(4).hex()}")


def salvage(layout: Layout, name: str, place: Workplace) -> None:
    """Take a damaged model out of use: its good files go to the one who fetches the others, the bad are set aside.

    Raises:
        OSError: They cannot be moved.
    """
    folder = place.folder / "damaged"
    layout.model(name).rename(folder)
    record = read_record(folder)
    for file in record.files if record else ():
        if file_condition(folder, file) is Condition.UNTOUCHED:
            place.take(folder / file.name, file.name, file.sha256)
    if any(path.name != RECORD_NAME for path in children(folder)):
        set_aside(layout, name, folder)
        logger.warning(
            "The model %s in the store is not what was verified: its bad files were moved to %s", name, layout.set_aside
        )
    else:  # they are missing
        discard(folder)
