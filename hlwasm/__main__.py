"""``python -m hlwasm``: the command line."""

from __future__ import annotations

from hlwasm.cli import main

if __name__ == "__main__":
    main()
