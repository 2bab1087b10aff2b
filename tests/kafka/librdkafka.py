"""What the tests need of librdkafka: to read and write topics, and to make, change and
remove them. The broker judges rowtail; so this uses nothing of rowtail's.

Constants and structures are those of librdkafka/rdkafka.h, version 2.
"""

import ctypes
import time
from ctypes import (POINTER, Structure, byref, c_char_p, c_int, c_int32, c_int64,
                    c_size_t, c_void_p, create_string_buffer)

PRODUCER, CONSUMER = 0, 1
NO_ERROR, PARTITION_EOF = 0, -191
OFFSET_BEGINNING = -2
COPY = 2
RESOURCE_TOPIC, PREFIXED, OPERATION_ALL, ALLOW = 2, 4, 2, 3


class KafkaError(Exception):
    """A call that failed; the text is librdkafka's."""


class Message(Structure):
    _fields_ = [("err", c_int), ("rkt", c_void_p), ("partition", c_int32),
                ("payload", c_void_p), ("len", c_size_t), ("key", c_void_p),
                ("key_len", c_size_t), ("offset", c_int64), ("private", c_void_p)]


class PartitionMetadata(Structure):
    _fields_ = [("id", c_int32), ("err", c_int), ("leader", c_int32),
                ("replica_cnt", c_int), ("replicas", POINTER(c_int32)),
                ("isr_cnt", c_int), ("isrs", POINTER(c_int32))]


class TopicMetadata(Structure):
    _fields_ = [("topic", c_char_p), ("partition_cnt", c_int),
                ("partitions", POINTER(PartitionMetadata)), ("err", c_int)]


class Metadata(Structure):
    _fields_ = [("broker_cnt", c_int), ("brokers", c_void_p), ("topic_cnt", c_int),
                ("topics", POINTER(TopicMetadata)), ("orig_broker_id", c_int32),
                ("orig_broker_name", c_char_p)]


_library = None


def library():
    """Loaded when first used; OSError where it is not installed."""
    global _library
    if _library is None:
        lib = ctypes.CDLL("librdkafka.so.1")
        pointers = """conf_new new topic_new consumer_poll err2str topic_name queue_new queue_poll
            topic_partition_list_new topic_partition_list_add NewTopic_new DeleteTopic_new
            ConfigResource_new AdminOptions_new event_error_string
            event_CreateTopics_result event_DeleteTopics_result
            event_DescribeConfigs_result CreateTopics_result_topics
            DeleteTopics_result_topics topic_result_error_string
            DescribeConfigs_result_resources ConfigResource_configs ConfigEntry_name
            ConfigEntry_value ConfigResource_error_string AclBinding_new
            AclBindingFilter_new""".split()
        for name in pointers:
            getattr(lib, "rd_kafka_" + name).restype = c_void_p
        for name in ["err2str", "topic_name", "event_error_string", "ConfigEntry_name",
                     "ConfigEntry_value", "topic_result_error_string",
                     "ConfigResource_error_string"]:
            getattr(lib, "rd_kafka_" + name).restype = c_char_p
        lib.rd_kafka_consumer_poll.restype = POINTER(Message)
        lib.rd_kafka_message_timestamp.restype = c_int64
        _library = lib
    return _library


def lacking():
    """Why it cannot be used here, or None."""
    try:
        library()
    except OSError:
        return "no librdkafka: make deps-kafka"
    return None


def text(data):
    return data.decode("utf-8", "replace") if data else ""


