"""Who reads what the application of these tests (application.py) has changed.

Every transaction of the application writes a row into `log` with its number and with
sums over all tables as they are then. So whoever applies the events knows after each
transaction whether the rows are those that the database had at that commit, and whether
one is missing.
"""

from harness.box import Failed, expect
from harness.events import Mismatch
from state.consumer import CATCH_UP, Message, Replica, Stream, read_state

SUMS = ("(SELECT count(*) FROM t), (SELECT total(id) FROM t),"
        " (SELECT total(length(a)) FROM t), (SELECT count(*) FROM bare),"
        " (SELECT total(length(b)) FROM bare), (SELECT total(v) FROM tree)")
SUM_NAMES = ["t_rows", "t_ids", "t_length", "bare_rows", "bare_length", "tree_sum"]


class Rows(Replica):
    """The replica, and the same sums over it, kept up to date with each event."""

    def __init__(self):
        super().__init__()
        self.sums = dict.fromkeys(SUM_NAMES, 0)

    def apply(self, message):
        super().apply(message)
        for row, sign in ((message.before, -1), (message.after, 1)):
            if row is not None:
                self._add(message.table, row, sign)

    def _add(self, table, row, sign):
        if table == "t":
            self.sums["t_rows"] += sign
            self.sums["t_ids"] += sign * row["id"]
            self.sums["t_length"] += sign * len(row["a"])
        elif table == "bare":
            self.sums["bare_rows"] += sign
            self.sums["bare_length"] += sign * len(row["b"])
        elif table == "tree":
            self.sums["tree_sum"] += sign * row["v"]


class Consumer:
    """All that came out of one state directory. `take` gets what each run gave."""

    def __init__(self):
        self.stream = Stream()
        self.rows = Rows()
        self.number = 0             # of the newest row of log
        self.log = None             # that row
        self.lsn = None             # of the transaction whose events come now
        self.logged = 0             # rows of log in it
        self.is_loose = False       # it may be several, or none
        self.transactions = 0
        self.catch_ups = 0

    def take(self, lines, clean):
        """Raises Failed unless these lines may follow what came before."""
        try:
            for message in self.stream.add([Message(t) for t in lines], clean):
                if message.is_event:
                    self._event(message)
        except Mismatch as problem:
            raise Failed(str(problem))

    def _event(self, message):
        if message.lsn != self.lsn:
            self._end()
            self.lsn, self.logged = message.lsn, 0
            self.is_loose = (message.op == "r" or message.is_catch_up
                             or message.merged > 0)
            self.catch_ups += message.headers.get(CATCH_UP) is True
        self.rows.apply(message)
        if message.table == "log":
            self._log(message)

    def _log(self, message):
        row = message.after
        if message.headers.get(CATCH_UP) is True:
            return                  # commits may have been undone: see _recount
        if message.op not in "cr" or row["n"] != self.number + 1:
            raise Mismatch("after transaction %d comes %r" % (self.number, message))
        self.number += 1
        self.logged += 1
        self.log = row

    def _end(self):
        """A transaction is complete: are the rows those of that commit?"""
        if self.lsn is None:
            return
        self.transactions += 1
        if self.is_loose:
            self._recount()
        if self.logged != 1 and not self.is_loose:
            raise Mismatch("%d commits in transaction %s" % (self.logged, self.lsn))
        sums = {name: self.log[name] for name in SUM_NAMES} if self.log else None
        if sums != self.rows.sums:
            raise Mismatch("after commit %d (lsn %s) the rows have %s, the database"
                           " had %s" % (self.number, self.lsn, self.rows.sums, sums))

    def _recount(self):
        """After a comparison: the numbers have no gap, the last row is the newest."""
        rows = sorted(self.rows.tables.get("log", {}).values(), key=lambda r: r["n"])
        if [r["n"] for r in rows] != list(range(1, len(rows) + 1)):
            raise Mismatch("log has a gap: %s" % [r["n"] for r in rows][-20:])
        self.number = len(rows)
        self.log = rows[-1] if rows else None

    def complete(self, path, number=None):
        """Everything has come: these are the rows of the database, and all commits."""
        try:
            self._end()
            self.lsn = None
            self.rows.compare(read_state(path))
        except Mismatch as problem:
            raise Failed(str(problem))
        expect(number is None or self.number == number,
               "the last commit is %s, %s came", number, self.number)
