"""The search: what a question costs in a large library, and whether its moments are the right ones.

    python benchmarks/search.py [--parts library quality scale] [--rows 1000000] [--json]

Features are made: 512 wide, correlated in time, around directions ("concepts") at random. `library` stores videos of
300 rows, and asks; `quality` knows where each concept is shown; `scale` fills the cache of 100,000 videos alone. Times
are CPU time, of all threads.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from clip_assets.core.digests import digest
from clip_assets.core.library.fingerprints import fingerprint
from clip_assets.core.library.folder import Folder
from clip_assets.core.records import ClipFeatures, Shots, SourceStat
from clip_assets.core.search.ask import StoredRows, ask
from clip_assets.core.search.cache import ShotCache
from clip_assets.core.search.entries import Entry
from clip_assets.core.search.index import IndexedVideo, ShotIndex
from clip_assets.core.search.search import Wanted, search
from clip_assets.core.search.texts import TextCache
from clip_assets.core.search.upkeep import FEATURES, Upkeep
from clip_assets.core.shots import find_shots, row_edges, shot_parameters
from clip_assets.core.store import Store
from clip_assets.core.user_cache import user_cache_folder
from clip_assets.default_texts import default_texts
from clip_assets.models import model_sha256

WIDTH, ROWS_OF_VIDEO = 512, 300
MODEL = "ViT-B/32"
WEIGHTS = model_sha256(MODEL)
NOISE = np.random.default_rng(11).standard_normal((20_000, WIDTH)).astype(np.float32) / WIDTH**0.5
Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts: dict[str, Callable[[argparse.Namespace], Figures]] = {"library": library, "quality": quality, "scale": scale}
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the library")
    parser.add_argument("--videos", type=int, default=100_000, help="of the cache alone")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: Figures = {}
    for name in arguments.parts:
        figures |= parts[name](arguments)
    if arguments.json:
        print(json.dumps(figures, indent=1))
    else:
        for name, figure in figures.items():
            print(f"{name:<64} {figure:.4g}")


def library(arguments: argparse.Namespace) -> Figures:
    """A stored library: questions, exactness, changes, whole processes, and the cache's size."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        count = arguments.rows // ROWS_OF_VIDEO
        store, concepts = store_videos(Path(folder), count)
        upkeep = Upkeep(ShotCache(Path(folder) / "shots"), store, Folder(Path(folder) / "videos"))
        figures: Figures = {"rows": count * ROWS_OF_VIDEO, "videos": count}
        figures["cache made anew, CPU s"] = cpu(upkeep.refresh)
        figures["cache compared, nothing new, CPU ms"] = 1000 * cpu(upkeep.refresh)
        figures["shots"] = float((upkeep.cache.index(WEIGHTS).owner >= 0).sum())
        cached = sum(path.stat().st_size for path in (Path(folder) / "shots").iterdir())
        figures["cache / features, %"] = 100 * cached / (count * ROWS_OF_VIDEO * WIDTH * 4)
        figures |= questions(store, upkeep, concepts, arguments.questions)
        figures |= changes(store, upkeep, concepts, Path(folder))
        figures |= processes(Path(folder), concepts)
    return figures


def questions(store: Store, upkeep: Upkeep, concepts: np.ndarray, count: int) -> Figures:
    """The two stages against all rows."""
    index = upkeep.cache.index(WEIGHTS)
    rows = np.concatenate([StoredRows(store)(video, [(0, video.rows)])[0] for video in index.videos])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    random = np.random.default_rng(7)
    asked = [unit(concepts[number] + 0.3 * direction(random)) for number in range(count)]
    two_stages, exact, recalls, firsts = [], [], [], []
    reader = StoredRows(store)
    for vector in asked:  # once, to be warm
        ask(upkeep, reader, WEIGHTS, Wanted(vector))
    for vector in asked:
        two_stages.append(cpu(lambda vector=vector: ask(upkeep, reader, WEIGHTS, Wanted(vector))))
        single = vector.astype(np.float32)
        exact.append(cpu(lambda single=single: best_rows(rows, single)))
        read: set[int] = set()
        answer = search(index, noting(StoredRows(store), index, read), Wanted(vector))
        best = best_rows(rows, single)
        recalls.append(len(read & set(best.tolist())) / len(best))
        firsts.append(max(moment.score for moment in answer.moments) >= float(rows[best[0]] @ single) - 1e-5)
    return {
        "question, second stage included, CPU ms": 1000 * median(two_stages),
        "exact numpy over all rows, CPU ms": 1000 * median(exact),
        "question / exact": median(two_stages) / median(exact),
        "recall@10 of rows": float(np.mean(recalls)),
        "first hit": float(np.mean(firsts)),
    }


