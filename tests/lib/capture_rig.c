/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/capture_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/base/bytes.h"
#include "src/base/clock.h"
#include "src/base/log.h"
#include "src/base/sqlite_guard.h"
#include "src/capture/wal_index.h"
#include "src/history/temporary.h"

extern char **environ;

/* ---- folder ---- */

static void run_sql(sqlite3 *db, const char *sql)
{
	char *text = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &text) != SQLITE_OK) {
		fail_msg("%s: %s", sql, text);
	}
}

void rig_folder_init(struct rig_folder *f, int page_size)
{
	const char *base = getenv("TMPDIR");
	char pragma[64];
	sqlite3 *db;

	(void)snprintf(f->folder, sizeof f->folder, "%s/rowtail-capture-XXXXXX",
		       base && base[0] ? base : "/tmp");
	assert_non_null(mkdtemp(f->folder));
	(void)snprintf(f->path, sizeof f->path, "%s/app.db", f->folder);
	(void)snprintf(f->wal, sizeof f->wal, "%s-wal", f->path);
	/* Here this process is the application: src/base/sqlite_guard.h is not for it.
	 */
	sqlite_guard_lift();
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	(void)snprintf(pragma, sizeof pragma, "PRAGMA page_size=%d", page_size);
	run_sql(db, pragma);
	run_sql(db, "PRAGMA journal_mode=WAL;"
		    "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);"
		    "CREATE TABLE k(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
		    "CREATE INDEX tv ON t(v);"
		    "CREATE TABLE c(n); INSERT INTO c VALUES(0);");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void rig_folder_clear(struct rig_folder *f)
{
	char command[sizeof f->folder + 16];

	(void)snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
	assert_int_equal(system(command), 0);
}

uint32_t rig_wal_restarts(const char *wal_path)
{
	uint8_t number[4] = {0};
	FILE *wal = fopen(wal_path, "rb");

	assert_non_null(wal);
	assert_int_equal(fseek(wal, 12, SEEK_SET), 0); /* of the WAL's header */
	assert_int_equal(fread(number, sizeof number, 1, wal), 1);
	(void)fclose(wal);
	return (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 |
	       (uint32_t)number[2] << 8 | number[3];
}

sqlite3 *rig_open_with_wal(const struct rig_folder *folder)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(folder->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "INSERT INTO t(v) VALUES(randomblob(3000));"
				      "INSERT INTO t(v) VALUES(1); UPDATE t SET v=2;",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	return db;
}

int64_t rig_file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

/* ---- replica ---- */

struct capture_settings rig_settings(const char *path)
{
	return (struct capture_settings){
	    .path = path, .escalate = true, .hold_max_wal_bytes = UINT64_C(1) << 30};
}

struct history *rig_history(uint64_t max_bytes)
{
	struct history *history;
	struct error err;

	if (temporary_open(max_bytes, &history, &err) != ST_OK) {
		fail_msg("temporary_open: %s", err.text);
	}
	return history;
}

static uint8_t *replica_page(const struct rig *rig, uint32_t page_no)
{
	return rig->pages + (size_t)(page_no - 1) * rig->page_size;
}

static void make_room(struct rig *rig, uint32_t page_count)
{
	size_t cap = (size_t)page_count + page_count / 2 + 256;

	if (page_count < rig->cap) {
		return;
	}
	rig->pages = realloc(rig->pages, cap * rig->page_size);
	rig->versions = realloc(rig->versions, cap * sizeof *rig->versions);
	assert_non_null(rig->pages);
	assert_non_null(rig->versions);
	memset(rig->pages + rig->cap * rig->page_size, 0,
	       (cap - rig->cap) * rig->page_size);
	memset(rig->versions + rig->cap, 0, (cap - rig->cap) * sizeof *rig->versions);
	rig->cap = cap;
}

static void read_file_page(const struct rig *rig, uint32_t page_no, uint8_t *bytes)
{
	ssize_t n = pread(capture_database_fd(rig->capture), bytes, rig->page_size,
			  (off_t)(page_no - 1) * rig->page_size);

	assert_true(n >= 0);
	memset(bytes + n, 0, rig->page_size - (size_t)n);
}

/* Freelist leaves hold nothing; SQLite need not write them. */
static bool is_free_leaf(const struct rig *rig, uint32_t page_no)
{
	uint32_t trunk = get_u32be(replica_page(rig, 1) + 32);

	for (uint32_t steps = 0;
	     trunk != 0 && trunk <= rig->page_count && steps < 1000000; steps++) {
		const uint8_t *bytes = replica_page(rig, trunk);
		uint32_t leaves = get_u32be(bytes + 4);

		for (uint32_t i = 0; i < leaves && 8 + 4 * i < rig->page_size; i++) {
			if (get_u32be(bytes + 8 + 4 * (size_t)i) == page_no) {
				return true;
			}
		}
		trunk = get_u32be(bytes);
	}
	return false;
}

/* Page `page_no` as the old view has it must be what the replica has. */
static void check_old(const struct rig *rig, uint32_t page_no, const char *why)
{
	uint8_t *bytes = malloc(rig->page_size);
	uint32_t slot;

	assert_non_null(bytes);
	if (rig->versions[page_no] != 0) {
		memcpy(bytes, spool_bytes(rig->spool, rig->versions[page_no] - 1),
		       rig->page_size);
	} else {
		slot = spool_preimage_find(rig->spool, page_no);
		if (slot == SPOOL_NO_SLOT) {
			read_file_page(rig, page_no, bytes);
			slot = spool_preimage_find(rig->spool, page_no);
		}
		if (slot != SPOOL_NO_SLOT) {
			memcpy(bytes, spool_bytes(rig->spool, slot), rig->page_size);
		}
	}
	if (memcmp(bytes, replica_page(rig, page_no), rig->page_size) != 0 &&
	    !is_free_leaf(rig, page_no)) {
		fail_msg(
		    "page %u before transaction %lu (lsn %lu, seed %u) is wrong: %s",
		    page_no, rig->txns + 1, (unsigned long)rig->lsn, rig->seed, why);
	}
	free(bytes);
}

static void free_slot(struct rig *rig, uint32_t *version)
{
	uint32_t slot = *version - 1;

	if (*version != 0) {
		spool_free(rig->spool, &slot, 1);
		*version = 0;
	}
}

static void check_txn(struct rig *rig, const struct captured_txn *txn)
{
	assert_true(txn->lsn > rig->lsn);
	assert_int_equal(txn->page_count_before, rig->page_count);
	for (size_t i = 0; i < txn->page_total; i++) {
		uint32_t page_no = txn->pages[i].page_no;

		assert_in_range(page_no, 1, txn->page_count);
		assert_true(i == 0 || page_no > txn->pages[i - 1].page_no);
		if (page_no <= rig->page_count) {
			check_old(rig, page_no, "touched");
		}
	}
	for (uint32_t p = txn->page_count + 1; p <= rig->page_count; p++) {
		check_old(rig, p, "cut off");
	}
	for (int i = 0; i < 3 && rig->page_count > 0; i++) {
		check_old(rig, 1 + (uint32_t)rand_r(&rig->seed) % rig->page_count,
			  "picked");
	}
}

static void apply_txn(struct rig *rig, const struct captured_txn *txn)
{
	make_room(rig, txn->page_count);
	for (size_t i = 0; i < txn->page_total; i++) {
		uint32_t page_no = txn->pages[i].page_no;

		free_slot(rig, &rig->versions[page_no]);
		rig->versions[page_no] = txn->pages[i].slot + 1;
		memcpy(replica_page(rig, page_no),
		       spool_bytes(rig->spool, txn->pages[i].slot), rig->page_size);
		spool_preimage_drop(rig->spool, &page_no, 1);
	}
	for (uint32_t p = txn->page_count + 1; p <= rig->page_count; p++) {
		free_slot(rig, &rig->versions[p]);
		spool_preimage_drop(rig->spool, &p, 1);
	}
	rig->page_count = txn->page_count;
	rig->lsn = txn->lsn;
	rig->txns++;
}

enum status rig_step(struct rig *rig, struct error *err)
{
	struct captured_txn *txn;
	enum status status = capture_next(rig->capture, &txn, err);

	if (status != ST_OK) {
		return status;
	}
	for (size_t i = 0; i < txn->retired_total; i++) {
		uint32_t page_no = txn->retired[i].page_no;

		assert_int_equal(rig->versions[page_no], txn->retired[i].slot + 1);
		free_slot(rig, &rig->versions[page_no]);
	}
	check_txn(rig, txn);
	apply_txn(rig, txn);
	rig->history->done(rig->history, txn);
	return ST_OK;
}

void rig_open(struct rig *rig, const struct capture_settings *settings)
{
	struct capture_settings all = *settings;
	struct captured_txn *first;
	struct error err;

	if (!all.history) {
		all.history = rig_history(RIG_SPOOL_BYTES);
	}
	*rig = (struct rig){.history = all.history, .path = settings->path, .seed = 1};
	log_setup(getenv("RIG_VERBOSE") ? LOG_DEBUG : LOG_ERROR, false);
	if (capture_open(&all, &rig->capture, &first, &err) != ST_OK) {
		fail_msg("capture_open: %s", err.text);
	}
	rig->spool = rig->history->spool;
	rig->page_size = capture_page_size(rig->capture);
	make_room(rig, first->page_count);
	for (uint32_t p = 1; p <= first->page_count; p++) {
		read_file_page(rig, p, replica_page(rig, p));
	}
	assert_int_equal(first->page_count, first->page_count_before);
	apply_txn(rig, first);
	rig->txns = 0;
	rig->history->done(rig->history, first);
	if (capture_start(rig->capture, &err) != ST_OK) {
		fail_msg("capture_start: %s", err.text);
	}
}

static void wait_for_news(struct rig *rig, int ms)
{
	struct pollfd fd = {.fd = rig->history->wake_fd, .events = POLLIN};

	(void)poll(&fd, 1, ms);
}

void rig_catch_up(struct rig *rig)
{
	static const _Atomic int never = 0;
	struct error err;
	uint64_t lsn;

	if (capture_reach_now(rig->capture, &never, &lsn, &err) != ST_OK) {
		fail_msg("capture_reach_now: %s", err.text);
	}
	while (rig->lsn < lsn) {
		enum status status = rig_step(rig, &err);

		if (status == ST_END) {
			wait_for_news(rig, 1000);
		} else if (status != ST_OK) {
			fail_msg("capture_next: %s", err.text);
		}
	}
}

enum status rig_run_until_error(struct rig *rig, int ms, struct error *err)
{
	int64_t until = clock_mono_ns() + ms * NS_PER_MS;

	while (clock_mono_ns() < until) {
		enum status status = rig_step(rig, err);

		if (status == ST_END) {
			wait_for_news(rig, 20);
		} else if (status != ST_OK) {
			return status;
		}
	}
	return ST_OK;
}

void rig_close(struct rig *rig)
{
	capture_close(rig->capture);
	rig->history->close(rig->history);
	free(rig->pages);
	free(rig->versions);
}

void rig_close_and_compare(struct rig *rig)
{
	uint8_t *bytes = malloc(rig->page_size);
	char wal[320];
	struct stat is;
	int fd;

	assert_non_null(bytes);
	capture_close(rig->capture);
	rig->capture = NULL;
	(void)snprintf(wal, sizeof wal, "%s-wal", rig->path);
	if (stat(wal, &is) == 0 && is.st_size > 0) {
		/* On a busy machine it is left: closing waits only so long. */
		assert_int_equal(rig_sql(rig->path, "PRAGMA wal_checkpoint(TRUNCATE)"),
				 0);
	}
	fd = open(rig->path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(rig_file_size(rig->path),
			 (int64_t)rig->page_count * rig->page_size);
	for (uint32_t p = 1; p <= rig->page_count; p++) {
		assert_int_equal(
		    pread(fd, bytes, rig->page_size, (off_t)(p - 1) * rig->page_size),
		    rig->page_size);
		if (memcmp(bytes, replica_page(rig, p), rig->page_size) != 0 &&
		    !is_free_leaf(rig, p)) {
			fail_msg("page %u of %u of the replica is wrong", p,
				 rig->page_count);
		}
	}
	(void)close(fd);
	free(bytes);
	rig_close(rig);
}

/* ---- starting applications ---- */

static const char *program;

void rig_set_program(const char *argv0)
{
	program = argv0;
}

bool rig_is_child(int argc, char **argv)
{
	rig_set_program(argv[0]);
	return argc > 2 && strcmp(argv[1], "--child") == 0;
}

static pid_t spawn_list(const char *name, va_list more, int ready_fd)
{
	const char *argv[16] = {program, "--child", name};
	posix_spawn_file_actions_t actions;
	size_t n = 3;
	pid_t pid;

	while (n < 15 && (argv[n] = va_arg(more, const char *)) != NULL) {
		n++;
	}
	assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
	if (ready_fd >= 0) {
		(void)posix_spawn_file_actions_adddup2(&actions, ready_fd, 1);
	}
	assert_int_equal(
	    posix_spawnp(&pid, program, &actions, NULL, (char *const *)argv, environ),
	    0);
	(void)posix_spawn_file_actions_destroy(&actions);
	return pid;
}

pid_t rig_spawn(const char *name, ...)
{
	va_list more;
	pid_t pid;

	va_start(more, name);
	pid = spawn_list(name, more, -1);
	va_end(more);
	return pid;
}

pid_t rig_spawn_ready(const char *name, ...)
{
	va_list more;
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	va_start(more, name);
	pid = spawn_list(name, more, fds[1]);
	va_end(more);
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	(void)close(fds[0]);
	return pid;
}

static int exit_code(int wait_status)
{
	return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status)
				      : -WTERMSIG(wait_status);
}

int rig_wait(pid_t pid)
{
	int wait_status;

	while (waitpid(pid, &wait_status, 0) < 0) {
		assert_int_equal(errno, EINTR);
	}
	return exit_code(wait_status);
}

int rig_wait_following(struct rig *rig, pid_t pid)
{
	struct error err;
	int wait_status;

	while (waitpid(pid, &wait_status, WNOHANG) == 0) {
		enum status status = rig_step(rig, &err);

		if (status == ST_END) {
			wait_for_news(rig, 5);
		} else if (status != ST_OK) {
			fail_msg("capture_next: %s", err.text);
		}
	}
	return exit_code(wait_status);
}

void rig_kill(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)rig_wait(pid);
}

int rig_sql(const char *path, const char *sql)
{
	return rig_wait(rig_spawn("sql", path, sql, NULL));
}

/* ---- what applications do ---- */

static void say_ready(void)
{
	(void)!write(1, "r", 1);
}

static sqlite3 *child_open(const char *path, int timeout_ms)
{
	sqlite3 *db;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_URI, NULL) !=
	    SQLITE_OK) {
		_exit(100);
	}
	(void)sqlite3_busy_timeout(db, timeout_ms);
	return db;
}

