#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same changes of rows, made in all the ways that applications have: which of them do
libraries inside the application write down, and which does rowtail?

    make deps-compare all
    build/venv/bin/python tests/tools/audit_compare.py [build/release/rowtail]

Prints the table of docs/context.md. Needs django, django-auditlog, sqlalchemy and
SQLAlchemy-Continuum; without them it says so and exits 2.
"""

import collections
import importlib.metadata
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["django", "django-auditlog", "sqlalchemy", "sqlalchemy-continuum"]
CONTEXT = ("CREATE TABLE rowtail_context(id INTEGER PRIMARY KEY CHECK(id=1), seq INT NOT"
           " NULL, actor TEXT, request TEXT, reason TEXT)")
ITEM = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL)"
OTHER = "another"                      # program; what it does is no step of the others

# step, what it is for people, rows that it changes
STEPS = [
    ("create", "an object saved: a new row", 1),
    ("save", "an object saved: a changed row", 1),
    ("loop", "objects saved in a loop", 2),
    ("remove", "an object deleted", 1),
    ("query_remove", "a query that deletes", 1),
    ("query_change", "a query that updates", 2),
    ("bulk", "a bulk insert", 2),
    ("raw", "SQL as text", 1),
    (OTHER, "another program, as the shell `sqlite3`", 1),
]

DJANGO = '''
import json, sys
import django
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="x", USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "auditlog"],
    MIDDLEWARE=["__main__.login", "auditlog.middleware.AuditlogMiddleware",
                "__main__.audit_context"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1],
                           "ATOMIC_REQUESTS": True}})
django.setup()
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import models
from django.http import HttpResponse
from django.test import Client
from django.urls import path

%s

def login(get_response):
    def middleware(request):
        request.user = User.objects.get(username="alice")
        return get_response(request)
    return middleware

class Item(models.Model):
    name = models.TextField()
    class Meta:
        app_label, db_table, managed = "shop", "item", False
auditlog.register(Item)

def create(request):
    Item(id=1, name="new").save(force_insert=True)
def save(request):
    item = Item.objects.get(id=1)
    item.name = "saved"
    item.save()
def loop(request):
    for item in Item.objects.filter(id__in=(2, 3)):
        item.name = "looped"
        item.save()
def remove(request):
    Item.objects.get(id=4).delete()
def query_remove(request):
    Item.objects.filter(id=5).delete()
def query_change(request):
    Item.objects.filter(id__in=(2, 3)).update(name="changed")
def bulk(request):
    Item.objects.bulk_create([Item(id=7, name="b"), Item(id=8, name="c")])
def raw(request):
    with connection.cursor() as cursor:
        cursor.execute("update item set name = 'raw' where id = 1")

def view(act):
    def run(request):
        act(request)
        return HttpResponse("done")
    return run

steps = (create, save, loop, remove, query_remove, query_change, bulk, raw)
urlpatterns = [path(f.__name__, view(f)) for f in steps]
call_command("migrate", verbosity=0)
User.objects.create(username="alice")
print("ready", flush=True)
sys.stdin.readline()
client, found = Client(), {}
for f in steps:
    last = LogEntry.objects.count()
    assert client.get("/" + f.__name__).status_code == 200, f
    entries = LogEntry.objects.order_by("id")[last:]
    found[f.__name__] = [len(entries), sum(e.actor is not None for e in entries)]
print(json.dumps(found))
'''

SQLALCHEMY = '''
import json, sys
import sqlalchemy
from sqlalchemy import create_engine, delete, insert, text, update
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers, mapped_column
from sqlalchemy_continuum import make_versioned, version_class, versioning_manager
from sqlalchemy_continuum.plugins import Plugin, TransactionMetaPlugin

%s

class Who(Plugin):
    def before_flush(self, uow, session):
        if uow.current_transaction is not None and actor.get():
            uow.current_transaction.meta = {"actor": actor.get()}

make_versioned(user_cls=None, plugins=[TransactionMetaPlugin(), Who()])
class Base(DeclarativeBase):
    pass
class Item(Base):
    __tablename__ = "item"
    __versioned__ = {}
    id = mapped_column(sqlalchemy.Integer, primary_key=True)
    name = mapped_column(sqlalchemy.Text)
configure_mappers()

engine = create_engine("sqlite:///" + sys.argv[1])
Base.metadata.create_all(engine)
add_audit_context(engine)

def create(session):
    session.add(Item(id=1, name="new"))
def save(session):
    session.get(Item, 1).name = "saved"
def loop(session):
    for item in session.query(Item).filter(Item.id.in_((2, 3))):
        item.name = "looped"
def remove(session):
    session.delete(session.get(Item, 4))
def query_remove(session):
    session.execute(delete(Item).where(Item.id == 5))
def query_change(session):
    session.execute(update(Item).where(Item.id.in_((2, 3))).values(name="changed"))
def bulk(session):
    session.execute(insert(Item), [{"id": 7, "name": "b"}, {"id": 8, "name": "c"}])
def raw(session):
    session.execute(text("update item set name = 'raw' where id = 1"))

def count():
    with engine.connect() as c:
        return c.execute(text("SELECT (SELECT count(*) FROM item_version),"
                              " (SELECT count(*) FROM item_version JOIN transaction_meta"
                              " USING (transaction_id) WHERE key = 'actor')")).one()

print("ready", flush=True)
sys.stdin.readline()
found = {}
for f in (create, save, loop, remove, query_remove, query_change, bulk, raw):
    last = count()
    actor.set(f.__name__)
    with Session(engine) as session, session.begin():
        f(session)
    found[f.__name__] = [a - b for a, b in zip(count(), last)]
print(json.dumps(found))
'''


def recipe(heading):
    """The code under a heading of docs/context.md."""
    text = (ROOT / "docs/context.md").read_text(encoding="utf-8")
    part = text.split("\n## %s\n" % heading)[1].split("\n## ")[0]
    return re.search(r"```python\n(.*?)```", part, re.S).group(1)


def rows_of(log):
    """Lines of changed rows: step -> [rows, rows of which it is said who], in order."""
    found = collections.defaultdict(lambda: [0, 0])
    for line in log.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["op"] in ("insert", "update", "delete"):
            by = event.get("by")
            step = (by["reason"] or by["actor"]).rsplit("/", 1)[-1] if by else OTHER
            found[step][0] += 1
            found[step][1] += by is not None
    return found


def run(rowtail, source, heading, folder):
    """(what the library has, what rowtail has), a step's name -> [rows, with who]"""
    folder = pathlib.Path(folder)
    path, log = folder / "app.db", folder / "app.audit"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(CONTEXT)
    db.execute(ITEM)
    db.executemany("INSERT INTO item VALUES (?, 'old')", [(i,) for i in (2, 3, 4, 5, 6)])
    (folder / "program.py").write_text(source % recipe(heading), encoding="utf-8")
    program = subprocess.Popen([sys.executable, folder / "program.py", path],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if program.stdout.readline() != "ready\n":
        sys.exit("%s: the program does not begin" % heading)
    with open(folder / "errors", "wb") as errors:
        follower = subprocess.Popen(
            [rowtail, path, "--to", "audit:%s" % log, "--state", folder / "state", "-D",
             "table.include.list=item", "-D",
             "transaction.context.table=rowtail_context"], stderr=errors)
    try:
        wait(lambda: b"following" in (folder / "errors").read_bytes(), folder)
        out, _ = program.communicate("go\n", timeout=120)
        if program.returncode != 0:
            sys.exit("%s: the program failed" % heading)
        db.execute("UPDATE item SET name = 'other' WHERE id = 6")
        wait(lambda: sum(n for n, _ in rows_of(log).values()) >= sum(
            n for _, _, n in STEPS) and OTHER in rows_of(log), folder)
    finally:
        follower.terminate()
        follower.wait()
        program.kill()
        db.close()
    return json.loads(out), rows_of(log)


def wait(claim, folder):
    deadline = time.monotonic() + 60
    while not claim():
        if time.monotonic() > deadline:
            sys.exit("rowtail does not tell of all:\n" + (folder / "errors").read_text())
        time.sleep(0.05)


def table(results):
    """The lines; `results` are [(title, {step: [rows, with who]})]."""
    titles = [title for title, _ in results]
    yield "| rows that were changed by | rows | %s |" % " | ".join(titles)
    yield "|---|" + "---|" * (1 + len(titles))
    for step, text, rows in STEPS:
        yield "| %s | %d | %s |" % (text, rows, " | ".join(
            str(found.get(step, (0, 0))[0]) for _, found in results))
    for text, place in (("all", 0), ("of them with who did it", 1)):
        yield "| %s | %s | %s |" % (text, sum(s[2] for s in STEPS) if place == 0 else "",
                                    " | ".join(str(sum(n[place] for n in found.values()))
                                               for _, found in results))


def main():
    rowtail = os.path.abspath(sys.argv[1] if len(sys.argv) > 1
                              else ROOT / "build/release/rowtail")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            print("the Python package %s is not installed: make deps-compare" % package,
                  file=sys.stderr)
            sys.exit(2)
    with tempfile.TemporaryDirectory(prefix="compare") as folder:
        auditlog, django = run(rowtail, DJANGO, "Django", folder)
    with tempfile.TemporaryDirectory(prefix="compare") as folder:
        continuum, sqlalchemy = run(rowtail, SQLALCHEMY, "SQLAlchemy", folder)
    if django != sqlalchemy:
        sys.exit("rowtail: %s with Django, %s with SQLAlchemy" % (dict(django),
                                                                dict(sqlalchemy)))
    for line in table([("django-auditlog " + versions["django-auditlog"], auditlog),
                       ("SQLAlchemy-Continuum " + versions["sqlalchemy-continuum"],
                        continuum), ("rowtail", django)]):
        print(line)


if __name__ == "__main__":
    main()
