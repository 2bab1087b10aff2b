"""Events out of archives that the real Litestream writes beside changes: applied to a
model they give each state that it restores."""

import shutil
import os

from archive.events import check_all_steps, states_of
from archive.litestream import replicate
from harness.box import expect


def check_page_size(box, page_size, auto_vacuum):
    _, _, archive, litestream = replicate(box, page_size, auto_vacuum)
    litestream.stop()
    steps, count = check_all_steps(box, archive)
    expect(steps >= 10 and count > 200, "%d steps, %d events", steps, count)
    return count, None


def test_events_with_pages_of_512_bytes(box):
    return check_page_size(box, 512, 1)


def test_events_with_pages_of_4096_bytes(box):
    return check_page_size(box, 4096, 0)


def test_events_with_pages_of_65536_bytes(box):
    return check_page_size(box, 65536, 2)


def test_events_of_merged_files_once_level_0_is_gone(box):
    writer, _, archive, litestream = replicate(
        box, 4096, 2, first="1s", second="3s", snapshot="4s")

    def is_enough():
        writer.sql("c", "INSERT INTO u(v) VALUES('late')")
        litestream.sync()
        levels = os.path.join(archive, "ltx")
        return {"0", "1", "2", "9"} <= set(os.listdir(levels)) and len(
            os.listdir(os.path.join(levels, "1"))) > 3

    box.wait_until(is_enough, 60, "not all levels are there")
    litestream.stop()
    before = len(states_of(box, archive))
    shutil.rmtree(os.path.join(archive, "ltx", "0"))
    steps, count = check_all_steps(box, archive)
    expect(0 < steps < before, "%d steps of %d", steps, before)
    return count, None


def test_the_database_replaced_while_litestream_was_away(box):
    """Litestream goes on with an increment that has all pages."""
    writer, path, archive, litestream = replicate(box, 4096, 0)
    litestream.stop()
    writer.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)
    writer, path = box.database("CREATE TABLE other(x)", "CREATE TABLE u(id INTEGER "
                                "PRIMARY KEY, v)", "INSERT INTO u VALUES(3, 'three')")
    litestream.start()
    for _ in range(3):
        writer.sql("c", "INSERT INTO other VALUES(hex(randomblob(500)))")
        litestream.sync()
    litestream.stop()
    _, count = check_all_steps(box, archive)
    return count, None


for name, function in list(globals().items()):
    if name.startswith("test_"):
        function.timeout = 1500
