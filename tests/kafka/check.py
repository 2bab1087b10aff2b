"""rowtail check with a real broker: what it tells is what a run meets, and no topic, no
record and no owner is another afterwards."""

import json
import shutil

from harness.box import expect
from kafka.access import PASSWORD, properties, sasl_settings, secured
from kafka.librdkafka import Admin, read_all
from kafka.scene import Scene

TABLES = ["CREATE TABLE t(id INTEGER PRIMARY KEY, a)", "CREATE TABLE n(a)"]


def all_topics(scene):
    with Admin(scene.broker.address) as admin:
        return admin.topics()


def positions(scene):
    topic = "__rowtail-position." + scene.prefix
    return read_all(scene.broker.address, [topic]) if topic in all_topics(scene) else []


def create(scene, name, partitions=1, **config):
    """When it returns everybody sees it."""
    with Admin(scene.broker.address) as admin:
        admin.create_topic(name, partitions, **config)
    scene.box.wait_until(lambda: name in all_topics(scene))


def check(scene, *args, code=0, said=()):
    """What it tells, and that Kafka has what it had."""
    topics, before = all_topics(scene), len(positions(scene))
    result = scene.box.run("check", *scene.arguments(*args), "--json", timeout=60)
    expect(result.code == code, "exit %s, expected %s: %s", result.code, code, result)
    ours = {t: n for t, n in all_topics(scene).items() if scene.prefix in t}
    expect(ours == {t: n for t, n in topics.items() if scene.prefix in t},
           "topics were made: %s", ours)
    expect(len(positions(scene)) == before, "a position was written")
    found = json.loads(result.out)
    for word in said:
        expect(any(word in f["text"] for f in found["findings"]
                   if f["level"] == ("problem" if code else "ok")), "%r: %s", word, found)
    return found


def test_topics_that_are_there_and_those_that_would_be_made(box):
    scene = Scene(box, *TABLES)
    topics = [scene.prefix + name for name in ("", ".t", ".n")] + [
        "__rowtail-position." + scene.prefix]
    check(scene, said=["topic %s is not there, and would be made" % t for t in topics])
    create(scene, scene.prefix + ".t", 3)
    check(scene, said=["topic %s.t is there, partitions: 3" % scene.prefix,
                       "topic %s.n is not there" % scene.prefix])
    scene.once()
    check(scene, said=["topic %s is there" % t for t in topics])


def test_topics_that_cannot_be_made(box):
    scene = Scene(box, *TABLES)
    args = ["-D", "topic.creation.enable=false"]
    found = check(scene, *args, code=2, said=[scene.prefix + ".t", scene.prefix + ".n"])
    expect(sum(f["level"] == "problem" for f in found["findings"]) == 4, "%s", found)
    scene.once(*args, code=2)
    args = ["-D", "topic.creation.default.replication.factor=7"]
    check(scene, *args, code=2, said=["see topic.creation.*"])
    scene.once(*args, code=2)


def test_a_compacted_topic_for_a_table_without_a_key(box):
    scene = Scene(box, *TABLES)
    create(scene, scene.prefix + ".n", cleanup_policy="compact")
    check(scene, code=2, said=["is compacted"])
    scene.once(code=2)
    box.wait_until(lambda: scene.prefix + ".t" in all_topics(scene))
    check(scene, "-D", "message.key.columns=n:a")


def test_positions_that_do_not_fit(box):
    """Of another database, of a lost directory, and of one that was put back."""
    scene = Scene(box, *TABLES)
    scene.once()
    shutil.copytree(scene.state, box.path("old"))
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.once()
    check(scene)
    other = Scene(box, *TABLES, name="other.db")
    other.prefix = scene.prefix
    check(other, code=2, said=["belongs to another database"])
    other.once(code=2)
    shutil.move(scene.state, box.path("new"))
    check(scene, code=2, said=["from another state directory"])
    scene.once(code=2)
    check(scene, "-D", "snapshot.mode=when_needed", said=["a new snapshot is taken"])
    shutil.rmtree(scene.state)
    shutil.move(box.path("old"), scene.state)
    check(scene, code=2, said=["is older than what Kafka has"])
    scene.once(code=2)
    shutil.rmtree(scene.state)
    shutil.move(box.path("new"), scene.state)
    check(scene)
    scene.once()


def test_beside_a_run_that_goes_on(box):
    scene = Scene(box, *TABLES)
    run = scene.start()
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.wait_events(1)
    result = box.run("check", *scene.arguments(), "--json", timeout=60)
    problems = [f["text"] for f in json.loads(result.out)["findings"]
                if f["level"] == "problem"]
    expect(result.code == 2 and len(problems) == 1 and "in use by process" in problems[0],
           "%s", result)
    scene.sql("INSERT INTO t VALUES (2, 1)")
    scene.wait_events(2)
    scene.stop(run)
    scene.check()


def test_credentials_and_permissions(box):
    settings = sasl_settings("PLAIN", "plain.PlainLoginModule") + (
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
        "super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\n")
    args = properties(security_protocol="sasl_plaintext", sasl_mechanism="PLAIN",
                      sasl_username="rowtail")
    scene = secured(box, "SASL_PLAINTEXT", settings,
                    args + properties(sasl_password=PASSWORD))
    check(scene, said=["topic %s.t is not there, and would be made" % scene.prefix])
    with Admin(scene.broker.address) as admin:
        admin.allow("User:somebody", scene.prefix)
        admin.allow("User:rowtail", scene.prefix)
    scene.sql("INSERT INTO t VALUES (1, 1)")
    scene.once()
    check(scene, said=["topic %s.t is there" % scene.prefix])
    with Admin(scene.broker.address) as admin:
        admin.disallow("User:rowtail", scene.prefix)
    scene.sql("INSERT INTO t VALUES (2, 1)")
    check(scene, code=1, said=["topic %s.t is there, and Kafka does not show it"
                               % scene.prefix])
    scene.once(code=1)
    scene.args = args + properties(sasl_password="wrong-pass")
    check(scene, code=2, said=["refuses rowtail"])
    scene.once(code=2)
