"""A run seen from outside: /metrics, /health and /status (docs/metrics.md)."""

import collections
import glob
import http.client
import json
import os
import re
import resource
import shutil
import socket
import sqlite3
import stat
import subprocess
import threading
import time

from harness.box import NotRun, expect, use_faults
from harness.small_disk import SmallDisk

TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY, a)"
ANY = "metrics.listen=127.0.0.1:0"
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)'
                    r'*)\})? (\S+)')
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Watcher:
    """Asks one that serves where its log says."""

    def __init__(self, box, tail):
        self.box, self.tail = box, tail
        box.wait_until(lambda: self._find(tail), 20, "it says not where")
        self.where = self._find(tail)

    @staticmethod
    def _find(tail):
        found = re.search(r"metrics at (?:http://([^\s]+)/metrics|unix:(\S+): )",
                          tail.error_text())
        return found and (found[1] or found[2])

    def connect(self):
        timeout = 30 * self.box.slow
        if self.where.startswith("/"):
            return UnixConnection(self.where, timeout=timeout)
        return http.client.HTTPConnection(self.where, timeout=timeout)

    def ask(self, path, method="GET", body=None):
        """(code, text, headers)"""
        connection = self.connect()
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), dict(answer.getheaders())
        finally:
            connection.close()

    def health(self):
        """"": it is well; else why not."""
        code, text, _ = self.ask("/health")
        expect((code, text) == (200, "well\n") or (code == 503 and text.count("\n") == 1),
               "%s %r", code, text)
        return "" if code == 200 else text.strip()

    def metrics(self):
        code, text, headers = self.ask("/metrics")
        expect(code == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"),
               "%s %s", code, headers)
        return parsed(text)

    def wait_ill(self, words):
        self.box.wait_until(lambda: words in self.health(), 60,
                            "%r is not said" % words)

    def wait_well(self):
        self.box.wait_until(lambda: self.health() == "", 60, "it does not get well")


def parsed(text):
    """As strict as Prometheus: {(name, labels): value}."""
    values, types = {}, {}
    expect(text.endswith("\n"), "%r", text[-40:])
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            expect(name not in types, "%s twice", name)
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            expect(kind in ("counter", "gauge", "histogram"), "%s", line)
            expect(kind != "counter" or name.endswith("_total"), "%s", line)
            types[name] = kind
            continue
        found = SAMPLE.fullmatch(line)
        expect(found, "%r", line)
        labels = tuple(sorted(LABEL.findall(found[2] or "")))
        base = re.sub(r"_(bucket|sum|count)$", "", found[1])
        expect(found[1] in types or types.get(base) == "histogram", "no type: %s", line)
        expect((found[1], labels) not in values, "twice: %s", line)
        values[found[1], labels] = float(found[3])
    for name, kind in types.items():
        if kind == "histogram":
            buckets = [(float(dict(labels)["le"]), value)
                       for (sample, labels), value in values.items()
                       if sample == name + "_bucket"]
            buckets.sort()
            counts = [count for _, count in buckets]
            expect(counts == sorted(counts) and buckets[-1][0] == float("inf")
                   and counts[-1] == values[name + "_count", ()], "%s: %s", name, buckets)
    return values


def watched(box, *args, sql=(), where=ANY, **more):
    writer, path = box.database(TABLE, *sql)
    tail = box.tail(path, "-D", where, *args, **more)
    return writer, path, tail, Watcher(box, tail)


def lasting_locks(pid, path):
    """What a connection keeps as long as it is open: of the file, and that the wal-index
    is in use."""
    inodes = {os.stat(path).st_ino: "file", os.stat(path + "-shm").st_ino: "wal-index"}
    found = set()
    with open("/proc/locks") as file:
        for line in file:
            fields = line.split()
            kind = inodes.get(int(fields[5].rsplit(":", 1)[1]))
            if fields[4] == str(pid) and kind and (kind == "file" or fields[6] == "128"):
                found.add((kind, fields[3]))
    return found


