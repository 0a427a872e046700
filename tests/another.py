"""Another Python process, for what is decided when fastact is imported, or only goes wrong once."""

import os
import subprocess
import sys


def run_python(code, **environment):
    """What a fresh interpreter makes of `code`, with some environment variables besides ours."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def printed(code, **environment):
    """The words that `code` prints; it must not fail."""
    result = run_python(code, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def last_line_of_error(code, **environment):
    """What `code` fails with."""
    result = run_python(code, **environment)
    assert result.returncode != 0
    return result.stderr.strip().splitlines()[-1]
