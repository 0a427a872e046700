"""``python -m fastact`` is the command ``fastact``."""

from fastact.lab.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