def children_of(pid):
    """Those that are not zombies."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % name) as file:
                state, parent = file.read().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if parent == str(pid) and state != "Z":
            found.append(int(name))
    return found


# ---- /metrics ----

def test_counters_agree_with_the_events(box):
    writer, path, tail, watcher = watched(
        box, "--snapshot", sql=["INSERT INTO t VALUES (1, 'a'), (2, 'b')"])
    writer.sql("c", 'CREATE TABLE "o""ther\\"(a PRIMARY KEY, b)',
               "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n "
               "WHERE i < 500) SELECT i, 'text' FROM n",
               "UPDATE t SET a = 'c' WHERE id < 20", "DELETE FROM t WHERE id = 2",
               'INSERT INTO "o""ther\\" VALUES (1, 2)', "UPDATE t SET id = 1000 WHERE id = 1")
    wanted = collections.Counter({("t", "r"): 2, ("t", "c"): 492, ("t", "u"): 12,
                                  ("t", "d"): 2, ('o\\"ther\\\\', "c"): 1})
    lines = sum(wanted.values())
    expect(tail.wait_lines(lines), "%s", tail.error_text())
    key = "rowtail_acknowledged_lsn", ()
    box.wait_until(lambda: watcher.metrics()[key] == watcher.metrics()["rowtail_captured_lsn",
                                                                       ()])
    got = watcher.metrics()
    counted = {tuple(v for _, v in sorted(labels, reverse=True)): value
               for (name, labels), value in got.items() if name == "rowtail_events_total"}
    expect(counted == dict(wanted), "%s instead of %s", counted, wanted)
    expect(got["rowtail_messages_total", ()] == lines, "%s", got)
    expect(got["rowtail_captured_transactions_total", ()] == 6, "%s", got)
    expect(got["rowtail_decoded_transactions_total", ()] == 7, "%s", got)
    expect(got["rowtail_following", ()] == got["rowtail_healthy", ()] == 1, "%s", got)
    expect(got["rowtail_delivery_lag_seconds_count", ()] >= 1
           and got["rowtail_capture_lag_seconds_count", ()] >= 1, "%s", got)
    expect(got["rowtail_lag_seconds", ()] == 0, "%s", got)
    expect(got["process_open_fds", ()] > 3 and got["process_cpu_seconds_total", ()] > 0
           and abs(got["process_start_time_seconds", ()] - time.time()) < 3600, "%s", got)
    sent = sum(map(len, tail.all_lines)) - lines
    expect(0 < got["rowtail_message_bytes_total", ()] <= sent, "%s bytes, %s were sent",
           got["rowtail_message_bytes_total", ()], sent)
    box.stop(tail)
    return lines


def test_what_an_earlier_run_has_sent_is_not_counted_again(box):
    """It ended in the middle of a transaction."""
    writer, path, tail, watcher = watched(box, "--state", box.path("state"), take=False)
    writer.sql("c", MANY_ROWS)
    box.wait_until(lambda: watcher.metrics()["rowtail_messages_total", ()] > 300)
    tail.start_taking()
    box.stop(tail)
    sent = len(tail.all_lines)
    if sent < 2991:
        tail = box.tail(path, "--state", box.path("state"), "-D", ANY)
        watcher = Watcher(box, tail)
        expect(tail.wait_lines(2991 - sent), "%s", tail.error_text())
        got = watcher.metrics()
        expect(got["rowtail_events_total", (("op", "c"), ("table", "t"))] == 2991 - sent
               == got["rowtail_messages_total", ()], "%s of %s: %s", sent, 2991, got)
        box.stop(tail)
    return sent


def test_statuses_that_many_ask_for_come_one_by_one(box):
    writer, path, tail, watcher = watched(box, "--state", box.path("state"))
    codes, most = [], 0

    def ask():
        try:
            codes.append(watcher.ask("/status")[0])
        except (OSError, http.client.HTTPException):
            codes.append(0)             # more than are let in
    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(children_of(tail.pid)))
    expect(200 in codes and set(codes) <= {0, 200, 503} and most <= 1, "%s, %s at a time",
           codes, most)
    box.stop(tail)
    return most


def test_of_a_state_directory_sizes_and_syncs_are_told(box):
    writer, path, tail, watcher = watched(box, "--state", box.path("state"))
    writer.sql("c", *["INSERT INTO t VALUES (%d, 1)" % i for i in range(20)])
    expect(tail.wait_lines(20), "no events")
    got = watcher.metrics()
    expect(got["rowtail_journal_sync_seconds_count", ()] >= 1
           and got["rowtail_journal_sync_seconds_sum", ()] > 0, "%s", got)
    expect(got["rowtail_shadow_bytes", ()] > 0 and got["rowtail_log_bytes", ()] > 0, "%s", got)
    info = [dict(labels) for name, labels in got if name == "rowtail_info"]
    expect(len(info) == 1 and info[0]["database"] == path
           and info[0]["state"] == box.path("state") and info[0]["sink"] == "stdout", "%s", info)
    box.stop(tail)


def test_checkpoints_and_the_gate_are_counted(box):
    """Under a writer that never pauses."""
    writer, path, tail, watcher = watched(box)
    stop = threading.Event()

    def write():
        db = sqlite3.connect(path, isolation_level=None, timeout=20)
        db.execute("PRAGMA synchronous=OFF")
        while not stop.is_set():
            db.execute("INSERT INTO t(a) VALUES (zeroblob(3000))")
        db.close()

    def handed_over():
        got = watcher.metrics()
        return got["rowtail_checkpoints_total", ()] > 0 and (
            got["rowtail_gate_seconds_count", ()] + got["rowtail_gate_failures_total", ()]) > 0
    thread = threading.Thread(target=write)
    thread.start()
    try:
        box.wait_until(handed_over, 60, "no handover was tried")
    finally:
        stop.set()
        thread.join()
    got = watcher.metrics()
    expect(got["rowtail_checkpoints_total", ()] > 0
           and got["rowtail_checkpoint_seconds_count", ()]
           >= got["rowtail_checkpoints_total", ()] and got["rowtail_wal_bytes", ()] > 32, "%s",
           got)
    box.stop(tail)


def test_no_two_tables_get_the_same_series(box):
    """Names that differ only in what is not shown; an audit log has no topics."""
    names = ["x\u202ey", "x?y", "ü" * 150]
    quoted = ['"%s"' % n for n in names]
    writer, path, tail, watcher = watched(box, "--to", "audit:" + box.path("log"))
    writer.sql("c", *["CREATE TABLE %s(a INTEGER PRIMARY KEY)" % n for n in quoted])
    writer.sql("c", *["INSERT INTO %s VALUES (1)" % n for n in quoted])

    def counts():
        return sorted(v for (name, _), v in watcher.metrics().items()
                      if name == "rowtail_events_total")
    box.wait_until(lambda: sum(counts()) == 3, 20, "no events")
    expect(counts() == [1, 2], "%s", counts())
    box.stop(tail)


def test_prometheus_s_own_tool_has_nothing_to_say(box):
    tool = shutil.which("promtool")
    if not tool:
        raise NotRun("promtool is not here (Debian: prometheus)")
    writer, path, tail, watcher = watched(box, "--state", box.path("state"))
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    for text in (watcher.ask("/metrics")[1],
                 box.run("status", "--state", box.path("state"), "--prometheus").out.decode()):
        result = subprocess.run([tool, "check", "metrics"], input=text, text=True,
                                capture_output=True)
        expect(result.returncode == 0 and not result.stderr, "%s\n%s", result.stderr, text)
    box.stop(tail)


# ---- /health ----

def test_it_is_well_while_it_follows_and_not_before(box):
    path = box.path("later.db")
    tail = box.tail(path, "--wait", "-D", ANY, wait=False)
    watcher = Watcher(box, tail)
    watcher.wait_ill("waiting for the database")
    expect(watcher.metrics()["rowtail_following", ()] == 0, "it follows")
    writer, _ = box.database(TABLE, name="later.db")
    tail.wait_following(20)
    watcher.wait_well()
    expect(watcher.metrics()["rowtail_following", ()] == 1, "it does not follow")
    box.stop(tail)


def test_a_sink_without_room_is_ill_until_it_has_some(box):
    writer, path, tail, watcher = watched(box, "--to", "file:" + box.path("out"), "-D",
                                          "health.max.lag=1s")
    watcher.wait_well()
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE, (30001, resource.RLIM_INFINITY))
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM "
               "n WHERE i < 500) SELECT i, 'text' FROM n")
    watcher.wait_ill("the sink takes nothing for")
    expect(box.path("out") in watcher.health(), "%s", watcher.health())
    got = watcher.metrics()
    expect(got["rowtail_healthy", ()] == 0 and got["rowtail_sink_outages_total", ()] == 1
           and got["rowtail_sink_errors_total", ()] >= 1
           and got["rowtail_sink_retries_total", ()] >= 1
           and got["rowtail_lag_seconds", ()] > 0, "%s", got)
    resource.prlimit(tail.pid, resource.RLIMIT_FSIZE,
                     (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    watcher.wait_well()
    box.stop(tail)


def test_a_reader_that_stands_still_is_ill(box):
    writer, path, tail, watcher = watched(box, "-D", "health.max.lag=1s", take=False)
    writer.sql("c", "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM "
               "n WHERE i < 3000) SELECT i, 'text' FROM n")
    watcher.wait_ill("the oldest transaction has waited for the sink for")
    tail.start_taking()
    watcher.wait_well()
    box.stop(tail)


MANY_ROWS = ("INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE "
             "i < 3000) SELECT i, 'text' FROM n")


def test_a_snapshot_whose_reader_stands_still_is_ill(box):
    """Nobody commits anything, so no transaction waits."""
    writer, path, tail, watcher = watched(box, "--snapshot", "-D", "health.max.lag=1s",
                                          take=False, sql=[MANY_ROWS])
    watcher.wait_ill("the snapshot has not gone on for")
    tail.start_taking()
    expect(tail.wait_lines(2991), "not all rows")
    watcher.wait_well()
    box.stop(tail)


def test_a_snapshot_without_rows_is_well(box):
    for sink in ("stdout", "file:" + box.path("out"), "audit:" + box.path("log")):
        writer, path = box.database(TABLE, name=sink.split(":")[0] + ".db")
        tail = box.tail(path, "--snapshot", "--to", sink, "-D", ANY, "-D", "health.max.lag=1s")
        watcher = Watcher(box, tail)
        watcher.wait_well()
        time.sleep(1.5)
        expect(watcher.health() == "", "%s: %s", sink, watcher.health())
        box.stop(tail)


def test_a_capture_that_ended_is_ill_while_its_end_is_not_met(box):
    """Who decodes stands still in a snapshot, and would come to it later."""
    writer, path, tail, watcher = watched(box, "--snapshot", "-D", "health.max.lag=1s",
                                          take=False, sql=[MANY_ROWS])
    watcher.wait_ill("the snapshot has not gone on for")
    os.rename(path, path + "-old")
    watcher.wait_ill("nothing is captured for")
    tail.start_taking()
    expect(tail.wait_exit(20 * box.slow) == 1, "%s", tail.error_text())


def test_an_archive_that_is_read_and_is_away_is_ill(box):
    archive, away = box.path("archive"), box.path("away")
    writer, path = box.database(TABLE)
    writing = ("--to", "none", "--state", box.path("state"), "--archive", archive, "--once")
    result = box.run(path, *writing)
    expect(result.code == 0, "%s", result)
    tail = box.tail("events", archive, "--follow", "-D", ANY, "-D", "health.max.lag=1s")
    watcher = Watcher(box, tail)
    watcher.wait_well()
    os.rename(archive, away)
    watcher.wait_ill("the archive is away for")
    os.rename(away, archive)
    watcher.wait_well()
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    result = box.run(path, *writing)
    expect(result.code == 0 and tail.wait_lines(1), "%s, no event", result)
    box.stop(tail)


def test_what_cannot_be_captured_for_want_of_room_is_ill(box):
    writer, path, tail, watcher = watched(box, "-D", "health.max.lag=1s", "-D",
                                          "journal.max.bytes=100000", take=False)
    for i in range(30):
        writer.sql("c", "INSERT INTO t VALUES (%d, zeroblob(30000))" % i)
    watcher.wait_ill("nothing is captured for")
    got = watcher.metrics()
    expect(got["rowtail_capture_stalls_total", ()] >= 1
           and got["rowtail_not_captured_bytes", ()] > 30000, "%s", got)
    tail.start_taking()
    expect(tail.wait_lines(30), "not all")
    watcher.wait_well()
    expect(watcher.metrics()["rowtail_not_captured_bytes", ()] == 0, "%s", watcher.metrics())
    box.stop(tail)


def test_a_full_disk_of_the_state_directory_is_ill(box):
    disk = SmallDisk(box, "disk", 16 << 20)
    writer, path, tail, watcher = watched(box, "-D", "health.max.lag=1s", "--to",
                                          "file:" + box.path("out"), "--state",
                                          os.path.join(disk.path, "state"))
    watcher.wait_well()
    for i in range(300):
        writer.sql("c", "INSERT INTO t VALUES (%d, randomblob(90000))" % i)
    watcher.wait_ill("disk")
    expect(os.path.join(disk.path, "state") in watcher.health(), "%s", watcher.health())
    disk.resize(128 << 20)
    watcher.wait_well()
    box.stop(tail)


def test_an_archive_that_is_away_is_ill(box):
    archive, away = box.path("archive"), box.path("away")
    writer, path, tail, watcher = watched(
        box, "--to", "none", "--state", box.path("state"), "--archive", archive, "-D",
        "archive.interval.ms=0", "-D", "health.max.lag=1s")
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    box.wait_until(lambda: glob.glob(archive + "/ltx/*/*.ltx"))
    watcher.wait_well()
    os.rename(archive, away)
    writer.sql("c", "INSERT INTO t VALUES (2, 1)")
    watcher.wait_ill("the archive is away for")
    expect(watcher.metrics()["rowtail_archive_retries_total", ()] >= 1, "none")
    os.rename(away, archive)            # it is tried again in up to a minute
    box.stop(tail)


def test_a_capture_thread_that_does_not_look_is_ill(box):
    use_faults(box)
    env = dict(os.environ, ROWTAIL_SLEEP="capture-made:5000000")
    writer, path, tail, watcher = watched(box, "-D", "health.max.lag=1s", env=env)
    watcher.wait_well()
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    watcher.wait_ill("the capture thread has not looked at the WAL for")
    watcher.wait_well()
    box.stop(tail)


def test_a_database_that_was_replaced_is_opened_again(box):
    """Ill meanwhile, and well after that."""
    writer, path, tail, watcher = watched(box, "--state", box.path("state"))
    writer.close()
    for end in ("-wal", "-shm"):
        if os.path.exists(path + end):
            os.unlink(path + end)
    os.rename(path, path + "-old")
    watcher.wait_ill("not following")
    writer, _ = box.database(TABLE, name=os.path.basename(path))
    watcher.wait_well()
    box.stop(tail)


# ---- /status ----

def test_status_is_that_of_the_command_and_costs_no_lock(box):
    writer, path, tail, watcher = watched(box, "--state", box.path("state"))
    writer.sql("c", "INSERT INTO t VALUES (1, 1)")
    expect(tail.wait_lines(1), "no event")
    time.sleep(0.5)
    before = lasting_locks(tail.pid, path)
    for _ in range(5):
        code, text, headers = watcher.ask("/status")
        expect(code == 200 and headers["Content-Type"] == "application/json", "%s %s", code, text)
        got = json.loads(text)
    command = json.loads(box.run("status", "--state", box.path("state"), "--json").out)
    expect(got.keys() == command.keys() and got["pid"] == tail.pid and got["following"]
           and got["acknowledged_lsn"] == command["acknowledged_lsn"], "%s, %s", got, command)
    after = lasting_locks(tail.pid, path)
    expect({kind for kind, _ in before} == {"file", "wal-index"} and after == before,
           "locks: %s, then %s", before, after)
    writer.sql("c", "INSERT INTO t VALUES (2, 1)")
    expect(tail.wait_lines(1), "no event")
    box.stop(tail)


def test_without_a_state_directory_it_is_short(box):
    writer, path, tail, watcher = watched(box)
    code, text, _ = watcher.ask("/status")
    got = json.loads(text)
    expect(code == 200 and got["database"] == path and got["pid"] == tail.pid
           and got["following"] and got["healthy"] and got["why"] is None, "%s", text)
    box.stop(tail)


# ---- who may ask, and how ----

def test_other_paths_and_methods_are_refused(box):
    writer, path, tail, watcher = watched(box)
    expect(watcher.ask("/")[0] == 404 and watcher.ask("/metrics/")[0] == 404, "found")
    for method in ("POST", "PUT", "DELETE", "TRACE"):
        code, text, headers = watcher.ask("/health", method)
        expect(code == 405 and headers["Allow"] == "GET, HEAD", "%s: %s", method, code)
    code, text, headers = watcher.ask("/metrics", "HEAD")
    expect(code == 200 and text == "" and int(headers["Content-Length"]) > 1000, "%s", headers)
    box.stop(tail)


def test_nothing_that_a_client_does_matters_to_the_run(box):
    writer, path, tail, watcher = watched(box)
    host, port = watcher.where.rsplit(":", 1)
    open_ones = []
    for i in range(60):                 # more than are let in
        one = socket.create_connection((host, int(port)))
        one.sendall([b"", b"GET /met", b"\0\xff" * 3000, b"GET " + b"/" * 30000,
                     b"POST /health HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 9999,
                     b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 4000][i % 6]
                    ) if i % 6 != 3 else None
        open_ones.append(one)
        writer.sql("c", "INSERT INTO t VALUES (%d, 1)" % i)
    expect(tail.wait_lines(60), "events are missing")
    for one in open_ones[::2]:
        one.close()

    def is_let_in():
        try:
            return watcher.health() == ""
        except (OSError, http.client.HTTPException):
            return False
    box.wait_until(is_let_in, 60, "nobody is let in again")
    for one in open_ones:
        one.close()
    box.stop(tail)


def test_a_stop_waits_for_no_client(box):
    writer, path, tail, watcher = watched(box)
    host, port = watcher.where.rsplit(":", 1)
    idle = socket.create_connection((host, int(port)))
    idle.sendall(b"GET /metrics HTTP/1.1\r\n")
    watcher.health()
    box.stop(tail)
    idle.close()


def test_a_socket_of_a_path(box):
    where = box.path("watch.sock")
    writer, path, tail, watcher = watched(box, where="metrics.listen=unix:" + where)
    expect(watcher.where == where and watcher.health() == "", "%s", watcher.where)
    mode = os.lstat(where).st_mode
    expect(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660, "%o", mode)
    result = box.run(path, "--snapshot", "--once", "-D", "metrics.listen=unix:" + where)
    expect(result.code == 1 and b"cannot listen there" in result.err, "%s", result)
    expect(watcher.health() == "", "it took the other's")
    tail.kill()
    expect(os.path.exists(where), "a killed one has removed it")
    tail = box.tail(path, "-D", "metrics.listen=unix:" + where)
    expect(Watcher(box, tail).health() == "", "what was left is in the way")
    box.stop(tail)
    expect(not os.path.exists(where), "it stays")
    with open(where, "w") as file:
        file.write("mine")
    result = box.run(path, "--snapshot", "--once", "-D", "metrics.listen=unix:" + where)
    expect(result.code == 1, "%s", result)
    with open(where) as file:
        expect(file.read() == "mine", "a file that is none of ours")


def test_what_is_no_address_is_said(box):
    writer, path = box.database(TABLE)
    for bad in ("9187", "localhost", ":9187", "127.0.0.1:", "127.0.0.1:70000", "::1:9187",
                "127.0.0.1:9a", "unix:", "unix:" + "x" * 120, "[::1]"):
        result = box.run(path, "--snapshot", "--once", "-D", "metrics.listen=" + bad, "--snapshot")
        expect(result.code == 2 and b"metrics.listen=" in result.err and b"HOST:PORT" in result.err,
               "%s: %s", bad, result)
    for bad in ("0s", "soon", "10", "-1s"):
        result = box.run(path, "--once", "-D", "health.max.lag=" + bad, "--snapshot")
        expect(result.code == 2 and b"health.max.lag=" in result.err, "%s", result)
    with socket.create_server(("127.0.0.1", 0)) as other:
        result = box.run(path, "--once", "--snapshot", "-D",
                         "metrics.listen=127.0.0.1:%d" % other.getsockname()[1])
    expect(result.code == 1 and b"cannot listen there" in result.err, "%s", result)


def test_who_can_be_reached_from_elsewhere_is_warned(box):
    for where, warns in (("0.0.0.0:0", True), ("127.0.0.1:0", False), ("localhost:0", False)):
        writer, path = box.database(TABLE, name=where.split(":")[0] + ".db")
        tail = box.tail(path, "-D", "metrics.listen=" + where)
        expect(("another machine" in tail.error_text()) == warns, "%s", tail.error_text())
        box.stop(tail)