/* sql PATH SQL */
static int child_sql(char **args)
{
	sqlite3 *db = child_open(args[0], 5000);
	int rc = sqlite3_exec(db, args[1], NULL, NULL, NULL);

	(void)sqlite3_close(db);
	return rc & 0xff;
}

/* shell COMMAND */
static int child_shell(char **args)
{
	return system(args[0]) == 0 ? 0 : 1;
}

/* stay PATH SQL: with what SQL left open, until killed */
static int child_stay(char **args)
{
	sqlite3 *db = child_open(args[0], 5000);
	int rc = sqlite3_exec(db, args[1], NULL, NULL, NULL);

	say_ready();
	while (rc == SQLITE_OK) {
		(void)pause();
	}
	return rc & 0xff;
}

/* insert PATH COUNT PAUSE_US TIMEOUT_MS SYNC: the exit code is how many saw BUSY, at
 * most 99 */
static int child_insert(char **args)
{
	sqlite3 *db = child_open(args[0], atoi(args[3]));
	long count = atol(args[1]);
	long pause_us = atol(args[2]);
	int busy = 0;
	char pragma[64];

	(void)snprintf(pragma, sizeof pragma, "PRAGMA synchronous=%s", args[4]);
	(void)sqlite3_exec(db, pragma, NULL, NULL, NULL);
	say_ready();
	for (long i = 0; i < count; i++) {
		if (sqlite3_exec(db, "INSERT INTO t(v) VALUES(randomblob(80))", NULL,
				 NULL, NULL) != SQLITE_OK) {
			busy++;
		}
		if (pause_us > 0) {
			clock_sleep_ns(pause_us * NS_PER_US);
		}
	}
	(void)sqlite3_close(db);
	return busy < 99 ? busy : 99;
}

