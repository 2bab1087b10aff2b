-- SPDX-License-Identifier: Apache-2.0
-- What an application adds to tests/bench/writer.c's tables to log its own changes.
-- No AUTOINCREMENT, which would cost a second table: who deletes leaves the last row.
CREATE TABLE change_log(id INTEGER PRIMARY KEY, tbl TEXT NOT NULL, op TEXT NOT NULL,
  before TEXT, after TEXT);

CREATE TRIGGER t_insert AFTER INSERT ON t BEGIN
  INSERT INTO change_log(tbl, op, after) VALUES('t', 'c', json_object('id', NEW.id,
    'name', NEW.name, 'qty', NEW.qty, 'price', NEW.price, 'note', NEW.note));
END;
CREATE TRIGGER t_update AFTER UPDATE ON t BEGIN
  INSERT INTO change_log(tbl, op, before, after) VALUES('t', 'u', json_object('id', OLD.id,
    'name', OLD.name, 'qty', OLD.qty, 'price', OLD.price, 'note', OLD.note),
    json_object('id', NEW.id, 'name', NEW.name, 'qty', NEW.qty, 'price', NEW.price,
    'note', NEW.note));
END;
CREATE TRIGGER t_delete AFTER DELETE ON t BEGIN
  INSERT INTO change_log(tbl, op, before) VALUES('t', 'd', json_object('id', OLD.id,
    'name', OLD.name, 'qty', OLD.qty, 'price', OLD.price, 'note', OLD.note));
END;

CREATE TRIGGER latency_insert AFTER INSERT ON latency BEGIN
  INSERT INTO change_log(tbl, op, after)
    VALUES('latency', 'c', json_object('id', NEW.id, 'stamp', NEW.stamp));
END;