class Client:
    """A handle; `settings` are librdkafka's."""

    def __init__(self, kind, address, settings=None):
        self.lib = library()
        conf = c_void_p(self.lib.rd_kafka_conf_new())
        error = create_string_buffer(512)
        every = {"bootstrap.servers": address, "log_level": "0"}
        every.update(settings or {})
        for name, value in every.items():
            if self.lib.rd_kafka_conf_set(conf, name.encode(), str(value).encode(),
                                          error, c_size_t(len(error))) != 0:
                raise KafkaError(text(error.value))
        self.handle = c_void_p(self.lib.rd_kafka_new(kind, conf, error,
                                                     c_size_t(len(error))))
        if not self.handle:
            raise KafkaError(text(error.value))

    def check(self, code, what):
        if code != NO_ERROR:
            raise KafkaError("%s: %s" % (what, text(self.lib.rd_kafka_err2str(code))))

    def topics(self, timeout=15):
        """Partitions of each topic: {name: count}."""
        found = POINTER(Metadata)()
        self.check(self.lib.rd_kafka_metadata(
            self.handle, 1, None, byref(found), int(timeout * 1000)), "metadata")
        try:
            listed = [found.contents.topics[i] for i in range(found.contents.topic_cnt)]
            return {text(t.topic): t.partition_cnt for t in listed if not t.err}
        finally:
            self.lib.rd_kafka_metadata_destroy(found)

    def close(self):
        self.lib.rd_kafka_destroy(self.handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Record:
    """One message of a topic. key and value are bytes or None."""

    __slots__ = ("topic", "partition", "offset", "timestamp", "key", "value", "headers")

    def __init__(self, lib, message):
        self.topic = text(lib.rd_kafka_topic_name(c_void_p(message.rkt)))
        self.partition = message.partition
        self.offset = message.offset
        self.key = _bytes(message.key, message.key_len)
        self.value = _bytes(message.payload, message.len)
        kind = c_int()
        self.timestamp = lib.rd_kafka_message_timestamp(byref(message), byref(kind))
        self.headers = _headers(lib, message)

    def __repr__(self):
        return "%s[%d]@%d key %r value %r headers %r" % (
            self.topic, self.partition, self.offset, self.key, (self.value or b"")[:300],
            self.headers)


def _bytes(pointer, length):
    return ctypes.string_at(pointer, length) if pointer else None


def _headers(lib, message):
    headers = c_void_p()
    if lib.rd_kafka_message_headers(byref(message), byref(headers)) != NO_ERROR:
        return []
    found = []
    name, value, length = c_char_p(), c_void_p(), c_size_t()
    while lib.rd_kafka_header_get_all(headers, c_size_t(len(found)), byref(name),
                                      byref(value), byref(length)) == NO_ERROR:
        found.append((text(name.value), _bytes(value.value, length.value)))
    return found


class Consumer(Client):
    """Reads whole topics from their beginning; joins no group."""

    def __init__(self, address, topics, committed=True, settings=None):
        every = {"group.id": "rowtail-tests", "enable.partition.eof": "true",
                 "enable.auto.commit": "false", "check.crcs": "true",
                 # The broker answers at once where there is nothing more.
                 "fetch.wait.max.ms": "10", "fetch.error.backoff.ms": "20",
                 "isolation.level": "read_committed" if committed else
                 "read_uncommitted"}
        every.update(settings or {})
        super().__init__(CONSUMER, address, every)
        there = self.topics()
        self.open = {(name, i) for name in topics for i in range(there.get(name, 0))}
        chosen = c_void_p(self.lib.rd_kafka_topic_partition_list_new(
            max(1, len(self.open))))
        for name, i in sorted(self.open):
            self.lib.rd_kafka_topic_partition_list_add(chosen, name.encode(), i)
            self.lib.rd_kafka_topic_partition_list_set_offset(
                chosen, name.encode(), i, c_int64(OFFSET_BEGINNING))
        self.check(self.lib.rd_kafka_assign(self.handle, chosen), "assign")
        self.lib.rd_kafka_topic_partition_list_destroy(chosen)

    def poll(self, timeout=1.0):
        """A Record, or None: nothing now. Ends of partitions are noted in `open`."""
        message = self.lib.rd_kafka_consumer_poll(self.handle, int(timeout * 1000))
        if not message:
            return None
        try:
            it = message.contents
            if it.err == NO_ERROR:
                return Record(self.lib, it)
            if it.err == PARTITION_EOF:
                name = text(self.lib.rd_kafka_topic_name(c_void_p(it.rkt)))
                self.open.discard((name, it.partition))
            elif it.err > 0:
                self.check(it.err, "consume")
            return None         # a broker that is away for a while is no error here
        finally:
            self.lib.rd_kafka_message_destroy(message)

    def close(self):
        self.lib.rd_kafka_consumer_close(self.handle)
        super().close()


class Producer(Client):
    """Writes into partition 0."""

    def __init__(self, address, settings=None):
        super().__init__(PRODUCER, address, settings)

    def send(self, topic, key, value, timeout=30):
        """When it returns the broker has it. key and value are bytes or None."""
        handle = c_void_p(self.lib.rd_kafka_topic_new(self.handle, topic.encode(), None))
        try:
            if self.lib.rd_kafka_produce(
                    handle, 0, COPY, value, c_size_t(len(value or b"")), key,
                    c_size_t(len(key or b"")), None) != 0:
                self.check(self.lib.rd_kafka_last_error(), "produce")
            self.check(self.lib.rd_kafka_flush(self.handle, int(timeout * 1000)),
                       "flush")
        finally:
            self.lib.rd_kafka_topic_destroy(handle)


class Admin(Client):
    """Topics and permissions."""

    def __init__(self, address, settings=None):
        super().__init__(PRODUCER, address, settings)

    def _ask(self, call, things, destroy, take):
        """Sends one request about an array of things and gives its event to `take`."""
        queue = c_void_p(self.lib.rd_kafka_queue_new(self.handle))
        array = (c_void_p * len(things))(*things)
        try:
            getattr(self.lib, "rd_kafka_" + call)(
                self.handle, array, c_size_t(len(things)), None, queue)
            event = c_void_p(self.lib.rd_kafka_queue_poll(queue, 30000))
            if not event:
                raise KafkaError("%s: no answer" % call)
            try:
                code = self.lib.rd_kafka_event_error(event)
                if code != NO_ERROR:
                    raise KafkaError("%s: %s" % (
                        call, text(self.lib.rd_kafka_event_error_string(event))))
                return take(event) if take else None
            finally:
                self.lib.rd_kafka_event_destroy(event)
        finally:
            for thing in things:
                getattr(self.lib, destroy)(c_void_p(thing))
            self.lib.rd_kafka_queue_destroy(queue)

    def _topic_results(self, call):
        def take(event):
            result = c_void_p(getattr(self.lib, "rd_kafka_event_%s_result" % call)(event))
            count = c_size_t()
            array = ctypes.cast(getattr(self.lib, "rd_kafka_%s_result_topics" % call)(
                result, byref(count)), POINTER(c_void_p))
            for i in range(count.value):
                self.check(self.lib.rd_kafka_topic_result_error(c_void_p(array[i])),
                           call)
        return take

    def create_topic(self, name, partitions=1, **config):
        error = create_string_buffer(512)
        topic = self.lib.rd_kafka_NewTopic_new(name.encode(), partitions, 1, error,
                                               c_size_t(len(error)))
        for key, value in config.items():
            self.lib.rd_kafka_NewTopic_set_config(
                c_void_p(topic), key.replace("_", ".").encode(), str(value).encode())
        self._ask("CreateTopics", [topic], "rd_kafka_NewTopic_destroy",
                  self._topic_results("CreateTopics"))

    def delete_topic(self, name):
        self._ask("DeleteTopics", [self.lib.rd_kafka_DeleteTopic_new(name.encode())],
                  "rd_kafka_DeleteTopic_destroy", self._topic_results("DeleteTopics"))

    def topic_config(self, name):
        """All settings of a topic."""
        def take(event):
            result = c_void_p(self.lib.rd_kafka_event_DescribeConfigs_result(event))
            count = c_size_t()
            found = ctypes.cast(self.lib.rd_kafka_DescribeConfigs_result_resources(
                result, byref(count)), POINTER(c_void_p))
            resource = c_void_p(found[0])
            self.check(self.lib.rd_kafka_ConfigResource_error(resource), name)
            entries = ctypes.cast(self.lib.rd_kafka_ConfigResource_configs(
                resource, byref(count)), POINTER(c_void_p))
            return {text(self.lib.rd_kafka_ConfigEntry_name(c_void_p(entries[i]))):
                    text(self.lib.rd_kafka_ConfigEntry_value(c_void_p(entries[i])))
                    for i in range(count.value)}
        resource = self.lib.rd_kafka_ConfigResource_new(RESOURCE_TOPIC, name.encode())
        return self._ask("DescribeConfigs", [resource],
                         "rd_kafka_ConfigResource_destroy", take)

    def _acl(self, make, principal, prefix):
        error = create_string_buffer(512)
        made = getattr(self.lib, make)(
            RESOURCE_TOPIC, prefix.encode(), PREFIXED, principal.encode(), b"*",
            OPERATION_ALL, ALLOW, error, c_size_t(len(error)))
        if not made:
            raise KafkaError(text(error.value))
        return made

    def allow(self, principal, prefix):
        """Everything on topics whose names begin so, to this one and those named
        before."""
        self._ask("CreateAcls",
                  [self._acl("rd_kafka_AclBinding_new", principal, prefix)],
                  "rd_kafka_AclBinding_destroy", None)

    def disallow(self, principal, prefix):
        self._ask("DeleteAcls",
                  [self._acl("rd_kafka_AclBindingFilter_new", principal, prefix)],
                  "rd_kafka_AclBinding_destroy", None)


def read_all(address, topics, committed=True, settings=None, timeout=60):
    """All records that the topics have now, up to the last stable offset."""
    deadline = time.monotonic() + timeout
    with Consumer(address, topics, committed, settings) as consumer:
        records = []
        while consumer.open:
            record = consumer.poll(0.5)
            if record:
                records.append(record)
            if time.monotonic() > deadline:
                raise KafkaError("the ends of %s are not reached after %d s" % (
                    sorted(consumer.open), timeout))
    return records