/* overlap PATH US: two connections, of which one always reads, each no longer than
 * twice this time; until killed, or until one gets an error */
static int child_overlap(char **args)
{
	sqlite3 *db[2] = {child_open(args[0], 0), child_open(args[0], 0)};
	long us = atol(args[1]);

	(void)sqlite3_exec(db[1], "BEGIN; SELECT count(*) FROM c", NULL, NULL, NULL);
	say_ready();
	for (unsigned i = 0;; i = 1 - i) {
		if (sqlite3_exec(db[i], "BEGIN; SELECT count(*) FROM c", NULL, NULL,
				 NULL) != SQLITE_OK) {
			return 1;
		}
		(void)sqlite3_exec(db[1 - i], "COMMIT", NULL, NULL, NULL);
		clock_sleep_ns(us * NS_PER_US);
	}
}

/* tear PATH: as a writer that dies while it writes the header */
static int child_tear(char **args)
{
	sqlite3 *db = child_open(args[0], 5000);
	struct wal_index index;
	struct error err;
	void volatile *shared = NULL;

	(void)sqlite3_exec(db, "SELECT count(*) FROM c", NULL, NULL, NULL);
	if (wal_index_init(&index, db, &err) != ST_OK) {
		return 100;
	}
	while (!wal_index_lock(&index, WAL_LOCK_WRITE)) {
		clock_sleep_ns(50 * NS_PER_US);
	}
	(void)index.file->pMethods->xShmMap(index.file, 0, WAL_INDEX_BLOCK_BYTES, 0,
					    &shared);
	((volatile uint8_t *)shared)[WAL_INDEX_HEADER_BYTES + 16] ^= 0x55;
	_exit(0); /* the locks go with the process */
}

