"""What an export's folder says of itself: a dataset card, which people and the Hub of Hugging Face read."""

from __future__ import annotations

from clip_assets.core.export.table import Column, Table, of_videos, size_in_words

CARD = "README.md"

_READ = {
    "parquet": """```python
from datasets import load_dataset

rows = load_dataset("parquet", data_files="{what}-*.parquet", split="train")
```

```sql
SELECT key, count(*) FROM '{what}-*.parquet' GROUP BY key;  -- in DuckDB
```""",
}


def card_of(table: Table, format_name: str, videos: int, rows: int, size: int) -> str:
    """The card of an export: in its head what `datasets.load_dataset(FOLDER)` reads, then words."""
    columns = [f"| `{column.name}` | {_type(column)} | {column.meaning} |" for column in table.columns]
    about = [f"- {name.replace('_', ' ')}: `{value}`" for name, value in table.about.items()]
    labels = [f"{place}. {label}" for column in table.columns for place, label in enumerate(column.labels)]
    parts = [
        f"""---
configs:
- config_name: default
  data_files: "{table.what}-*"
---""",
        f"# CLIP {table.what}",
        f"{rows:,} rows{of_videos(videos)}, {size_in_words(size)}: a row for each {_ROW_OF[table.what]}.",
        "\n".join(about),
        "\n".join(["| column | type | meaning |", "|---|---|---|", *columns]),
        *(["The numbers of a cell are of, in order:\n\n" + "\n".join(labels)] if labels else []),
        _READ[format_name].format(what=table.what),
        "Made by clip_assets. `shards/` says which version of which video each file holds.",
    ]
    return "\n\n".join(parts) + "\n"


_ROW_OF = {"features": "sampled frame", "probabilities": "sampled frame", "shots": "shot", "moments": "moment"}


def _type(column: Column) -> str:
    plain = "string" if column.dtype == "str" else column.dtype
    return plain if column.width is None else f"{plain}[{column.width}]"
