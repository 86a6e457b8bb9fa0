"""tussi, set up as its documentation says. The folder comes from the environment."""

import os
from pathlib import Path

from tussi import FilesystemStorage, TUSApp

data = Path(os.environ["BENCH_DATA"])
(data / "uploads").mkdir(parents=True, exist_ok=True)
app = TUSApp(
    storage=FilesystemStorage(directory=data / "uploads"), completed_dir=data / "completed"
)