def changes(store: Store, upkeep: Upkeep, concepts: np.ndarray, folder: Path) -> Figures:
    """One video changed, one removed: until the next question can be asked; and whether answers are right after."""
    random = np.random.default_rng(8)
    changed, removed = [], []
    for number in range(5):
        key = f"{number:05}.mp4"
        store_video(store, folder, key, video_of(concepts, random))
        changed.append(cpu(lambda key=key: (upkeep.confirm([key]), upkeep.cache.index(WEIGHTS))))
        gone = f"{number + 5:05}.mp4"
        (folder / "videos" / gone).unlink()
        removed.append(cpu(lambda gone=gone: (upkeep.confirm([gone]), upkeep.cache.index(WEIGHTS))))
    fresh = Upkeep(ShotCache(folder / "fresh"), store, Folder(folder / "videos"))
    fresh.refresh()
    equal = [
        told(ask(one, StoredRows(store), WEIGHTS, Wanted(vector)) for one in (upkeep, fresh))
        for vector in concepts[:10]
    ]
    return {
        "one video changed, CPU ms": 1000 * median(changed),
        "one video removed, CPU ms": 1000 * median(removed),
        "answers as of a cache built anew": float(np.mean(equal)),
    }


def processes(folder: Path, concepts: np.ndarray) -> Figures:
    """`clip-assets find` of a sentence that was asked before, as a whole process."""
    sentences = ["a dog smiles", *default_texts(MODEL)]
    random = np.random.default_rng(9)
    features = {sentence: direction(random).astype(np.float32) for sentence in sentences}
    features["a dog smiles"] = concepts[0].astype(np.float32)
    TextCache(user_cache_folder() / "texts.sqlite").put(WEIGHTS, 100.0, features)
    command = [sys.executable, "-m", "clip_assets.cli", "find", "a dog smiles"]
    environment = {**os.environ, "CLIP_ASSETS_OUTPUT": f"{folder}/output", "CLIP_ASSETS_VIDEOS": f"{folder}/videos"}

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    figures = {
        "find, the first time, the cache made, CPU s": once(),
        "find, the process, CPU s": median(once() for _ in range(3)),
    }
    small = folder / "small"
    small.mkdir()
    store_videos(small, 33)
    environment |= {"CLIP_ASSETS_OUTPUT": f"{small}/output", "CLIP_ASSETS_VIDEOS": f"{small}/videos"}
    once()
    figures["find in 10,000 rows, the process, CPU s"] = median(once() for _ in range(3))
    return figures


def quality(arguments: argparse.Namespace) -> Figures:
    """Whether the right moments are found: made clips, noise, sampling rates, an event inside a take."""
    clips = [Clip(number) for number in range(72)]
    figures = {"mAP at IoU 0.5: clean": mean_precision(clips, [10.0], 0.0, 0.0)}
    for name, rates in (("every frame", [10.0]), ("1 fps", [1.0]), ("rates mixed", [10.0, 5.0, 2.0, 1.0])):
        figures[f"mAP at IoU 0.5: noise, {name}"] = mean_precision(clips, rates, 1.2, 0.6)
    for cosine in (0.97, 0.95, 0.93):
        figures[f"event inside a take, cosine {cosine}"] = float(np.mean([finds_event(n, cosine) for n in range(40)]))
    return figures


def scale(arguments: argparse.Namespace) -> Figures:
    """The cache of very many videos: its start, a question's first stage, memory."""
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        block = np.array([direction(random) for _ in range(4096)], np.float16)
        cache = ShotCache(Path(folder) / "cache")
        for start in range(0, arguments.videos, 2000):
            cache.put(cached_video(number, block, random) for number in range(start, start + 2000))
        cache.close()
        program = (
            "import time; from pathlib import Path; import numpy as np\n"
            "from clip_assets.core.search.cache import ShotCache\n"
            "def own(): return int(Path('/proc/self/status').read_text().split('RssAnon:')[1].split()[0]) / 1024\n"
            "before, began = own(), time.process_time()\n"
            f"index = ShotCache(Path({folder!r}) / 'cache').index({WEIGHTS!r}); start = time.process_time() - began\n"
            "query = np.ones(512) / 512 ** 0.5; index.scores(query); began = time.process_time(); index.scores(query)\n"
            "print(start, own() - before, time.process_time() - began, (index.owner >= 0).sum())"
        )
        told_ = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
        start_seconds, memory, first_stage, shots = map(float, told_.split())
    return {
        "cache of videos": arguments.videos, "its shots": shots, "its start, CPU s": start_seconds,
        "its memory beside the mapped file, MiB": memory, "its first stage, CPU ms": 1000 * first_stage,
    }  # fmt: skip


