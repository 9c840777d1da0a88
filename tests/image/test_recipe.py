"""What images are made of agrees with the rest of the repository. scripts/image-check builds and runs one."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from podworker.cli.new import KINDS, project
from podworker.inference.engine_build import IMAGES, parsed

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
VARIANTS = ("cuda11.8", "cuda12.8", "cpu")


@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_each_variant_has_a_path_and_no_recipe_of_its_own(variant: str) -> None:
    """RunPod's builder takes the path of a Dockerfile, but no arguments."""
    first, _, rest = (ROOT / f"docker/{variant}.Dockerfile").read_text().partition("\n")
    assert first.startswith("# Written by `scripts/image dockerfiles`")
    assert rest == DOCKERFILE.replace("ARG VARIANT=cuda11.8\n", f"ARG VARIANT={variant}\n"), "scripts/image dockerfiles"
    assert rest != DOCKERFILE


def test_each_variant_has_its_stages() -> None:
    stages = set(re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {f"engine-{variant}" for variant in VARIANTS} <= stages
    assert {"toolkit-cuda11.8", "toolkit-cuda12.8", "engine", "handler", "worker"} <= stages
    assert DOCKERFILE.rstrip().rpartition("\nFROM ")[2].startswith("runtime AS worker"), "what is built by default"


def test_the_toolkits_are_those_that_the_engine_names() -> None:
    script = (ROOT / "docker/build-engine").read_text()
    for variant, version in re.findall(r"FROM \S+/cuda:(\S+)-devel-ubuntu22.04 AS toolkit-(\S+)", DOCKERFILE):
        assert re.search(rf"{re.escape(version)}\)\n +cuda={re.escape(variant)} few=", script)


def test_a_release_has_code_for_what_the_worker_says_of_its_images() -> None:
    """`few` and `all` of docker/build-engine: what is built at RunPod runs wherever the release's image runs."""
    script = (ROOT / "docker/build-engine").read_text()
    for variant, (oldest, newest) in IMAGES.items():
        lists = re.search(rf"{re.escape(variant)}\)\n +cuda=\S+ few='(.*)'\n +all='(.*)'", script)
        assert lists is not None
        few, every = (parsed({"cuda": "1.0", "architectures": names.split(";")}) for names in lists.groups())
        real = sorted(code.capability for code in every.code if code.real)
        assert (real[0], real[-1]) == (oldest, newest)
        assert any(code.ptx and code.compiles_for((99, 0)) for code in every.code), "newer GPUs"
        assert all(
            any(code.runs_on(gpu) or code.compiles_for(gpu) for code in few.code) for gpu in real if gpu >= (8, 0)
        )


def test_uv_is_the_one_of_the_workflows() -> None:
    versions = set(re.findall(r"UV_VERSION: (\S+)", "".join(map(Path.read_text, (ROOT / ".github").rglob("*.yml")))))
    assert re.findall(r"^ARG UV_IMAGE=\S+:(\S+)$", DOCKERFILE, re.MULTILINE) == list(versions)


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_runpod_finds_what_it_looks_for_before_a_build(kind: str | None) -> None:
    """RunPod's documentation, "Endpoints": handlers for queues, a /ping path for load balancers; by their text."""
    values = {"name": "mine", "version": "1.2.3"}
    files = {str(path): text for path, text in project(kind, values)} if kind else {}
    handler = files.get("handler.py") or (ROOT / "handler.py").read_text()
    assert re.search(r"^runpod\.serverless\.start\(", handler, re.MULTILINE)
    assert '"/ping"' in handler


@pytest.mark.parametrize("kind", KINDS)
def test_new_projects_are_built_with_the_same_uv_and_user(kind: str) -> None:
    values = {"name": "mine", "version": "1.2.3"}
    text = next(text for path, text in project(kind, values) if str(path) == "Dockerfile")
    assert re.search(r"^ARG PODWORKER_IMAGE=ghcr.io/podworker/podworker:1\.2\.3-(cpu|handler)$", text, re.MULTILINE)
    uv = re.search(r"^ARG UV_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert uv is not None
    assert f"from={uv[1]}," in text
    user = re.findall(r"^USER (\d+:\d+)$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (\S+)$", text, re.MULTILINE) == ["root", *user]


def test_the_lock_names_the_engines_source_with_its_checksum() -> None:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    engine = next(package for package in packages if package["name"] == "xllamacpp")
    assert engine["sdist"]["hash"].startswith("sha256:")
    assert f"xllamacpp=={engine['version']}" in (ROOT / "pyproject.toml").read_text()


def test_a_source_with_another_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sdist").write_bytes(b"something else")
    address = (tmp_path / "sdist").as_uri()
    lock = f'[[package]]\nname = "xllamacpp"\nversion = "1.2"\nsdist = {{ url = "{address}", hash = "sha256:00" }}\n'
    (tmp_path / "uv.lock").write_text(lock)
    done = subprocess.run(
        [sys.executable, ROOT / "docker/engine-source.py", tmp_path / "uv.lock", tmp_path / "source"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "uv.lock says sha256:00" in done.stderr
    assert not (tmp_path / "source").exists()


def test_everything_that_is_copied_is_in_the_context() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    }
    mounted = set(re.findall(r"type=bind,source=([^, ]+)", DOCKERFILE))
    assert copied | mounted == allowed
    assert all(any(ROOT.glob(path)) for path in allowed)


def test_the_entrypoint_runs_what_it_is_given(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "docker/entrypoint", sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"ENGINE_BINARY", "MODEL_STORE", "CUDA_CACHE_PATH"} & set(json.loads(done.stdout))
    assert done.stderr == ""


def test_line_ends_are_those_of_linux_in_every_checkout() -> None:
    """A script that ends its first line with a carriage return does not start in a container."""
    scripts = [*(ROOT / "docker").iterdir(), *(ROOT / "scripts").iterdir(), ROOT / "Dockerfile"]
    assert [path.name for path in scripts if path.is_file() and b"\r" in path.read_bytes()] == []
    rules = [line.split() for line in (ROOT / ".gitattributes").read_text().splitlines() if not line.startswith("#")]
    assert ["*", "text=auto", "eol=lf"] in rules, "Git on Windows would write others"


def test_the_init_reaps_orphans_beside_another_init() -> None:
    assert 'ENTRYPOINT ["tini", "-s", "--", ' in DOCKERFILE


TOOLS = {
    "cmake": '[ "$1" != --build ] || (mkdir "$2/bin" && cd "$2/bin" && touch llama-server libggml-cuda.so libx.so.1)',
    "objdump": "",
    "strip": "",
    "ldd": 'case "$1" in *cuda.so) printf "\\tlibcublas.so.11 => $CUDA_LIBRARY (0x0)\\n";; esac\n',
}
"""What compiles, in a few words: each writes or says what the script reads of it."""


@pytest.mark.parametrize(("variant", "cuda"), [("cuda11.8", "11.8.0"), ("cuda12.8", "12.8.1")])
def test_an_engine_brings_its_libraries_and_all_licences(tmp_path: Path, variant: str, cuda: str) -> None:
    for name, text in TOOLS.items():
        tool = tmp_path / "tools" / name
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{text}")
        tool.chmod(0o755)
    source, target, library = tmp_path / "source", tmp_path / "engine", tmp_path / "libcublas.so.11"
    library.touch()
    for path in ("LICENSE", "licenses/LICENSE-jsonhpp", "vendor/http/LICENSE", "vendor/hash/sha256/LICENSE.md"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(path)
    (source / "REVISION").write_text("b123 (xllamacpp 1.2.123)\n")
    done = subprocess.run(
        [ROOT / "docker/build-engine", source, variant, "", target],
        env={"PATH": f"{tmp_path / 'tools'}:/usr/bin:/bin", "CUDA_LIBRARY": str(library), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in target.iterdir()} == {
        *("llama-server", "libggml-cuda.so", "libx.so.1", "libcublas.so.11"),
        *("engine-build.json", "licenses"),
    }
    texts = {path.name: path.read_text() for path in (target / "licenses").glob("llama.cpp-*")}
    assert texts == {
        "llama.cpp-LICENSE": "LICENSE",
        "llama.cpp-licenses-LICENSE-jsonhpp": "licenses/LICENSE-jsonhpp",
        "llama.cpp-vendor-http-LICENSE": "vendor/http/LICENSE",
        "llama.cpp-vendor-hash-sha256-LICENSE.md": "vendor/hash/sha256/LICENSE.md",
    }
    build = json.loads((target / "engine-build.json").read_text())
    assert (build["cuda"], build["revision"]) == (cuda, "b123 (xllamacpp 1.2.123)")


def test_the_page_names_what_there_is() -> None:
    """Its commands are those of docker: what they name is compared here, and scripts/image-check does what they do."""
    page = (ROOT / "docs/image.md").read_text()
    arguments = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))
    stages = set(re.findall(r"^FROM .* AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert set(re.findall(r"--build-arg (\w+)=", page)) <= arguments
    assert set(re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE)) == arguments - {
        "VARIANT",
        "UV_IMAGE",
        "TOOLKIT_IMAGE",
    }
    assert set(re.findall(r"--target (\w+)", page)) <= stages
    assert all((ROOT / path).exists() for path in re.findall(r"`((?:docker|scripts)/[^`\s]+)", page))
    assert "1000:1000" in page
    block = re.search(r"```dockerfile\nFROM \S+\n(.*?)```", page, re.DOTALL)
    values = {"name": "mine", "version": "1.2.3"}
    template = next(text for path, text in project("function", values) if str(path) == "Dockerfile")
    assert block is not None
    assert template.endswith(block[1])