/* With the write lock: may a writer begin the WAL anew? As SQLite asks it. */
static bool may_restart(const struct wal_index *index, const uint8_t *bytes)
{
	int locked = 0;

	if (memcmp(bytes + 16, bytes + 96, 4) != 0) {
		return false; /* not all is backfilled */
	}
	while (locked < 4 &&
	       wal_index_lock(index, (enum wal_lock)(WAL_LOCK_READ0 + locked + 1))) {
		locked++;
	}
	for (int i = 1; i <= locked; i++) {
		wal_index_unlock(index, (enum wal_lock)(WAL_LOCK_READ0 + i));
	}
	return locked == 4;
}

/* Take the write lock at a moment when it may. */
static bool lock_to_restart(const struct wal_index *index, const uint8_t *bytes)
{
	for (int i = 0; i < 3000; i++) {
		if (wal_index_lock(index, WAL_LOCK_WRITE)) {
			if (may_restart(index, bytes)) {
				return true;
			}
			wal_index_unlock(index, WAL_LOCK_WRITE);
		}
		clock_sleep_ns(10 * NS_PER_MS);
	}
	return false;
}

/* half-restart PATH: as a writer that dies between the new header and the first frame
 */
static int child_half_restart(char **args)
{
	sqlite3 *db = child_open(args[0], 5000);
	struct wal_index index;
	struct error err;
	void volatile *shared = NULL;
	uint8_t header[WAL_INDEX_HEADER_BYTES];
	uint8_t *bytes;
	uint32_t sum[2] = {0, 0};

	(void)sqlite3_exec(db, "SELECT count(*) FROM c", NULL, NULL, NULL);
	if (wal_index_init(&index, db, &err) != ST_OK) {
		return 100;
	}
	(void)index.file->pMethods->xShmMap(index.file, 0, WAL_INDEX_BLOCK_BYTES, 0,
					    &shared);
	bytes = (uint8_t *)(uintptr_t)shared;
	if (!lock_to_restart(&index, bytes)) {
		return 101;
	}
	memcpy(header, bytes, sizeof header);
	memset(header + 16, 0, 4);
	put_u32be(header + 32, get_u32be(header + 32) + 1);
	for (size_t i = 0; i < 40; i += 8) {
		uint32_t x[2];

		memcpy(x, header + i, 8);
		sum[0] += x[0] + sum[1];
		sum[1] += x[1] + sum[0];
	}
	memcpy(header + 40, sum, 8);
	memcpy(bytes + 48, header, sizeof header);
	memcpy(bytes, header, sizeof header);
	memset(bytes + 96, 0, 8);
	say_ready();
	(void)!read(0, header, 1); /* until the test has seen it */
	clock_sleep_ns(200 * NS_PER_MS);
	bytes[16] ^= 0x55;
	_exit(0);
}

