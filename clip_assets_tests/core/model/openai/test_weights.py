from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import patch

import clip
import fsspec
import pytest

from clip_assets.core.errors import ModelError
from clip_assets.core.model.file_digests import file_sha256
from clip_assets.core.model.openai import weights
from clip_assets.core.model.openai.family import openai_family
from clip_assets.core.model.openai.weights import OPENAI_URLS, ensure_weights, find_weights

CONTENT = b"weights" * 300_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclass
class Publisher:
    """A server on loopback that publishes one file; what it sends and promises can be changed."""

    body: bytes = CONTENT
    promised_length: int = len(CONTENT)
    status: int = 200
    requests: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def urls(self) -> dict[str, str]:
        return {"tiny": f"http://127.0.0.1:{self.port}/models/{SHA256}/tiny.pt"}


@pytest.fixture
def publisher(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    published = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            published.requests.append(self.path)
            self.send_response(published.status)
            self.send_header("Content-Length", str(published.promised_length))
            self.end_headers()
            self.wfile.write(published.body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        published.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield published
        server.shutdown()
        thread.join()


def test_names_and_urls_are_those_of_openais_package():
    assert dict(OPENAI_URLS) == clip.clip._MODELS


def test_checkpoint_beside_a_named_model_is_refused_not_ignored(tmp_path):
    with pytest.raises(ModelError, match=r"mine\.pth.*'custom'"):
        find_weights("ViT-B/32", {}, checkpoint=tmp_path / "mine.pth", folder=tmp_path)


def test_custom_checkpoint_defaults_to_a_path_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "models" / "clip" / "checkpoints" / "CLIP-custom.pth"
    with pytest.raises(ModelError) as caught:
        find_weights("custom", {}, folder=tmp_path)
    assert str(path) in str(caught.value)
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_weights("custom", {}, folder=tmp_path) == path


def test_a_bundled_model_is_read_from_its_file(tmp_path):
    path = tmp_path / "tiny.pth"
    family = openai_family({"tiny": path})
    assert family.knows("tiny")
    assert "tiny" in family.model_names
    with pytest.raises(ModelError, match=r"tiny\.pth.*install that again"):
        family.sha256("tiny", None)
    path.write_bytes(b"1")
    assert find_weights("tiny", {"tiny": path}, folder=tmp_path) == path
    assert family.sha256("tiny", None) == hashlib.sha256(b"1").hexdigest()
    assert family.is_here("tiny", tmp_path)
    with pytest.raises(ModelError, match=r"mine\.pth.*'custom'"):
        family.sha256("tiny", tmp_path / "mine.pth")


def test_download_happens_once_and_leaves_only_the_file(tmp_path, publisher, capfd):
    folder = tmp_path / "new" / "folder"
    path = ensure_weights("tiny", folder, publisher.urls)
    assert path == folder / "tiny.pt"
    assert path.read_bytes() == CONTENT
    assert ensure_weights("tiny", folder, publisher.urls) == path
    assert publisher.requests == [f"/models/{SHA256}/tiny.pt"]
    assert list(folder.iterdir()) == [path]
    output = capfd.readouterr()
    assert "tiny.pt: 100%" in output.err
    assert output.out == ""


def test_download_whose_connection_breaks_is_an_error_and_leaves_nothing(tmp_path, publisher):
    publisher.body = CONTENT[: len(CONTENT) // 2]
    with pytest.raises(ModelError, match=str(len(CONTENT) // 2)) as caught:
        ensure_weights("tiny", tmp_path / "folder", publisher.urls)
    assert "Try again" in str(caught.value)
    assert list((tmp_path / "folder").iterdir()) == []
    publisher.body = CONTENT
    assert ensure_weights("tiny", tmp_path / "folder", publisher.urls).read_bytes() == CONTENT


def test_download_with_other_content_is_an_error_and_leaves_nothing(tmp_path, publisher):
    publisher.body = CONTENT[::-1]
    with pytest.raises(ModelError, match=SHA256):
        ensure_weights("tiny", tmp_path / "folder", publisher.urls)
    assert list((tmp_path / "folder").iterdir()) == []


def test_file_that_is_there_with_other_content_is_reported_not_replaced(tmp_path, publisher):
    (tmp_path / "tiny.pt").write_bytes(b"a model of my own")
    with pytest.raises(ModelError, match=f"(?s)tiny.pt is not OpenAI's tiny.*{SHA256}.*Delete"):
        ensure_weights("tiny", tmp_path, publisher.urls)
    assert (tmp_path / "tiny.pt").read_bytes() == b"a model of my own"
    assert publisher.requests == []


def test_a_folder_at_a_url_is_asked_instead_of_the_publisher_once_and_its_file_checked(publisher):
    bucket = fsspec.filesystem("memory")
    bucket.pipe_file("/published/tiny.pt", CONTENT)
    bucket.pipe_file("/forged/tiny.pt", b"other")
    path = ensure_weights("tiny", "memory://published", publisher.urls)
    bucket.rm_file("/published/tiny.pt")
    assert ensure_weights("tiny", "memory://published/", publisher.urls) == path
    assert path.read_bytes() == CONTENT
    with pytest.raises(ModelError, match=r"memory://forged/tiny.pt is not OpenAI's tiny.*Delete /.*tiny.pt to have it"):
        ensure_weights("tiny", "memory://forged", publisher.urls)
    assert publisher.requests == []
    signed = patch("clip_assets.core.model.openai.weights.local_weights", side_effect=ModelError("no such file"))
    with signed as asked, pytest.raises(ModelError):
        ensure_weights("tiny", "https://host/weights/?signature=1", publisher.urls)
    asked.assert_called_once_with("https://host/weights/tiny.pt?signature=1")


def test_http_error_says_what_the_server_said(tmp_path, publisher):
    publisher.status = 403
    with pytest.raises(ModelError, match="403"):
        ensure_weights("tiny", tmp_path, publisher.urls)


def test_offline_error_says_which_file_to_fetch_from_where_and_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    url = f"http://127.0.0.1:9/models/{SHA256}/tiny.pt"
    with pytest.raises(ModelError) as caught:
        ensure_weights("tiny", tmp_path, {"tiny": url})
    assert f"Fetch tiny.pt (SHA-256 {SHA256}) from {url}" in str(caught.value)
    assert f"put it at {tmp_path / 'tiny.pt'}" in str(caught.value)


def test_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path, publisher):
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="can't be downloaded"):
        ensure_weights("tiny", tmp_path / "file", publisher.urls)


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the files that were really read to be hashed."""
    names = []
    digest = hashlib.file_digest

    def record(file, algorithm):
        names.append(Path(file.name).name)
        return digest(file, algorithm)

    monkeypatch.setattr(weights.hashlib, "file_digest", record)
    return names


def test_file_is_hashed_once_until_it_changes(tmp_path, hashed):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    for _ in range(2):
        assert file_sha256(one) == hashlib.sha256(b"1").hexdigest()
        assert file_sha256(two) == hashlib.sha256(b"2").hexdigest()
    assert hashed == ["one", "two"]
    one.write_bytes(b"3")
    os.utime(one, ns=(1, 1))
    assert file_sha256(one) == hashlib.sha256(b"3").hexdigest()
    assert hashed == ["one", "two", "one"]


def test_hash_is_right_where_nothing_can_be_remembered(tmp_path, monkeypatch, hashed):
    path = tmp_path / "one"
    path.write_bytes(b"1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))
    for _ in range(2):
        assert file_sha256(path) == hashlib.sha256(b"1").hexdigest()
    assert hashed == ["one", "one"]


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null"])
def test_damaged_memory_of_hashes_is_replaced(tmp_path, cache_folder, damage):
    path = tmp_path / "one"
    path.write_bytes(b"1")
    file_sha256(path)
    (memory,) = (cache_folder / "clip_assets").iterdir()
    memory.write_text(damage)
    assert file_sha256(path) == hashlib.sha256(b"1").hexdigest()
    assert json.loads(memory.read_text())[str(path)]["size"] == 1


def test_hash_of_a_missing_file_is_an_error_of_ours(tmp_path):
    with pytest.raises(ModelError, match="nowhere"):
        file_sha256(tmp_path / "nowhere")
