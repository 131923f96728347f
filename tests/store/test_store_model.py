"""Random histories of one form, told to the store and to a plain model: both must always say the same."""

import pytest
from history import History, run_histories


def test_the_store_says_what_the_model_says(redis_url: str) -> None:
    run_histories(History, redis_url, 40, 120)


@pytest.mark.long
def test_the_store_says_what_the_model_says_for_a_long_time(redis_url: str) -> None:
    run_histories(History, redis_url, 2_000, 60, derandomize=False)