struct chaos {
	sqlite3 *db;
	const char *path;
	unsigned seed;
	bool spills;
};

static unsigned pick(struct chaos *c, unsigned below)
{
	return (unsigned)rand_r(&c->seed) % below;
}

static int do_sql(struct chaos *c, const char *fmt, ...)
{
	va_list args;
	char *sql;
	int rc;

	va_start(args, fmt);
	sql = sqlite3_vmprintf(fmt, args);
	va_end(args);
	rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	sqlite3_free(sql);
	return rc;
}

static void chaos_open(struct chaos *c)
{
	static const char *const sync[] = {"OFF", "NORMAL", "NORMAL", "FULL"};

	c->db = child_open(c->path, 2000);
	(void)do_sql(c, "PRAGMA synchronous=%s; PRAGMA wal_autocheckpoint=%d",
		     sync[pick(c, 4)], (int[]){1, 50, 1000, 0}[pick(c, 4)]);
	if (c->spills || pick(c, 3) == 0) {
		(void)do_sql(c, "PRAGMA cache_size=10");
	}
}

static void small_change(struct chaos *c)
{
	unsigned id = pick(c, 3000);

	switch (pick(c, 6)) {
	case 0:
	case 1:
		(void)do_sql(c, "INSERT INTO t(v) VALUES(randomblob(%u))",
			     10 + pick(c, pick(c, 10) == 0 ? 9000 : 300));
		break;
	case 2:
		(void)do_sql(c, "UPDATE t SET v=randomblob(%u) WHERE id=%u",
			     10 + pick(c, 2000), id);
		break;
	case 3:
		(void)do_sql(c, "DELETE FROM t WHERE id=%u", id);
		break;
	case 4:
		(void)do_sql(c, "REPLACE INTO k VALUES('key%u', randomblob(%u))", id,
			     pick(c, 100));
		break;
	default:
		(void)do_sql(c, "UPDATE c SET n=n+1");
	}
}

