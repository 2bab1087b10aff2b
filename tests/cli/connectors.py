"""Configurations as people have them for other connectors: what carries over does, what
cannot is told at once."""

import json
import os

from harness.box import TESTS, expect

FILES = os.path.join(TESTS, "cli", "connectors")
TABLES = ("CREATE TABLE orders(id INTEGER PRIMARY KEY, a)",
          "CREATE TABLE customers(id INTEGER PRIMARY KEY, name, password)",
          "CREATE TABLE others(id INTEGER PRIMARY KEY)",
          "INSERT INTO orders VALUES (1, 'x')", "INSERT INTO others VALUES (1)",
          "INSERT INTO customers VALUES (1, 'Ann', 'secret')")


def run(box, name, *more, **kinds):
    writer, path = box.database(*TABLES)
    return box.run(path, "--config", os.path.join(FILES, name), *more, **kinds)


def test_a_connector_of_postgresql(box):
    result = run(box, "postgres.json", "--once", "--lines=record")
    expect(result.code == 0, "%s", result)
    events = [json.loads(t) for t in result.out.splitlines()]
    rows = {e["topic"]: e["value"]["after"] for e in events}
    expect(rows == {"dbserver1.orders": {"id": 1, "a": "x"},
                    "dbserver1.customers": {"id": 1, "name": "Ann"}}, "%s", rows)
    ignored = [t for t in result.error_lines if "has no meaning" in t]
    expect(len(ignored) >= 10 and any("slot.name" in t for t in ignored), "%s", result)


def test_a_connector_of_mysql_names_all_that_cannot_be(box):
    result = run(box, "mysql.json", "--once")
    expect(result.code == 2 and result.out == b"", "%s", result)
    for key in ("bigint.unsigned.handling.mode", "time.precision.mode", "converters",
                "isbn.type", "value.converter", "value.converter.schema.registry.url"):
        found = [t for t in result.error_lines if "mysql.json: %s" % key in t]
        expect(len([t for t in found if t.split(": ")[2].split(" ")[0].split("=")[0]
                    .rstrip(":") == key]) == 1, "%s: %s", key, result)
    expect(result.error_lines[-1].endswith(
        "6 settings cannot be taken: see the lines above"), "%s", result)


def test_what_stands_beside_the_settings_is_none(box):
    """Seen: a list of columns that hides some was not taken, without a word."""
    with open(box.path("c.json"), "w") as file:
        json.dump({"name": "c", "config": {"topic.prefix": "a"},
                   "column.exclude.list": "customers.password"}, file)
    result = run(box, box.path("c.json"), "--once", "--snapshot")
    expect(result.code == 2 and "column.exclude.list stands beside" in
           result.error_lines[-1], "%s", result)


def test_brokers_of_a_file_are_no_sink_of_a_command(box):
    writer, path = box.database(*TABLES)
    box.stop(box.tail(path, "--state", box.path("s"), "--archive", box.path("a"),
                      "--to", "none"))
    result = box.run("events", box.path("a"), "--config",
                     os.path.join(FILES, "server.properties"), timeout=20)
    expect(result.code == 0 and b"tutorial.orders" not in result.out, "%s", result)
    expect(not any("Kafka" in t for t in result.error_lines), "%s", result)


def test_a_configuration_of_debezium_server(box):
    """Its brokers are the sink, unless --to says otherwise."""
    result = run(box, "server.properties", "--once", "--to", "file:" + box.path("out"))
    expect(result.code == 0, "%s", result)
    with open(box.path("out")) as file:
        expect(len(file.readlines()) == 1, "not the one row of orders")
    tail = box.tail(box.path(), "--config", os.path.join(FILES, "server.properties"),
                    "--state", box.path("other"), wait=False)
    box.wait_until(lambda: any("Kafka at 127.0.0.1:1 is out of reach" in t
                               for t in tail.errors), timeout=30)
    box.stop(tail)
