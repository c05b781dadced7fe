"""What an export's folder says of itself: a dataset card, which people and the Hub of Hugging Face read."""

from __future__ import annotations

from clip_assets.core.export.table import Column, Table, of_videos, size_in_words

_HEAD = """---
configs:
- config_name: default
  data_files: "data/*"
---"""

_READ = {
    "parquet": """```python
from datasets import load_dataset

rows = load_dataset("parquet", data_files="data/*.parquet", split="train")
```

```sql
SELECT key, count(*) FROM 'data/*.parquet' GROUP BY key;  -- in DuckDB
```""",
    "webdataset": """A row is a sample: a `.npy` for its vector, and `.json` with all else.

```python
import glob

import webdataset

samples = webdataset.WebDataset(sorted(glob.glob("data/*.tar")), shardshuffle=False).decode()
```""",
    "hdf5": """In `videos` stand the `key` of each video, its `first` row in that file and its number of `rows`.

```python
import h5py

with h5py.File("data/{what}-00000.h5") as file:
    first, rows = file["videos/first"][0], file["videos/rows"][0]
    times = file["{time}"][first : first + rows]
```""",
    "csv": """```python
import pandas

rows = pandas.read_csv("data/{what}-00000.csv")
```""",
}
_ROW_OF = {"features": "sampled frame", "probabilities": "sampled frame", "shots": "shot", "moments": "moment"}


def card_of(table: Table, format_name: str, videos: int, rows: int, size: int) -> str:
    """The card of an export: in its head what `datasets.load_dataset(FOLDER)` reads, then words."""
    columns = [f"| `{column.name}` | {_type(column)} | {column.meaning} |" for column in table.columns]
    about = [f"- {name.replace('_', ' ')}: `{value}`" for name, value in table.about.items()]
    labels = [f"{place}. {label}" for column in table.columns for place, label in enumerate(column.labels)]
    parts = [
        "" if format_name == "hdf5" else _HEAD,  # it reads no HDF5 with groups
        f"# CLIP {table.what}",
        f"{rows:,} rows{of_videos(videos)}, {size_in_words(size)}: a row for each {_ROW_OF[table.what]}.",
        "\n".join(about),
        "\n".join(["| column | type | meaning |", "|---|---|---|", *columns]),
        *(["The numbers of a cell are of, in order:\n\n" + "\n".join(labels)] if labels else []),
        _READ[format_name].format(what=table.what, time=next(c.name for c in table.columns if c.name.endswith("_ms"))),
        "Made by clip_assets. `shards/` says which version of which video each file holds.",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _type(column: Column) -> str:
    plain = "string" if column.dtype == "str" else column.dtype
    return plain if column.width is None else f"{plain}[{column.width}]"
