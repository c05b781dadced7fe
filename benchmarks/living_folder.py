"""The living folder's scenario and crashes at random moments, many times over: does every round end as it must?

    python -m benchmarks.living_folder [--rounds 10] [--only scenario] [--seed 0] [--json]

Each round runs a real `dagster dev` in a temporary home: once through the scenario of `test_living_folder`, and once
for each kind of crash (the code server, the daemon, the run, everything) in the middle of a batch of 40 videos.
"""

import argparse
import functools
import json
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from clip_assets_tests.making.server import DagsterServer
from clip_assets_tests.orchestration.test_living_folder import Folder, crash_and_recover, cut_the_power, live

COMMANDS = {"code server": "dagster api grpc", "daemon": "dagster._daemon", "run": "multiprocessing.spawn"}


def kill(command: str, server: DagsterServer) -> None:
    """Kill those of the server's processes whose command holds this text."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,args="], capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        pid, group, arguments = line.split(None, 2)
        if int(group) == server.process_group and command in arguments:
            os.kill(int(pid), signal.SIGKILL)


def scenarios(rng: random.Random) -> dict[str, Callable[[Folder], None]]:
    """What a round runs, by name."""
    kinds: dict[str, Callable[[DagsterServer], None]] = {
        **{name: functools.partial(kill, command) for name, command in COMMANDS.items()},
        "everything": cut_the_power,
    }
    crashes = {
        f"crash of {name}": functools.partial(crash_and_recover, kill=how, after=rng.randint(1, 35))
        for name, how in kinds.items()
    }
    return {"scenario": live, **crashes}


def main() -> None:
    """Run the rounds; print and save what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", help="a part of the name of what to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    results = []
    for number in range(arguments.rounds):
        for name, run in scenarios(rng).items():
            if arguments.only and arguments.only not in name:
                continue
            began, problem = time.monotonic(), ""
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                try:
                    run(Folder(Path(folder)))
                except AssertionError as error:
                    problem = str(error) or "an assertion failed"
            seconds = round(time.monotonic() - began, 1)
            results.append({"round": number, "name": name, "seconds": seconds, "problem": problem})
            print(f"round {number}, {name}: {problem or 'as it must'} ({seconds} s)", flush=True)
    if arguments.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
