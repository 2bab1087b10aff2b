"""What a consumer knows who reads all messages of one state directory: each once, in
order, and the rows that result. It keeps a hash of each message, not the message, so that
hours of it fit into memory.
"""

import array
import zlib

from harness.events import Mismatch
from harness.expect import short
from harness.state import ascii_lower
from state.consumer import MERGED, Message, Replica, dump

ACCOUNTS = 200
TOTAL = ACCOUNTS * 1000             # of all amounts, in every committed state


def fingerprint(message):
    """The same for the same message at another time."""
    value = {k: v for k, v in message.value.items() if not k.startswith("ts_")}
    return zlib.crc32(dump([message.topic, message.key, value, message.headers]).encode())


class Ledger:
    """Every committed state has the same sum of amounts in `stock`; every commit of a
    writer counts one up in `counter`. So the transactions of a stream that is right are
    known, whatever was merged."""

    def __init__(self):
        self.replica = Replica()
        self.hashes = array.array("I")      # of events, by change_id - 1
        self.schema_changes = {}            # (lsn, ddl) -> hash
        self.lsn = None
        self.previous_lsn = None
        self.marks = None                   # (merged, catch-up) of the one under way
        self.counted = 0                    # counter rows' sum of changes in it
        self.amount = 0                     # sum of `stock`
        self.has_snapshot = False
        self.last_id = None                 # of this run
        self.next_id = None                 # with which it has to begin, if known
        self.restores = False               # states of before may come again
        self.transactions = self.merged = self.catch_ups = self.repeated = 0

    @property
    def events(self):
        return len(self.hashes)

    # -- one run -------------------------------------------------------------------

    def begin_run(self):
        self.last_id = None

    def end_run(self, clean):
        """A run that told nothing says nothing of where the next one begins."""
        if self.last_id is not None:
            self.next_id = self.last_id + 1 if clean else None

    def take(self, line):
        message = Message(line)
        if message.is_event:
            self._event(message)
        elif message.is_schema_change:
            self._schema_change(message)
        else:
            raise Mismatch("not expected: %r" % message)

    def _event(self, message):
        number = message.change_id
        if self.last_id is None and self.next_id not in (None, number):
            raise Mismatch("after a clean stop behind event %d it goes on with %r" % (
                self.next_id - 1, message))
        if self.last_id is not None and number != self.last_id + 1:
            raise Mismatch("change_id %d after %d: %r" % (number, self.last_id, message))
        self.last_id = number
        if number <= self.events:
            if self.hashes[number - 1] != fingerprint(message):
                raise Mismatch("another event %d comes again: %r" % (number, message))
            self.repeated += 1
            return
        if number != self.events + 1:
            raise Mismatch("change_id %d after %d: %r" % (number, self.events, message))
        self._enter(message)
        self.hashes.append(fingerprint(message))
        self.replica.apply(message)
        self._add(message)

    def _schema_change(self, message):
        place = (message.source["lsn"], message.value["ddl"])
        if place in self.schema_changes:    # it comes again after a kill
            if self.schema_changes[place] != fingerprint(message):
                raise Mismatch("another schema change comes again: %r" % message)
            return
        self.schema_changes[place] = fingerprint(message)
        for change in message.value["tableChanges"]:
            name = ascii_lower(change["id"].split(".")[-1].strip('"'))
            if change["type"] == "DROP":
                self.replica.tables.pop(name, None)
            elif " RENAME TO " in message.value["ddl"]:
                old = ascii_lower(message.value["ddl"].split('"')[1])
                if old in self.replica.tables:
                    self.replica.rename(old, name)

    # -- transactions --------------------------------------------------------------

    def _enter(self, message):
        marks = (message.merged, message.is_catch_up)
        if message.lsn == self.lsn:
            if marks != self.marks:
                raise Mismatch("marks %r, before it %r: %r" % (
                    marks, self.marks, message))
        else:
            if self.lsn is not None and message.lsn < self.lsn:
                raise Mismatch("lsn %d after %d: %r" % (message.lsn, self.lsn, message))
            self.end_transaction()
            self.previous_lsn, self.lsn = self.lsn, message.lsn
            self.marks, self.counted = marks, 0
        want = dump([None if self.previous_lsn is None else str(self.previous_lsn),
                     str(self.lsn)])
        if message.source["sequence"] != want:
            raise Mismatch("sequence is not %s: %r" % (want, message))

    def _add(self, message):
        before, after = message.before or {}, message.after or {}
        if message.table == "stock":
            self.amount += after.get("amount", 0) - before.get("amount", 0)
        elif message.table == "counter":
            self.counted += after.get("n", 0) - before.get("n", 0)
        self.has_snapshot |= message.op == "r"

    def end_transaction(self):
        """All of it is there."""
        if self.lsn is None:
            return
        merged, catch_up = self.marks
        self.transactions += 1
        self.merged += merged > 0
        self.catch_ups += catch_up
        if self.amount != TOTAL:
            raise Mismatch("after lsn %d the amounts are %d" % (self.lsn, self.amount))
        most = merged or 1
        first = self.transactions == 1 and self.has_snapshot
        if not first and not catch_up and not self.restores and not (
                0 <= self.counted <= most):
            raise Mismatch("lsn %d (%s: %d) has the changes of %d commits" % (
                self.lsn, MERGED, merged, self.counted))

    def complete(self, state):
        """Everything has come: the rows are those of the database."""
        self.end_transaction()
        for name in list(self.replica.tables):
            if name not in state.tables and self.replica.tables[name]:
                raise Mismatch("rows of table %s, which is gone: %s" % (
                    name, short(self.replica.tables[name])))
        self.replica.compare(state)

    def counts(self):
        return (1, self.transactions, self.merged, self.catch_ups, self.events,
                self.repeated)
