/* SPDX-License-Identifier: Apache-2.0 */

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.header.ConnectHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * The single message transforms of Kafka Connect and Debezium, done to records as a worker
 * does it: JsonConverter reads them, JsonConverter writes them.
 *
 * <p>A line {"schemas":BOOL,"transforms":{"transforms":"a,b","a.type":CLASS,"a.OPTION":…}}
 * begins a job, lines of records with schemas follow, an empty line ends it. Answers are
 * records, whose key and value are null or the text that the converter made, then an empty
 * line; where a transform throws, a line {"error":TEXT} in the record's place.
 */
public class Transform {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        BufferedReader in =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        String line;

        System.setOut(System.err); // for those who log
        while ((line = in.readLine()) != null) {
            Transform job = new Transform(JSON.readTree(line));
            while ((line = in.readLine()) != null && !line.isEmpty()) {
                ObjectNode answer = job.answer(JSON.readTree(line));
                if (answer != null) {
                    out.println(JSON.writeValueAsString(answer));
                }
            }
            out.println();
            out.flush();
        }
    }

    final List<Transformation<SourceRecord>> chain = new ArrayList<>();
    final JsonConverter readsKeys = converter(true, true);
    final JsonConverter reads = converter(true, false);
    final JsonConverter writesKeys;
    final JsonConverter writes;

    static JsonConverter converter(boolean schemas, boolean ofKeys) {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", Boolean.toString(schemas),
                "schemas.cache.size", "1000"), ofKeys);
        return converter;
    }

    @SuppressWarnings("unchecked")
    Transform(JsonNode job) throws Exception {
        boolean schemas = job.get("schemas").asBoolean();
        JsonNode all = job.get("transforms");

        writesKeys = converter(schemas, true);
        writes = converter(schemas, false);
        for (String name : all.get("transforms").asText().split(",")) {
            Map<String, String> own = new HashMap<>();
            all.fieldNames().forEachRemaining(key -> {
                if (key.startsWith(name + ".") && !key.equals(name + ".type")) {
                    own.put(key.substring(name.length() + 1), all.get(key).asText());
                }
            });
            Transformation<SourceRecord> transform = (Transformation<SourceRecord>)
                    Class.forName(all.get(name + ".type").asText())
                            .getDeclaredConstructor().newInstance();
            transform.configure(own);
            chain.add(transform);
        }
    }

    static byte[] bytes(JsonNode node) throws Exception {
        return node.isNull() ? null : JSON.writeValueAsBytes(node);
    }

    static void put(ObjectNode to, String name, byte[] text) {
        to.put(name, text == null ? null : new String(text, StandardCharsets.UTF_8));
    }

    ObjectNode answer(JsonNode line) throws Exception {
        String topic = line.get("topic").asText();
        SchemaAndValue key = readsKeys.toConnectData(topic, bytes(line.get("key")));
        SchemaAndValue value = reads.toConnectData(topic, bytes(line.get("value")));
        ConnectHeaders headers = new ConnectHeaders();
        ObjectNode answer = JSON.createObjectNode();

        for (String name : (Iterable<String>) () -> line.get("headers").fieldNames()) {
            headers.add(name,
                    reads.toConnectHeader(topic, name, bytes(line.get("headers").get(name))));
        }
        SourceRecord record = new SourceRecord(Map.of(), Map.of(), topic, null, key.schema(),
                key.value(), value.schema(), value.value(), null, headers);
        try {
            for (Transformation<SourceRecord> transform : chain) {
                record = transform.apply(record);
                if (record == null) {
                    return null;
                }
            }
        } catch (RuntimeException problem) {
            answer.put("error", problem.toString());
            return answer;
        }
        answer.put("topic", record.topic());
        put(answer, "key",
                writesKeys.fromConnectData(record.topic(), record.keySchema(), record.key()));
        put(answer, "value",
                writes.fromConnectData(record.topic(), record.valueSchema(), record.value()));
        ArrayNode list = answer.putArray("headers");
        for (Header header : record.headers()) {
            ObjectNode one = list.addObject();
            one.put("name", header.key());
            put(one, "value", writes.fromConnectHeader(record.topic(), header.key(),
                    header.schema(), header.value()));
        }
        return answer;
    }
}
