"""tuspyserver, set up as its documentation says. The folder comes from the environment."""

import os

from fastapi import FastAPI
from tuspyserver import create_tus_router

app = FastAPI()
app.include_router(create_tus_router(prefix="files", files_dir=os.environ["BENCH_DATA"]))
