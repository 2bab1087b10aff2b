// SPDX-License-Identifier: Apache-2.0

// tests/helpers/loop_sql.c, in Go, with a SQLite that was translated to Go: DATABASE SQL
// COUNT PAUSE_US.
package main

import (
	"bufio"
	"database/sql"
	"encoding/binary"
	"log"
	"os"
	"strconv"
	"time"

	_ "modernc.org/sqlite"
)

func lines(path string) []string {
	source, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	var found []string
	scanner := bufio.NewScanner(source)
	for scanner.Scan() {
		found = append(found, scanner.Text())
	}
	return found
}

func main() {
	transactions := lines(os.Args[2])
	db, err := sql.Open("sqlite", "file:"+os.Args[1]+"?_pragma=busy_timeout(20000)")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	target, err := os.OpenFile(os.Args[3], os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		log.Fatal(err)
	}
	pause, err := strconv.Atoi(os.Args[4])
	if err != nil {
		log.Fatal(err)
	}
	counted := make([]byte, 8)
	var count uint64
	for {
		for _, transaction := range transactions {
			if _, err := db.Exec(transaction); err == nil {
				count++
				binary.NativeEndian.PutUint64(counted, count)
				if _, err := target.WriteAt(counted, 0); err != nil {
					log.Fatal(err)
				}
			} else {
				db.Exec("ROLLBACK")
			}
			time.Sleep(time.Duration(pause) * time.Microsecond)
		}
	}
}