class Clip:
    """A made clip of 8 shots of 1 to 3 s, each of another of 32 concepts, at 10 fps."""

    def __init__(self, number: int) -> None:
        random = np.random.default_rng(number)
        self.key = f"{number:02}.mp4"
        self.concepts = random.permutation(32)[:8]
        self.ends = np.cumsum(random.integers(10, 31, 8)) / 10

    def features(
        self, fps: float, concepts: np.ndarray, of_shot: float, of_frame: float
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Unit features with noise of those norms, their times in ms, and the end of the clip."""
        random = np.random.default_rng(int(self.key[:2]) + 1000)
        times = np.arange(0, self.ends[-1] - 1e-9, 0.1)
        shots = np.searchsorted(self.ends - 1e-9, times, side="right")
        noise = np.array([direction(random) for _ in self.ends])[shots] * of_shot
        noise += np.array([direction(random) for _ in times]) * of_frame
        rows = concepts[self.concepts[shots]] + noise
        kept = np.arange(0, len(times), round(10 / fps))
        units = rows[kept] / np.linalg.norm(rows[kept], axis=1, keepdims=True)
        return units, times[kept] * 1000, float(self.ends[-1]) * 1000


def mean_precision(clips: Sequence[Clip], rates: Sequence[float], of_shot: float, of_frame: float) -> float:
    """The mean over the concepts of the average precision of the moments found, at an IoU of 0.5."""
    random = np.random.default_rng(42)
    concepts = np.linalg.qr(random.standard_normal((WIDTH, 32)))[0].T
    made = {
        clip.key: clip.features(rates[number % len(rates)], concepts, of_shot, of_frame)
        for number, clip in enumerate(clips)
    }
    index, read = in_memory(made)
    precisions = []
    for concept in range(32):
        truth = {
            clip.key: [(1000 * ([0, *clip.ends][place]), 1000 * clip.ends[place])]
            for clip in clips
            for place in np.flatnonzero(clip.concepts == concept)
        }
        answer = search(index, read, Wanted(concepts[concept], top=100))
        found = []
        for moment in answer.moments:
            edges = row_edges(made[moment.video.key][1], moment.video.duration_ms)
            found.append((moment.video.key, edges[moment.first_row], edges[moment.last_row + 1]))
        precisions.append(average_precision(found, truth))
    return float(np.mean(precisions))


def average_precision(found: Sequence[tuple[str, float, float]], truth: dict[str, list[tuple[float, float]]]) -> float:
    """The mean of the precision at each true moment that is found, over all true moments."""
    left = {key: list(spans) for key, spans in truth.items()}
    total, hits, precision = sum(map(len, truth.values())), 0, 0.0
    for rank, (key, begin, end) in enumerate(found, start=1):
        match = next((span for span in left.get(key, []) if overlap(span, (begin, end)) >= 0.5), None)
        if match:
            left[key].remove(match)
            hits += 1
            precision += hits / rank
    return precision / total


def finds_event(number: int, cosine: float) -> bool:
    """Ten minutes at 1 fps of one scene, an object there for 20 s: whether its moment is the first one found."""
    random = np.random.default_rng(number)
    scene, thing = np.linalg.qr(random.standard_normal((WIDTH, 2)))[0].T
    begin = int(random.integers(30, 550))
    shown = cosine * scene + (1 - cosine**2) ** 0.5 * thing
    rows = np.repeat(scene[None], 600, axis=0)
    rows[begin : begin + 20] = shown
    rows += 0.1 * np.array([direction(random) for _ in rows])
    times = np.arange(600) * 1000.0
    index, read = in_memory({"take.mp4": (rows, times, 600_000.0)})
    (first,) = search(index, read, Wanted(thing, top=1)).moments
    edges = row_edges(times, 600_000.0)
    truth = (edges[begin], edges[begin + 20])
    return overlap(truth, (edges[first.first_row], edges[first.last_row + 1])) >= 0.5


def in_memory(videos: dict[str, tuple[np.ndarray, np.ndarray, float]]) -> tuple[ShotIndex, Callable]:
    """An index of features in memory, and the function that reads their rows."""
    indexed, blocks, start = [], [], 0
    for key, (rows, times, duration_ms) in videos.items():
        shots = find_shots(record_of(rows, times), duration_ms)
        blocks += [shots.video[None], shots.means]
        first_rows = shots.first_rows.astype(np.int32)
        indexed.append(IndexedVideo(key, key, "", len(rows), duration_ms, start, first_rows))
        start += 1 + len(shots.means)
    index = ShotIndex.of(tuple(indexed), np.concatenate(blocks).view(np.int16))
    kept = {key: rows.astype(np.float32) for key, (rows, _, _) in videos.items()}
    return index, lambda video, spans: [kept[video.key][first:end] for first, end in spans]


def store_videos(folder: Path, count: int) -> tuple[Store, np.ndarray]:
    """Store features and shots of made videos; the concepts that they show."""
    random = np.random.default_rng(0)
    concepts = np.array([direction(random) for _ in range(400)])
    store = Store(folder / "output")
    (folder / "videos").mkdir()
    for number in range(count):
        store_video(store, folder, f"{number:05}.mp4", video_of(concepts, random))
    return store, concepts


def video_of(concepts: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Features of scenes of 10 to 60 rows, each about a concept, drifting, with noise on each row."""
    scenes: list[np.ndarray] = []
    while sum(map(len, scenes)) < ROWS_OF_VIDEO:
        length = int(random.integers(10, 61))
        about = unit(concepts[random.integers(len(concepts))] + direction(random))
        drift = np.linspace(0, 0.4, length)[:, None] * direction(random)
        start = int(random.integers(len(NOISE) - length))
        scenes.append(about + drift + 0.25 * NOISE[start : start + length])
    return 10 * np.concatenate(scenes)[:ROWS_OF_VIDEO]


def store_video(store: Store, folder: Path, key: str, rows: np.ndarray) -> None:
    """Store a video's features and shots as the platform does; the video itself is a few bytes."""
    path = folder / "videos" / key
    path.write_text(f"{key} {rows[0, 0]}")
    stat = SourceStat(path.stat().st_size, path.stat().st_mtime_ns)
    made = {"source": fingerprint(path), "model_name": MODEL, "weights_sha256": WEIGHTS}
    features = record_of(rows, np.arange(len(rows)) * 1000.0)
    store.write(FEATURES, key, features, data_version=digest(made), parameters=made, source_stat=stat)
    of_shots = shot_parameters(made)
    shots = find_shots(features, 1000.0 * len(rows))
    store.write("shots", key, shots, data_version=digest(of_shots), parameters=of_shots, source_stat=stat)


def record_of(rows: np.ndarray, times: np.ndarray) -> ClipFeatures:
    """Features as the platform has them."""
    return ClipFeatures(rows.astype(np.float32), times, times, np.arange(len(rows)), 1.0, MODEL, WEIGHTS)


def cached_video(number: int, block: np.ndarray, random: np.random.Generator) -> Entry:
    """A video of 24 shots and 300 rows, as the cache takes it."""
    first = np.arange(24) * 12
    place = int(random.integers(len(block) - 25))
    times = np.zeros(24)
    shots = Shots(block[place : place + 24], first, first + 11, times, times, first, block[place + 24])
    key = f"{number:06}.mp4"
    return Entry(key, "0", key, MODEL, WEIGHTS, "0" * 64, SourceStat(1, 1), ROWS_OF_VIDEO, 300_000.0, shots)


def noting(rows: StoredRows, index: ShotIndex, read: set[int]) -> Callable:
    """A reader that notes which rows it reads, counted over all videos of the index."""
    starts = dict(
        zip((video.key for video in index.videos), np.cumsum([0, *(v.rows for v in index.videos)]), strict=False)
    )

    def reader(video: IndexedVideo, spans: Sequence[tuple[int, int]]) -> list[np.ndarray]:
        for first, end in spans:
            read.update(range(starts[video.key] + first, starts[video.key] + end))
        return rows(video, spans)

    return reader


def told(answers: Iterator) -> bool:
    """Whether two answers are the same."""
    one, other = ([(m.video.key, m.first_row, m.last_row, round(m.score, 5)) for m in a.moments] for a in answers)
    return one == other


def best_rows(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The ten rows with the highest scores, the best first."""
    scores = rows @ vector
    best = np.argpartition(scores, len(scores) - 10)[-10:]
    return best[np.argsort(-scores[best])]


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Intersection over union of two stretches of time."""
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0])) / (max(one[1], other[1]) - min(one[0], other[0]))


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector with norm 1."""
    return vector / np.linalg.norm(vector)


def direction(random: np.random.Generator) -> np.ndarray:
    """A random direction."""
    return unit(random.standard_normal(WIDTH))


def cpu(action: Callable[[], object]) -> float:
    """CPU seconds of an action, of all threads."""
    began = time.process_time()
    action()
    return time.process_time() - began


if __name__ == "__main__":
    main()
