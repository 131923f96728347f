"""`leads` and `python -m service`: runs the command line and turns what stops it into sentences."""

import os
import sys

from redis.exceptions import RedisError

from service.cli import app
from service.inspection import sentence_of
from service.trouble import CannotStart


def main() -> None:
    """Run a command; exit 1 with a sentence where it cannot be done."""
    try:
        app()
    except CannotStart as error:
        print(error, file=sys.stderr)  # noqa: T201 -- for the person at the terminal
        sys.exit(1)
    except (RedisError, TimeoutError) as error:
        print(sentence_of(error), file=sys.stderr)  # noqa: T201 -- the same
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(1)  # Whoever read our output has gone; flushing it at exit would only complain.


if __name__ == "__main__":
    main()
