"""Download of an sdist as pip finds it, without running any of its code.

pip builds the metadata of each sdist that it downloads, which runs the package's build script. This module therefore
reads the pages of the "simple" repository API (PEP 503 and PEP 691) itself, from the indexes and link folders of the
user's pip configuration, with its proxy and certificates. Keyrings and netrc are not supported; a password in the URL
of an index is.
"""

from __future__ import annotations

import ast
import hashlib
import logging
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

import httpx
from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename
from packaging.version import InvalidVersion, Version

from luthier.errors import ResourceError

DEFAULT_INDEX = "https://pypi.org/simple"
ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
log = logging.getLogger("luthier")


@dataclass(frozen=True, slots=True)
class Link:
    """An archive on an index: its URL, and the sha256 that the index states, if any."""

    url: str
    sha256: str = ""

    @property
    def filename(self) -> str:
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


def download_sdist(name: str, version: str, folder: Path) -> None:
    """Download the sdist of `name==version` into `folder`; ResourceError if none has it or its sha256 is wrong."""
    settings = pip_settings(folder)
    with _client(settings) as client:
        for place in _places(settings, name):
            for link in _links(client, place):
                if _is_sdist(link.filename, name, version):
                    return _download(client, link, folder)
    raise ResourceError(
        f"No index that pip is configured for has an sdist of {name}=={version}.",
        hint="See `python -m pip config list` for the indexes, and check the name and the version.",
    )


def pip_settings(folder: Path) -> dict[str, str]:
    """The settings of `pip download`: the environment overrides its own section, which overrides the global one.

    pip runs inside `folder`, which holds no code: `-m` would import a `pip.py` of the working folder.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ResourceError("pip cannot be run, so no package can be fetched.", hint="python -m ensurepip installs it.")
    sections: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, setting = key.partition(".")
        if section in sections:
            sections[section][setting] = str(ast.literal_eval(value))
    return sections["global"] | sections["download"] | sections[":env:"]


def _client(settings: dict[str, str]) -> httpx.Client:
    certificates = settings.get("cert")
    return httpx.Client(
        verify=ssl.create_default_context(cafile=certificates) if certificates else True,
        proxy=settings.get("proxy"),
        timeout=float(settings.get("timeout") or settings.get("default-timeout") or 15),
        follow_redirects=True,
    )


def _places(settings: dict[str, str], name: str) -> Iterator[str]:
    yield from settings.get("find-links", "").split()
    if settings.get("no-index", "").lower() not in {"1", "true", "yes", "on"}:
        for index in [settings.get("index-url", DEFAULT_INDEX), *settings.get("extra-index-url", "").split()]:
            yield f"{index.rstrip('/')}/{canonicalize_name(name)}/"


def _links(client: httpx.Client, place: str) -> list[Link]:
    if not place.startswith(("http://", "https://")):
        return _local_links(Path(url2pathname(urlsplit(place).path)) if place.startswith("file:") else Path(place))
    try:
        response = client.get(place, headers={"Accept": ACCEPT})
        if response.status_code == httpx.codes.NOT_FOUND:
            return []
        response.raise_for_status()
    except httpx.HTTPError as error:
        log.warning("The index %s cannot be read: %s", urlsplit(place).hostname, error)
        return []
    if "json" in response.headers.get("content-type", ""):
        files = response.json()["files"]
        return [Link(urljoin(str(response.url), file["url"]), file["hashes"].get("sha256", "")) for file in files]
    return _page_links(response.text, str(response.url))


def _local_links(path: Path) -> list[Link]:
    page = path / "index.html" if path.is_dir() else path
    if page.is_file():
        return _page_links(page.read_text(encoding="utf-8"), page.absolute().as_uri())
    return [Link(file.absolute().as_uri()) for file in sorted(path.iterdir())] if path.is_dir() else []


def _page_links(html: str, address: str) -> list[Link]:
    page = _Anchors()
    page.feed(html)
    links = [urldefrag(urljoin(address, href)) for href in page.hrefs]
    return [Link(url, fragment.removeprefix("sha256=") if "sha256=" in fragment else "") for url, fragment in links]


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hrefs += [value for key, value in attrs if tag == "a" and key == "href" and value]


def _is_sdist(filename: str, name: str, version: str) -> bool:
    try:
        parsed_name, parsed_version = parse_sdist_filename(filename)
        return parsed_name == canonicalize_name(name) and parsed_version == Version(version)
    except (InvalidSdistFilename, InvalidVersion):
        return False


def _download(client: httpx.Client, link: Link, folder: Path) -> None:
    sha = hashlib.sha256()
    try:
        with (folder / link.filename).open("wb") as target:
            for chunk in _chunks(client, link.url):
                sha.update(chunk)
                target.write(chunk)
    except httpx.HTTPError as error:
        raise ResourceError(f"{link.filename} could not be downloaded: {error}", hint="Try again later.") from error
    if link.sha256 and sha.hexdigest() != link.sha256:
        raise ResourceError(
            f"{link.filename} came with the sha256 {sha.hexdigest()}, but its index states {link.sha256}.",
            hint="Run again; if it persists, the index or a proxy has replaced the file.",
        )


def _chunks(client: httpx.Client, url: str) -> Iterator[bytes]:
    if url.startswith("file:"):
        yield Path(url2pathname(urlsplit(url).path)).read_bytes()
        return
    with client.stream("GET", url) as response:
        response.raise_for_status()
        yield from response.iter_bytes()
