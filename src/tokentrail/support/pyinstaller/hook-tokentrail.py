"""What a frozen program needs of tokentrail: all modules, encodings, dashboards and metadata."""

from __future__ import annotations

from PyInstaller.utils.hooks import collect_data_files, collect_submodules, copy_metadata

hiddenimports = collect_submodules("tokentrail")
datas = [*collect_data_files("tokentrail"), *copy_metadata("tokentrail"), *copy_metadata("openai")]
