"""docs/configuration.md, written from the declarations. It depends on nothing but the code."""

from itertools import groupby

from podworker.configuration.declarations import Declaration, declarations
from podworker.configuration.settings import Settings
from podworker.configuration.sources import FILE_NAME, FILE_VARIABLE

_OPENING = f"""\
# Configuration

<!-- Generated. Change the declarations in src/podworker/configuration/declared/, then run
     podworker config --markdown > docs/configuration.md -->

A setting takes the first value found in this order:

1. an argument of the command or function, such as `load_settings(slots=4)`;
2. the environment variable of the setting's name in upper case, such as `SLOTS=4`; an empty variable counts as unset;
3. the file `{FILE_NAME}` in the current directory, or the file that the variable `{FILE_VARIABLE}` names, with the
   setting's name in lower case;
4. the default.

A small `{FILE_NAME}`:

```toml
model = "/runpod-volume/models/qwen3-8b-q4_k_m.gguf"
context_length = 16384
slots = 4
log_level = "debug"
```

`podworker config` shows the value of each setting in effect and where it came from. The worker does not start with an
invalid setting; it names all that are invalid at once. A setting without a value is shown as *unset*.
"""


def markdown() -> str:
    """The whole page."""
    parts = [_OPENING]
    for group, members in groupby(declarations(Settings).values(), key=lambda declaration: declaration.group):
        parts.append(f"\n## {group}\n\n| Setting | Allowed | Default | Meaning |\n|---|---|---|---|\n")
        parts += [_row(declaration) for declaration in members]
    return "".join(parts)


def _row(declaration: Declaration) -> str:
    default = "*unset*" if declaration.default is None else f"`{declaration.default}`"
    cells = (f"`{declaration.variable}`", declaration.allowed, default, declaration.description)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
