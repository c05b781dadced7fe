"""What the first question would wait for is done before it, and told until then."""

from __future__ import annotations

import threading

from clip_assets.browse.app import create_app
from clip_assets.browse.readiness import Readiness
from clip_assets.core.errors import ModelError
from clip_assets.settings import Settings
from clip_assets_tests.browse.client import Client


def after(prepare) -> str:
    readiness = Readiness(prepare)
    readiness.begin().join()
    return readiness.told


def test_it_says_that_the_model_is_loading_until_it_is():
    go_on = threading.Event()
    readiness = Readiness(lambda: go_on.wait())
    assert readiness.told == ""
    thread = readiness.begin()
    assert "is being loaded" in readiness.told
    go_on.set()
    thread.join()
    assert readiness.told == ""


def test_it_says_why_the_first_question_will_take_long_or_fail():
    def fail() -> bool:
        raise ModelError("the weights are broken")

    assert "aren't on this machine" in after(lambda: False)
    assert after(fail) == "the weights are broken"


def test_the_server_prepares_once_it_starts_and_the_first_page_tells_it(demo_library, monkeypatch):
    go_on, began = threading.Event(), threading.Event()

    def prepare(_: object) -> bool:
        began.set()
        return go_on.wait()

    monkeypatch.setattr("clip_assets.asking.library.Library.prepare", prepare)
    app = create_app(Settings(output=str(demo_library / "output"), videos=demo_library / "videos", device_ids="cpu"))
    client = Client(app)
    assert "is being loaded" not in client.get("/").text
    client.start()
    assert began.wait(60)
    assert "is being loaded" in client.get("/").text
    go_on.set()
