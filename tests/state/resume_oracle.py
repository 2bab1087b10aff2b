"""Rounds of random work, stops, kills and starts on one state directory."""


class SeedFailed(Exception):
    """The run of this seed found a difference; the text has all details."""


def run_seed(seed, options, settings, folder):
    raise SeedFailed("not written yet")
