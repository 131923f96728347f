"""`leads` and `python -m service`: runs the command line and turns what stops it into sentences."""

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Run a command; exit 1 with a sentence where it cannot be done."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> None:
    # Imported here, since all of it takes a while, and Ctrl-C is to be no traceback in it either.
    from service.cli.main import app  # noqa: PLC0415 -- imported where Ctrl-C is caught
    from service.lib.errors import CannotStart  # noqa: PLC0415 -- imported where Ctrl-C is caught

    try:
        app(prog_name="leads")
    except CannotStart as error:
        print(error, file=sys.stderr)  # noqa: T201 -- for the person at the terminal
        sys.exit(1)
    except BrokenPipeError:
        os._exit(1)  # Whoever read our output has gone; flushing it at exit would only complain.
    except Exception as error:
        from redis.exceptions import RedisError  # noqa: PLC0415 -- it takes long to import

        from service.store.server.health import sentence_of  # noqa: PLC0415 -- it imports the same

        if not isinstance(error, (RedisError, TimeoutError)):
            raise
        print(sentence_of(error), file=sys.stderr)  # noqa: T201 -- for the person at the terminal
        sys.exit(1)


if __name__ == "__main__":
    main()