static void checkpoint(struct chaos *c)
{
	(void)sqlite3_busy_timeout(c->db, (int[]){0, 30, 300}[pick(c, 3)]);
	(void)sqlite3_wal_checkpoint_v2(c->db, NULL, (int)pick(c, 4), NULL, NULL);
	(void)sqlite3_busy_timeout(c->db, 2000);
}

/* The way to frames without salt and checksum: see the tests of it. */
static void spill(struct chaos *c)
{
	(void)do_sql(c,
		     "BEGIN; UPDATE t SET v=randomblob(200) WHERE id<400;"
		     "SAVEPOINT s; UPDATE t SET v=randomblob(210) WHERE id>%u;"
		     "UPDATE t SET v=randomblob(220) WHERE id>%u;"
		     "ROLLBACK TO s; RELEASE s;"
		     "UPDATE t SET v=randomblob(230) WHERE id%%3=0; COMMIT",
		     pick(c, 1000), pick(c, 1000));
}

static void large_change(struct chaos *c)
{
	switch (pick(c, 6)) {
	case 0:
		(void)do_sql(c, "DELETE FROM t WHERE id %% 7 = %u", pick(c, 7));
		break;
	case 1:
		(void)do_sql(c,
			     "UPDATE t SET v=randomblob(length(v)) WHERE id %% 5 = %u",
			     pick(c, 5));
		break;
	case 2:
		(void)do_sql(c, "DELETE FROM t WHERE id > %u", 500 + pick(c, 2500));
		break;
	case 3:
		(void)do_sql(c,
			     "DROP TABLE IF EXISTS x%u; CREATE TABLE x%u AS SELECT * "
			     "FROM t WHERE id %% 3 = 0",
			     pick(c, 3), pick(c, 3));
		break;
	default:
		(void)do_sql(
		    c,
		    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n "
		    "WHERE i<%u) INSERT INTO t(v) SELECT randomblob(%u) FROM n",
		    100 + pick(c, 1200), 20 + pick(c, 900));
	}
}

