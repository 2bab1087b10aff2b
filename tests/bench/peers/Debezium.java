// SPDX-License-Identifier: Apache-2.0
// Debezium's PostgreSQL connector in its embedded engine; events are lines on stdout.
//
//     java -cp 'JARS/*' Debezium.java PORT DATABASE POLL_INTERVAL_MS
//
// Other settings are the defaults, but that there is no first snapshot, no schemas in each
// event, and offsets are kept in memory. Ends with its stdin.

import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Properties;

public class Debezium {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        String[][] pairs = {
            {"name", "peers"},
            {"connector.class", "io.debezium.connector.postgresql.PostgresConnector"},
            {"offset.storage", "org.apache.kafka.connect.storage.MemoryOffsetBackingStore"},
            {"database.hostname", "127.0.0.1"},
            {"database.port", args[0]},
            {"database.user", "postgres"},
            {"database.password", ""},
            {"database.dbname", args[1]},
            {"topic.prefix", "peers"},
            {"poll.interval.ms", args[2]},
            {"plugin.name", "pgoutput"},
            {"snapshot.mode", "no_data"},
            {"value.converter.schemas.enable", "false"},
            {"key.converter.schemas.enable", "false"},
        };
        for (String[] pair : pairs) {
            settings.setProperty(pair[0], pair[1]);
        }
        PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false,
            StandardCharsets.UTF_8);
        DebeziumEngine<ChangeEvent<String, String>> engine = DebeziumEngine.create(Json.class)
            .using(settings)
            .notifying((events, committer) -> {
                for (ChangeEvent<String, String> event : events) {
                    if (event.value() != null) {
                        out.print(event.value());
                        out.print('\n');
                    }
                    committer.markProcessed(event);
                }
                committer.markBatchFinished();
                out.flush();
            })
            .using((success, message, error) -> {
                if (!success) {
                    System.err.println("Debezium: " + message);
                    System.exit(1);
                }
            })
            .build();
        Thread runner = new Thread(engine);
        runner.setDaemon(true);
        runner.start();
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }
}
