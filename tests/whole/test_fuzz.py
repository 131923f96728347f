"""The fuzzer's targets: every seed keeps its promise, and so does whatever a fuzzer makes of them in a moment."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from targets import TARGETS

FOLDER = Path(__file__).parents[1] / "fuzz"
SECONDS = 5


@pytest.mark.parametrize("name", TARGETS)
def test_no_seed_breaks_a_promise(name: str) -> None:
    for seed in (b"", b"\x00", *TARGETS[name].seeds):
        TARGETS[name].run(seed)


@pytest.mark.long
@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_promise(name: str) -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris has no wheel for this platform")
    words = [sys.executable, str(FOLDER / "run.py"), name, "--seconds", str(SECONDS)]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 inputs" not in run.stdout
