"""The command `skbert-filter`, and ``python -m skbert_filter``: Ctrl-C ends it at any moment."""

import os
import signal
from typing import Any, NoReturn


def main() -> None:
    """Run the command line."""
    if callable(signal.getsignal(signal.SIGINT)):
        # An interrupted import may raise any error. Once a command runs, it handles Ctrl-C itself.
        signal.signal(signal.SIGINT, _exit)
    from skbert_filter.cli.app import app

    app()


def _exit(*signal_and_frame: Any) -> NoReturn:
    os.write(2, b"Interrupted: the job is not done.\n")
    os._exit(130)


if __name__ == "__main__":
    main()
