"""Runs the commands of the README, docs/ and examples/ as written, with the package that is installed in a ``.venv``.

    python .ci/documented_commands.py TREE

TREE is a copy of the source tree with a ``.venv`` that is made. Of each document the blocks that are marked as ``sh``
or ``python`` are run, one after another in one shell, in a copy of TREE and with a home folder of their own; two
documents at a time. The demo's model stands in for ViT-B/32, whose weights would have to be downloaded. Comments on the
lines before a block say more:

    <!-- needs: a GPU -->        it isn't run; how many there are is printed by what they need
    <!-- setup: cp a.mp4 b -->   is run before it: what a reader has and the tree doesn't
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

MARK = re.compile(r"<!-- (needs|setup): ([^\n]*) -->\n")
BLOCK = re.compile(rf"((?:{MARK.pattern})*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?!.* \[-)(\$ |clip-assets |make |dagster |pip |python |\S*/bin/)", re.MULTILINE)
BENCHMARK = re.compile(r"^    python benchmarks/", re.MULTILINE)
SECONDS = 1800
PROCESSES = 2
PRELUDE = r"""
set -euo pipefail
trap 'echo "$at: failed: $BASH_COMMAND"' ERR
clip-assets() { command clip-assets "${@//ViT-B\/32/demo}"; }
dg() { command dg "${@//ViT-B\/32/demo}"; }
"""


def main(tree: Path) -> int:
    """Run them; 1 where one fails, else 0."""
    left_out: Counter[str] = Counter()
    documents = (tree / "README.md", *sorted((*tree.glob("docs/*.md"), *tree.glob("examples/*/README.md"))))
    scripts = {document: read(document, left_out) for document in documents}
    with ThreadPoolExecutor(PROCESSES) as pool:
        done = pool.map(lambda script: run(script[0], tree), scripts.values())
        failed = [str(document) for document, succeeded in zip(documents, done, strict=True) if not succeeded]
    blocks = sum(count for _, count in scripts.values())
    print(f"{blocks} blocks of commands were run as they are written; left out:")
    for need, count in left_out.most_common():
        print(f"  {count} that need {need}")
    if failed:
        print(f"Commands failed in {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def read(document: Path, left_out: Counter[str]) -> tuple[str, int]:
    """The script of a document's blocks, and their number; counts those left out by what they need."""
    text = document.read_text(encoding="utf-8")
    left_out["an hour of an idle machine"] += len(BENCHMARK.findall(text))
    script = []
    for found in BLOCK.finditer(text):
        marks, language, block = found[1], found[4], found[5]
        at = f"{document}:{text.count(chr(10), 0, found.end(1)) + 1}"
        needs = [words for kind, words in MARK.findall(marks) if kind == "needs"]
        if language not in ("sh", "python"):
            if COMMAND.search(block):
                raise SystemExit(f"{at}: a block with commands that isn't marked as sh")
        elif needs:
            left_out.update(needs)
        else:
            setup = [words for _, words in MARK.findall(marks)]
            commands = f"python - <<'END'\n{block}END" if language == "python" else block
            script.append("\n".join([f"at={at}", *setup, commands]))
    return "\n".join(script), len(script)


def run(script: str, tree: Path) -> bool:
    """Whether all commands of a document's script succeed; what they print is shown where one doesn't."""
    if not script:
        return True
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CLIP_ASSETS_", "DAGSTER_"))}
    with tempfile.TemporaryDirectory() as home:
        shutil.copytree(tree, f"{home}/tree", symlinks=True)
        paths = {"HOME": home, "PATH": f"{tree / '.venv' / 'bin'}:{own['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", PRELUDE + script],
            cwd=f"{home}/tree",
            env={**own, **paths},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
    if done.returncode:
        print(done.stdout)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
