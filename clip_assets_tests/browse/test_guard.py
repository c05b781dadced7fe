"""Who may see the pages: hosts, other sites, the token; hostile keys; what each answer forbids the browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_assets.browse.app import create_app
from clip_assets.settings import Settings
from clip_assets_tests.browse.client import Client

TOKEN = "right"
KINDS = ("video", "picture", "stored", "media", "stretch")


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with a file beside it that nobody may read, and a video that has no result."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "videos").mkdir()
    (folder / "secret.mp4").write_bytes(b"secret")
    (folder / "videos" / "unknown.mp4").write_bytes(b"secret")
    return folder


def made(folder: Path, **given: object) -> Client:
    return Client(create_app(Settings(output=str(folder / "output"), videos=folder / "videos"), **given))


@pytest.fixture(scope="module")
def client(secret: Path) -> Client:
    return made(secret)


@pytest.mark.parametrize("address", ["/", "/videos", "/nothing", "/static/browse.css", "/media/x.mp4", "/search?top=x"])
def test_every_answer_says_what_a_browser_may_do_with_it(client: Client, address: str) -> None:
    headers = client.get(address).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"


def test_no_page_needs_what_its_policy_forbids(client: Client) -> None:
    for address in ("/", "/videos", "/search?q=a", "/nothing"):
        page = client.get(address).text
        assert "http://" not in page
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick" not in page


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "127.0.0.1@evil.example"])
def test_a_server_that_is_called_by_a_foreign_name_refuses(client: Client, host: str) -> None:
    assert client.get("/", host=host).status == 403


@pytest.mark.parametrize("host", ["localhost:3001", "127.0.0.1", "[::1]:3001", "LOCALHOST"])
def test_this_machines_names_are_allowed(client: Client, host: str) -> None:
    assert client.get("/", host=host).status == 200


def test_another_name_is_allowed_on_request(secret: Path) -> None:
    assert made(secret, hosts=["box.example"]).get("/", host="box.example:3001").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_site_gets_nothing_but_a_page_that_a_link_leads_to(client: Client, site: str) -> None:
    assert client.get("/", sec_fetch_site=site).status == 403
    assert client.get("/", sec_fetch_site=site, sec_fetch_mode="no-cors", sec_fetch_dest="image").status == 403
    assert client.get("/", sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="iframe").status == 403
    assert client.get("/", sec_fetch_site=site, sec_fetch_mode="navigate", sec_fetch_dest="document").status == 200
    follows = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert client.upload("/search", b"x", **follows).status == 403
    for kind in ("media", "stretch", "picture", "stored"):
        assert client.get(f"/{kind}/a.mp4", **follows).status == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "post"])
def test_nothing_but_reading_and_posting_a_picture_is_understood(client: Client, method: str) -> None:
    answer = client.send(method, "/search", b"", content_length="0")
    assert answer.status == 405
    assert "content-security-policy" in answer.headers
    assert client.send("POST", "/video/a.mp4", b"", content_length="0").status == 405


def test_a_form_of_another_site_is_refused_by_its_origin(client: Client) -> None:
    assert client.upload("/search", b"x", origin="http://evil.example").status == 403
    assert client.upload("/search", b"x", origin="null").status == 403
    assert client.upload("/search", b"x", origin="http://127.0.0.1:3001").status == 400
    assert client.upload("/search", b"x", origin="null", sec_fetch_site="same-origin").status == 400


def test_a_token_is_asked_for_once_and_becomes_a_cookie(secret: Path) -> None:
    client = made(secret, token=TOKEN)
    assert client.get("/").status == 403
    assert client.get("/?token=wrong").status == 403
    assert client.get("/static/browse.css").status == 403
    answer = client.get(f"/search?q=a%20dog&token={TOKEN}")
    assert answer.status == 303
    assert answer.headers["location"] == "/search?q=a+dog"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert client.get("/", cookie=cookie.partition(";")[0]).status == 200
    assert client.get("/", cookie="clip_assets_session=guess").status == 403


def test_the_token_leads_to_no_other_site(secret: Path) -> None:
    location = made(secret, token=TOKEN).get(f"//evil.example/?token={TOKEN}").headers["location"]
    assert location.startswith("/")
    assert not location.startswith("//")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key",
    [
        "../secret.mp4", "..%2fsecret.mp4", "%2e%2e/secret.mp4", "/etc/passwd", "%2fetc%2fpasswd", "unknown.mp4", "",
        "a/../../secret.mp4", "..", ".", "%00", "a%00.mp4", "%ff%fe", "a" * 5000, "con", "%5c..%5csecret.mp4",
    ],
)  # fmt: skip
def test_a_hostile_key_is_not_found(client: Client, kind: str, key: str) -> None:
    answer = client.get(f"/{kind}/{key}")
    assert answer.status == 404
    assert b"secret\n" not in answer.body
    assert answer.body != b"secret"


@settings(max_examples=60, deadline=None)
@given(kind=st.sampled_from(KINDS), key=st.text(max_size=40), query=st.text(max_size=20))
def test_whatever_key_is_asked_for_nothing_breaks(client: Client, kind: str, key: str, query: str) -> None:
    encoded = quote(key.encode("utf-8", "surrogatepass"))
    words = quote(query.encode("utf-8", "surrogatepass"))
    answer = client.get(f"/{kind}/{encoded}?t={words}&from={words}&asset={words}&name={words}")
    assert answer.status in (400, 404)


@pytest.mark.parametrize("name", ["manifest.json", "clip.npy", "../../secret.mp4", "%2e%2e/manifest.json", ""])
def test_of_what_is_stored_only_pictures_are_sent(demo_library: Path, name: str) -> None:
    client = Client(create_app(Settings(output=str(demo_library / "output"), videos=demo_library / "videos")))
    assert client.get(f"/stored/shapes.mp4?asset=clip_features&name={name}").status == 404
    assert client.get(f"/stored/shapes.mp4?asset=..&name={name}").status == 404


def test_static_files_stay_in_their_folder(client: Client) -> None:
    for path in ("../app.py", "..%2fapp.py", "%2e%2e/templates/base.html"):
        assert client.get(f"/static/{path}").status == 404
