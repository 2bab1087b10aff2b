// SPDX-License-Identifier: Apache-2.0

// Verifies an audit log with golang.org/x/mod: sumdb/note for heads, sumdb/tlog for the
// tree. Nothing of it is rowtail's.
//
//	verifier VKEY FILE[,FILE]... [CHECKPOINT]...
//	verifier prove VKEY LINE PROOF          of rowtail audit prove
//	verifier witness VKEY CHECKPOINT BODY   of rowtail audit consistency
//
// Each line is a record, exactly as it stands but for its LF. A log is in one FILE or in
// several, in their order, all of them there and none of them compressed: VKEY signs the
// first, and each other one with a key that the one before it has handed over to. Each checkpoint among them
// must be signed with VKEY and be of the tree before it; each must be proven consistent
// with the one before it, and each line to be included in the last one. Each CHECKPOINT,
// which was kept elsewhere, must be signed and of this tree. Prints a line; exits 1 with
// the reason otherwise.
//
// prove: PROOF (c2sp.org/tlog-proof) must hold for the line in the file LINE, as it
// stands. witness: BODY (what a witness of c2sp.org/tlog-witness is sent) must go on from
// CHECKPOINT.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		out[i] = h[index]
	}
	return out, nil
}

// recordHash: of a line that was redacted what it says.
func recordHash(record []byte) tlog.Hash {
	var what struct {
		N    *int64
		Op   string
		Leaf string
	}
	if json.Unmarshal(record, &what) == nil && what.Op == "redacted" && what.N != nil {
		whole := fmt.Sprintf(`{"n":%d,"op":"redacted","leaf":"%s"}`, *what.N, what.Leaf)
		leaf, err := tlog.ParseHash(what.Leaf)
		if err != nil || whole != string(record) {
			fail("line %d: %v", *what.N, err)
		}
		return leaf
	}
	return tlog.RecordHash(record)
}

func (h *hashes) add(n int64, record []byte) {
	more, err := tlog.StoredHashesForRecordHash(n, recordHash(record), *h)
	if err != nil {
		fail("line %d: %v", n, err)
	}
	*h = append(*h, more...)
}

type head struct {
	size int64
	root tlog.Hash
}

func openHead(text []byte, verifiers note.Verifiers, origin string) (head, error) {
	n, err := note.Open(text, verifiers)
	if err != nil {
		return head{}, err
	}
	parts := strings.Split(n.Text, "\n")
	if len(parts) != 4 || parts[3] != "" || parts[0] != origin {
		return head{}, fmt.Errorf("not a checkpoint of %s: %q", origin, n.Text)
	}
	size, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return head{}, err
	}
	root, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(root) != tlog.HashSize {
		return head{}, fmt.Errorf("no root: %q", parts[2])
	}
	out := head{size: size}
	copy(out.root[:], root)
	return out, nil
}

func (h hashes) check(which string, one head) {
	root, err := tlog.TreeHash(one.size, h)
	if err != nil || root != one.root {
		fail("%s: not the root of %d lines (%v)", which, one.size, err)
	}
}

// checkFrontier: these are the roots of the perfect trees of the first `size` lines.
func (h hashes) checkFrontier(size int64, roots []string) {
	first := int64(0)
	for bit := int64(1) << 62; bit > 0; bit >>= 1 {
		if size&bit == 0 {
			continue
		}
		if len(roots) == 0 {
			fail("line %d: too few roots", size)
		}
		level := 0
		for int64(1)<<level < bit {
			level++
		}
		got, err := h.ReadHashes([]int64{tlog.StoredHashIndex(level, first>>level)})
		if err != nil || base64.StdEncoding.EncodeToString(got[0][:]) != roots[0] {
			fail("line %d: the file goes on from others (%v)", size, err)
		}
		roots = roots[1:]
		first += bit
	}
	if len(roots) > 0 {
		fail("line %d: too many roots", size)
	}
}

func text(raw json.RawMessage) string {
	var out string
	if err := json.Unmarshal(raw, &out); err != nil {
		fail("no key: %v", err)
	}
	return out
}

// handOver: the file of line `size` has another key, of which `before` says so.
func (h hashes) handOver(size int64, signed string, key string, before note.Verifier) note.Verifier {
	n, err := note.Open([]byte(signed), note.VerifierList(before))
	if err != nil {
		fail("line %d: the hand-over: %v", size+1, err)
	}
	root, err := tlog.TreeHash(size, h)
	if err != nil {
		fail("line %d: %v", size, err)
	}
	want := fmt.Sprintf("%s\n%d\n%s\n%s\n", before.Name(), size, root, key)
	if n.Text != want {
		fail("line %d: the hand-over says %q, not %q", size+1, n.Text, want)
	}
	return newVerifier(key)
}

func readFile(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	return data
}

func newVerifier(key string) note.Verifier {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		fail("the key: %v", err)
	}
	return verifier
}

func mustOpen(text []byte, verifier note.Verifier) head {
	one, err := openHead(text, note.VerifierList(verifier), verifier.Name())
	if err != nil {
		fail("%v", err)
	}
	return one
}

