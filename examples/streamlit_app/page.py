"""The page: an uploader, and what has arrived."""

import hashlib
from pathlib import Path

import streamlit as st
from wherry.streamlit import wherry_upload

import library


@st.cache_data
def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


st.title("Videos")
user = st.user.get("email") or "anonymous"  # with st.login, each user has files of their own
files = wherry_upload(
    "/api",
    accept="video/*",
    multiple=True,
    headers={"Authorization": f"Bearer {library.token_for(user)}"},
)
for file in files:
    path = library.path_of(file.id, user)
    if path is not None:
        st.text(f"{file.filename}: {path.stat().st_size:,} bytes, SHA-256 {sha256_of(path)}")
