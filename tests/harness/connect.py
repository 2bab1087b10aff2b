"""What Kafka Connect's JsonConverter demands of {"schema":…,"payload":…}."""

import base64
import binascii

from harness.events import JsonFloat, Mismatch

KEYS = ["type", "fields", "items", "optional", "name", "version", "parameters",
        "default", "field"]
INT_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


def check_message(message):
    """A key, a value or a header: it has a schema, and the payload is of it."""
    if message is None:
        return
    if list(message) != ["schema", "payload"]:
        raise Mismatch("no schema and payload: %s" % str(message)[:200])
    check_schema(message["schema"], "schema")
    check(message["schema"], message["payload"], "payload")


def check_schema(schema, where):
    keys = list(schema)
    if keys != [k for k in KEYS if k in keys]:
        raise Mismatch("%s: keys %r" % (where, keys))
    if not isinstance(schema.get("optional"), bool):
        raise Mismatch("%s: optional is %r" % (where, schema.get("optional")))
    kind = schema["type"]
    if kind == "struct":
        names = [f["field"] for f in schema["fields"]]
        if len(set(names)) != len(names):
            raise Mismatch("%s: fields %r" % (where, names))
        for field in schema["fields"]:
            check_schema(field, "%s.%s" % (where, field["field"]))
    elif kind == "array":
        check_schema(schema["items"], where + "[]")
    elif kind not in INT_BITS and kind not in ("double", "string", "bytes", "boolean"):
        raise Mismatch("%s: type %r" % (where, kind))


def check(schema, value, where):
    kind = schema["type"]
    if value is None:
        if not schema["optional"]:
            raise Mismatch("%s is null and required" % where)
    elif kind == "struct":
        names = [f["field"] for f in schema["fields"]]
        if not isinstance(value, dict) or list(value) != names:
            raise Mismatch("%s has not the fields %r: %r" % (where, names, value))
        for field in schema["fields"]:
            check(field, value[field["field"]], "%s.%s" % (where, field["field"]))
    elif kind == "array":
        if not isinstance(value, list):
            raise Mismatch("%s is no array: %r" % (where, value))
        for i, item in enumerate(value):
            check(schema["items"], item, "%s[%d]" % (where, i))
    elif not is_of(kind, value):
        raise Mismatch("%s is no %s: %r" % (where, kind, value))


def is_of(kind, value):
    if kind in INT_BITS:
        limit = 1 << (INT_BITS[kind] - 1)
        return type(value) is int and -limit <= value < limit
    if kind == "double":
        return isinstance(value, JsonFloat)
    if kind == "boolean":
        return isinstance(value, bool)
    if not isinstance(value, str):
        return False
    if kind == "bytes":
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return False
    return True
