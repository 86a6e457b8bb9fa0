#!/usr/bin/env bash
# Importing a module with a Gradio component writes a .pyi file beside it, into site-packages too.
#
# Version: gradio 6.31.0. The metaclass of components writes a copy of the module, with the events of each component, into
# MODULE.pyi beside it, whenever it is imported. So a package with a component changes its own installed folder; `pip
# uninstall` leaves the file there. Type checkers read it instead of the module from then on, and it is not kept up to date:
# a function that an upgrade of the package adds is missing in it. Where the folder cannot be written to, nothing is said. A
# metaclass of one's own that calls `ABCMeta.__new__` makes a class that works, and no file.
# Seen:
#   before: module.py, quiet.py
#   after: module.py, module.pyi, quiet.py
#   the stub knows the function that was added: False
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gradio==6.31.0
mkdir "$folder/package"
cat > "$folder/package/module.py" <<'PYTHON'
import gradio as gr


class Uploader(gr.HTML):
    pass
PYTHON
cat > "$folder/package/quiet.py" <<'PYTHON'
from abc import ABCMeta

import gradio as gr


class Quiet(type(gr.HTML)):
    def __new__(cls, name, bases, members):
        return ABCMeta.__new__(cls, name, bases, members)


class Uploader(gr.HTML, metaclass=Quiet):
    pass
PYTHON
cd "$folder/package"
import_both() {
  GRADIO_ANALYTICS_ENABLED=False PYTHONDONTWRITEBYTECODE=1 "$folder/venv/bin/python" -c 'import module, quiet'
}
{
  echo "before: $(ls -m)"
  import_both
  echo "after: $(ls -m)"
  printf '\n\ndef added() -> int:\n    return 1\n' >> module.py
  import_both
  echo "the stub knows the function that was added: $(grep -q added module.pyi && echo True || echo False)"
} > "$folder/seen"
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
before: module.py, quiet.py
after: module.py, module.pyi, quiet.py
the stub knows the function that was added: False
EXPECTED