// takeApart splits a proof: what follows `word` in the line that begins with it, the
// hashes, the head.
func takeApart(text []byte, word string, verifier note.Verifier) (int64, []tlog.Hash, head) {
	first, signed, found := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(first), "\n")
	if !found || !strings.HasPrefix(lines[0], word) {
		fail("no line %s", word)
	}
	number, err := strconv.ParseInt(lines[0][len(word):], 10, 64)
	if err != nil {
		fail("%v", err)
	}
	var hashes []tlog.Hash
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			fail("%v", err)
		}
		hashes = append(hashes, hash)
	}
	return number, hashes, mustOpen(signed, verifier)
}

func prove(key, line, proof string) {
	text, found := bytes.CutPrefix(readFile(proof), []byte("c2sp.org/tlog-proof@v1\n"))
	if !found {
		fail("no proof")
	}
	n, hashes, one := takeApart(text, "index ", newVerifier(key))
	err := tlog.CheckRecord(hashes, one.size, one.root, n, recordHash(readFile(line)))
	if err != nil {
		fail("line %d: %v", n, err)
	}
	fmt.Printf("line %d of %d\n", n, one.size)
}

func witness(key, checkpoint, body string) {
	verifier := newVerifier(key)
	old := mustOpen(readFile(checkpoint), verifier)
	size, hashes, one := takeApart(readFile(body), "old ", verifier)
	if size != old.size {
		fail("from %d lines, not %d", size, old.size)
	}
	if err := tlog.CheckTree(hashes, one.size, one.root, old.size, old.root); err != nil {
		fail("%v", err)
	}
	fmt.Printf("%d to %d lines\n", old.size, one.size)
}

func main() {
	if len(os.Args) < 3 {
		fail("verifier VKEY LOG [CHECKPOINT]...")
	}
	if len(os.Args) == 5 && os.Args[1] == "prove" {
		prove(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	if len(os.Args) == 5 && os.Args[1] == "witness" {
		witness(os.Args[2], os.Args[3], os.Args[4])
		return
	}
	keys := []note.Verifier{newVerifier(os.Args[1])}
	verifiers := note.VerifierList(keys...)
	verifier := keys[0]
	var lines [][]byte
	starts := map[int64]bool{}
	for _, path := range strings.Split(os.Args[2], ",") {
		data := readFile(path)
		if !bytes.HasSuffix(data, []byte("\n")) {
			fail("%s: the last line has no end", path)
		}
		starts[int64(len(lines))] = true
		lines = append(lines, bytes.Split(data[:len(data)-1], []byte("\n"))...)
	}
	var stored hashes
	var last head
	heads := 0
	var redacted []int64
	told := map[int64]int64{}
	for i, line := range lines {
		var what struct {
			N        *int64
			Op       string
			Note     string
			Key      json.RawMessage
			First    int64
			Frontier []string
			Lines    [][2]int64
		}
		if err := json.Unmarshal(line, &what); err != nil || what.N == nil || *what.N != int64(i) {
			fail("line %d: no line of that number (%v)", i, err)
		}
		if starts[int64(i)] {
			if what.Op != "file" || what.First != int64(i) {
				fail("line %d: no first line of a file", i)
			}
			stored.checkFrontier(int64(i), what.Frontier)
		}
		if i > 0 && starts[int64(i)-1] && i > 1 {
			verifier = stored.handOver(int64(i)-1, what.Note, text(what.Key), verifier)
			keys = append(keys, verifier)
			verifiers = note.VerifierList(verifier)
		}
		if what.Op == "redacted" {
			redacted = append(redacted, int64(i))
		}
		if what.Op == "redaction" {
			for _, pair := range what.Lines {
				for n := pair[0]; n <= pair[1] && n < int64(len(lines)); n++ {
					told[n] = int64(i)
				}
			}
		}
		if what.Op == "checkpoint" {
			one, err := openHead([]byte(what.Note), verifiers, verifier.Name())
			if err != nil || one.size != int64(i) {
				fail("line %d: size %d, %v", i, one.size, err)
			}
			stored.check(fmt.Sprintf("line %d", i), one)
			if heads > 0 {
				proof, err := tlog.ProveTree(one.size, last.size, stored)
				if err != nil {
					fail("line %d: %v", i, err)
				}
				if err := tlog.CheckTree(proof, one.size, one.root, last.size, last.root); err != nil {
					fail("line %d: %v", i, err)
				}
			}
			last = one
			heads++
		}
		stored.add(int64(i), line)
	}
	for _, n := range redacted {
		if by, found := told[n]; !found || by >= last.size {
			fail("line %d: taken out, and no signed line says so", n)
		}
	}
	for i := int64(0); i < last.size; i++ {
		proof, err := tlog.ProveRecord(last.size, i, stored)
		if err != nil {
			fail("line %d: %v", i, err)
		}
		if err := tlog.CheckRecord(proof, last.size, last.root, i, recordHash(lines[i])); err != nil {
			fail("line %d: %v", i, err)
		}
	}
	verifiers = note.VerifierList(keys...)
	for _, path := range os.Args[3:] {
		one, err := openHead(readFile(path), verifiers, verifier.Name())
		if err != nil {
			fail("%s: %v", path, err)
		}
		stored.check(path, one)
	}
	fmt.Printf("%d lines, %d heads\n", len(lines), heads)
}
