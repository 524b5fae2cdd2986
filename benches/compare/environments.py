"""A Python of its own for each yardstick, in .venv-compare, made once from its file in requirements/.

`python benches/compare/environments.py duckdb_range.txt benches/compare/duckdb_range.py` runs a script in one.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-compare"
REQUIREMENTS = Path(__file__).parent / "requirements"


class NotInstalledError(Exception):
    """What pip said."""


def python_with(requirements: str) -> Path:
    """The interpreter that has them. Made anew when the file has changed."""
    wanted = (REQUIREMENTS / requirements).read_text()
    place = FOLDER / Path(requirements).stem
    stamp = place / "requirements.txt"
    python = place / "bin" / "python"
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
    run = subprocess.run([*install, str(REQUIREMENTS / requirements)], capture_output=True, text=True)
    if run.returncode:
        raise NotInstalledError(last_line(run.stderr))
    stamp.write_text(wanted)
    return python


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


if __name__ == "__main__":
    sys.exit(subprocess.run([str(python_with(sys.argv[1])), *sys.argv[2:]]).returncode)
