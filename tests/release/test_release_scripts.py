"""The scripts of a release, in a small copy of the repository."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REGISTRY = "ghcr.io/Somebody/podworker"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    for name in ("release-version", "release-images"):
        shutil.copy2(ROOT / "scripts" / name, tmp_path / "scripts" / name)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "podworker"\nversion = "1.2.3"\n\n[tool]\nversion = "9"\n'
    )
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n## 1.2.3 - 2026-01-01\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), (*identity, "commit", "-q", "--allow-empty", "-m", "a")):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)  # noqa: S607 - git, wherever it is
    return tmp_path


def run(repository: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [repository / "scripts" / script, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_tag_is_the_version(repository: Path) -> None:
    done = run(repository, "release-version", "v1.2.3")
    assert (done.returncode, done.stdout) == (0, "1.2.3\n")


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2.4", "v9"])
def test_another_tag(repository: Path, tag: str) -> None:
    done = run(repository, "release-version", tag)
    assert done.returncode == 1
    assert f"The tag is {tag}, but pyproject.toml says version 1.2.3." in done.stderr


def test_nothing_is_said_of_the_version(repository: Path) -> None:
    (repository / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n")
    done = run(repository, "release-version", "v1.2.3")
    assert done.returncode == 1
    assert "CHANGELOG.md has no heading for 1.2.3." in done.stderr


def test_this_repository_has_a_version() -> None:
    done = subprocess.run([ROOT / "scripts" / "release-version", "v"], capture_output=True, text=True, check=False)
    assert "pyproject.toml says version 0" in done.stderr


@pytest.mark.parametrize(
    ("variant", "tags"),
    [
        ("cpu", "1.2.3-cpu cpu"),
        ("handler", "1.2.3-handler handler"),
        ("cuda12.8", "1.2.3-cuda12.8 cuda12.8"),
        ("cuda11.8", "1.2.3-cuda11.8 1.2.3 cuda11.8 latest"),
    ],
)
def test_the_command_that_builds_an_image(repository: Path, variant: str, tags: str) -> None:
    done = run(repository, "release-images", variant, "v1.2.3", REGISTRY, "--print")
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout)
    target = variant.replace(".", "-")
    assert words[:3] == ["docker", "buildx", "bake"]
    targets = [target, f"engine-{target}"] if variant.startswith("cuda") else [target]
    assert words[-len(targets) :] == targets
    assert all(f'target "{name}"' in (ROOT / "docker-bake.hcl").read_text() for name in targets)
    set_tags = [word.partition("=")[2] for word in words if word.startswith(f"{target}.tags=")]
    assert set_tags == [f"{REGISTRY.lower()}:{tag}" for tag in tags.split()]
    engine = f"engine-{target}.tags={REGISTRY.lower()}-engine:1.2.3-{variant}"
    assert (engine in words) == variant.startswith("cuda")
    assert {"*.attest=type=provenance,mode=max", "*.attest=type=sbom", "--push"} <= set(words)


def test_a_trial_release_is_nobodys_newest(repository: Path) -> None:
    for name in ("pyproject.toml", "CHANGELOG.md"):
        text = (repository / name).read_text()
        (repository / name).write_text(text.replace("1.2.3", "1.3.0rc1"))
    words = shlex.split(run(repository, "release-images", "cuda11.8", "v1.3.0rc1", REGISTRY, "--print").stdout)
    tags = [word.partition("=")[2] for word in words if word.startswith("cuda11-8.tags=")]
    assert tags == [f"{REGISTRY.lower()}:{tag}" for tag in ("1.3.0rc1-cuda11.8", "1.3.0rc1")]


def test_images_name_the_repository_that_releases_them(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = "*.labels.org.opencontainers.image.source="
    monkeypatch.setenv("GITHUB_REPOSITORY", "Somebody/podworker")
    words = shlex.split(run(repository, "release-images", "cpu", "v1.2.3", REGISTRY, "--print").stdout)
    assert f"{label}https://github.com/Somebody/podworker" in words
    monkeypatch.delenv("GITHUB_REPOSITORY")
    assert label not in run(repository, "release-images", "cpu", "v1.2.3", REGISTRY, "--print").stdout


def test_images_are_not_built_for_a_wrong_tag(repository: Path) -> None:
    done = run(repository, "release-images", "cpu", "v2", REGISTRY, "--print")
    assert done.returncode == 1
    assert done.stdout == ""


def test_usage(repository: Path) -> None:
    done = run(repository, "release-images", "cpu")
    assert done.returncode == 2
    assert "VARIANT" in done.stderr
