"""What an archive has, as `rowtail archive list --json` tells it."""

import json

from .box import expect


def listed(box, archive, **more):
    done = box.run("archive", "list", archive, "--json", **more)
    expect(done.code == 0, "archive list: %s", done)
    return json.loads(done.out)


def names(box, archive):
    """{"0/2-5"}: its files."""
    return {"%d/%d-%d" % (f["level"], int(f["min_txid"], 16), int(f["max_txid"], 16))
            for f in listed(box, archive)["files"]}