static void chaos_step(struct chaos *c)
{
	unsigned what = pick(c, 100);

	if (what < 55) {
		small_change(c);
	} else if (what < 65) {
		(void)do_sql(c, "BEGIN IMMEDIATE");
		for (unsigned i = pick(c, 30); i > 0; i--) {
			small_change(c);
		}
		(void)do_sql(c, pick(c, 5) == 0 ? "ROLLBACK" : "COMMIT");
	} else if (what < 73) {
		large_change(c);
	} else if (what < 85) {
		checkpoint(c);
	} else if (what < 89) {
		(void)sqlite3_close(c->db);
		chaos_open(c);
	} else if (what < 91) {
		(void)do_sql(c, "VACUUM");
	} else if (what < 95) {
		(void)do_sql(c, "BEGIN; SELECT count(*) FROM t");
		clock_sleep_ns(pick(c, 15) * NS_PER_MS);
		(void)do_sql(c, "COMMIT");
	} else if (c->spills) {
		spill(c);
	} else {
		clock_sleep_ns(NS_PER_MS);
	}
	if (!sqlite3_get_autocommit(c->db)) {
		(void)do_sql(c, "ROLLBACK");
	}
}

#define CHAOS_STEPS 60 /* at least */

/* chaos PATH SEED MS SPILLS: everything that an application does to a WAL */
static int child_chaos(char **args)
{
	struct chaos c = {.path = args[0],
			  .seed = (unsigned)atoi(args[1]),
			  .spills = atoi(args[3]) != 0};
	int64_t until = clock_mono_ns() + atoi(args[2]) * NS_PER_MS;

	chaos_open(&c);
	/* Also where the machine is so busy that little happens in that time. */
	for (int steps = 0; steps < CHAOS_STEPS || clock_mono_ns() < until; steps++) {
		chaos_step(&c);
	}
	(void)sqlite3_close(c.db);
	return 0;
}

/* follow PATH UID COUNT: capture as another user until COUNT transactions have come.
 * Exit code: 0, or 10 + the status that capture_open gave. */
static int child_follow(char **args)
{
	struct capture_settings settings = rig_settings(args[0]);
	uid_t uid = (uid_t)atoi(args[1]);
	struct pollfd wake = {.events = POLLIN};
	struct captured_txn *txn;
	struct capture *capture;
	struct error err;
	enum status status;

	log_setup(LOG_ERROR, false);
	if (setgroups(0, NULL) != 0 || setgid(uid) != 0 || setuid(uid) != 0) {
		return 100;
	}
	settings.history = rig_history(RIG_SPOOL_BYTES);
	status = capture_open(&settings, &capture, &txn, &err);
	if (status != ST_OK) {
		(void)fprintf(stderr, "%s\n", err.text);
		settings.history->close(settings.history);
		return 10 + (int)status;
	}
	settings.history->done(settings.history, txn);
	if (capture_start(capture, &err) != ST_OK) {
		return 100;
	}
	wake.fd = settings.history->wake_fd;
	for (int left = atoi(args[2]); left > 0;) {
		status = capture_next(capture, &txn, &err);
		if (status == ST_OK) {
			settings.history->done(settings.history, txn);
			left--;
		} else if (status == ST_END) {
			(void)poll(&wake, 1, 100);
		} else {
			(void)fprintf(stderr, "%s\n", err.text);
			return 10 + (int)status;
		}
	}
	capture_close(capture);
	settings.history->close(settings.history);
	return 0;
}

int rig_child(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*run)(char **args);
	} children[] = {
	    {"sql", 2, child_sql},         {"stay", 2, child_stay},
	    {"insert", 5, child_insert},   {"tear", 1, child_tear},
	    {"shell", 1, child_shell},     {"follow", 3, child_follow},
	    {"chaos", 4, child_chaos},     {"half-restart", 1, child_half_restart},
	    {"overlap", 2, child_overlap},
	};

	struct rlimit size;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
	/* A limit that stands for a full disk is not the application's. */
	if (getrlimit(RLIMIT_FSIZE, &size) == 0 && size.rlim_cur != size.rlim_max) {
		size.rlim_cur = size.rlim_max;
		(void)setrlimit(RLIMIT_FSIZE, &size);
	}
	for (size_t i = 0; i < sizeof children / sizeof children[0]; i++) {
		if (strcmp(argv[2], children[i].name) == 0 &&
		    argc == 3 + children[i].args) {
			return children[i].run(argv + 3);
		}
	}
	return 101;
}
