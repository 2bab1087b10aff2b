"""The recipes of docs/context.md with the real frameworks: code from there, run as it
stands, and each event must have its actor."""

import json
import os
import re
import subprocess
import sys

from harness.box import TESTS, NotRun, expect

CONTEXT = ("CREATE TABLE rowtail_context(id INTEGER PRIMARY KEY CHECK(id=1), seq INT NOT"
           " NULL, actor TEXT, request TEXT, reason TEXT)")
ITEMS = "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL)"

DJANGO = '''
import sys
import django
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF="__main__", SECRET_KEY="x", USE_TZ=True,
    MIDDLEWARE=["__main__.login", "__main__.audit_context"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1],
                           "ATOMIC_REQUESTS": True}})
django.setup()
from django.db import models, transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import path

%s

def login(get_response):
    def middleware(request):
        request.user = request.headers["X-User"]
        return get_response(request)
    return middleware

class Item(models.Model):
    name = models.TextField()
    class Meta:
        app_label, db_table, managed = "shop", "item", False

def save(request):
    Item(id=1, name="saved").save(force_insert=True)
def change(request):
    Item.objects.filter(id=1).update(name="changed")
def many(request):
    Item.objects.bulk_create([Item(id=2, name="b"), Item(id=3, name="c")])
def raw(request):
    with connection.cursor() as cursor:
        cursor.execute("update item set name = 'raw' where id = 2")
def rolled_back(request):
    try:
        with transaction.atomic():
            Item(id=8, name="no").save(force_insert=True)
            raise KeyError
    except KeyError:
        Item(id=9, name="after").save(force_insert=True)
def remove(request):
    Item.objects.get(id=3).delete()
def read(request):
    list(Item.objects.all())

def view(act):
    def run(request):
        act(request)
        return HttpResponse("done")
    return run

urlpatterns = [path(f.__name__, view(f))
               for f in (save, change, many, raw, rolled_back, remove, read)]
client = Client()
for n, f in enumerate((save, change, many, raw, rolled_back, remove, read)):
    answer = client.get("/" + f.__name__, headers={"X-User": "user%%d" %% n,
                                                   "X-Request-Id": "r%%d" %% n})
    assert answer.status_code == 200, answer
Item(id=20, name="nobody").save(force_insert=True)
'''

SQLALCHEMY = '''
import sys
from sqlalchemy import create_engine, delete, text, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

%s

class Base(DeclarativeBase):
    pass
class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

engine = create_engine("sqlite:///" + sys.argv[1])
add_audit_context(engine)

def flush(session):
    session.add(Item(id=1, name="saved"))
def change(session):
    session.execute(update(Item).where(Item.id == 1).values(name="changed"))
def many(session):
    session.add_all([Item(id=2, name="b"), Item(id=3, name="c")])
def raw(session):
    session.execute(text("update item set name = 'raw' where id = 2"))
def rolled_back(session):
    session.execute(text("update item set name = 'first' where id = 2"))
    nested = session.begin_nested()
    session.add(Item(id=8, name="no"))
    session.flush()
    nested.rollback()
    session.add(Item(id=9, name="after"))
def remove(session):
    session.execute(delete(Item).where(Item.id == 3))
def read(session):
    session.get(Item, 1)

for n, act in enumerate((flush, change, many, raw, rolled_back, remove, read)):
    actor.set("user%%d" %% n)
    with Session(engine) as session, session.begin():
        act(session)
actor.set(None)
with Session(engine) as session, session.begin():
    session.add(Item(id=20, name="nobody"))
'''


def recipe(heading):
    """The code under a heading of docs/context.md."""
    with open(os.path.join(TESTS, "..", "docs", "context.md"), encoding="utf-8") as doc:
        text = doc.read()
    part = text.split("\n## %s\n" % heading)[1].split("\n## ")[0]
    return re.search(r"```python\n(.*?)```", part, re.S).group(1)


def run(box, package, source, heading):
    """What the program's changes came to: operation, id, context."""
    done = subprocess.run([sys.executable, "-c", "import " + package],
                          stderr=subprocess.DEVNULL)
    if done.returncode != 0:
        raise NotRun("the Python package %s is not installed" % package)
    _, path = box.database(CONTEXT, ITEMS)
    script = box.path("program.py")
    with open(script, "w", encoding="utf-8") as out:
        out.write(source % recipe(heading))
    tail = box.tail(path, "-D", "transaction.context.table=rowtail_context", "-D",
                    "transaction.context.alone=emit")
    program = subprocess.run([sys.executable, script, path], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=60 * box.slow)
    expect(program.returncode == 0, "the program failed:\n%s",
           program.stdout.decode("utf-8", "replace")[-2000:])
    events = []
    while not events or (events[-1]["after"] or {}).get("id") != 20:
        expect(tail.wait_lines(1), "no more events than %s:\n%s", events,
               tail.error_text())
        events.append(json.loads(tail.take(1)[0]))
    box.stop(tail)
    return [(e["op"], (e["after"] or e["before"])["id"], e["context"]) for e in events]


def users(found):
    return [(op, key, context and context["actor"]) for op, key, context in found]


def test_django_names_the_user_whatever_way_it_writes(box):
    found = run(box, "django", DJANGO, "Django")
    expect(users(found) == [
        ("c", 1, "user0"), ("u", 1, "user1"), ("c", 2, "user2"), ("c", 3, "user2"),
        ("u", 2, "user3"), ("c", 9, "user4"), ("d", 3, "user5"), ("c", 20, None)],
        "%s", found)
    expect(found[1][2]["request"] == "r1" and found[1][2]["reason"] == "GET /change",
           "%s", found)


def test_sqlalchemy_names_the_actor_whatever_way_it_writes(box):
    found = run(box, "sqlalchemy", SQLALCHEMY, "SQLAlchemy")
    expect(users(found) == [
        ("c", 1, "user0"), ("u", 1, "user1"), ("c", 2, "user2"), ("c", 3, "user2"),
        ("u", 2, "user3"), ("u", 2, "user4"), ("c", 9, "user4"), ("d", 3, "user5"),
        ("c", 20, None)], "%s", found)
