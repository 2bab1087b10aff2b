/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of a journal that anybody wrote, over a file of frames that is all zeros.
 * The first bytes of the input say whether checksums, chain and hashes are made right,
 * as by a hostile writer, and where the second segment begins; the rest is the
 * segments. What opens must be consistent, open again the same, and take a record.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "src/state/journal.h"
#include "src/state/journal_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PAGE_SIZE    512
#define FRAMES_BYTES (4u << 20)
#define SLOTS        (FRAMES_BYTES / PAGE_SIZE)
#define BYTES_MAX    (16u << 10)
#define CHOICES      4 /* bytes before the segments */

static const struct journal_start start = {.lsn = 100, .chain = 0};

struct rig {
	char folder[32];
	int dir_fd;
	struct spool *spool;
};

/* What one opening gave. */
struct replayed {
	struct spool *spool;
	bool keep;
	size_t total;
	uint64_t lsn;
	uint64_t chain;
	uint32_t *slots; /* kept claims */
	size_t slot_total;
};

static void remove_rig(void)
{
	char command[128];

	/* Only what a run of this process made. */
	(void)snprintf(command, sizeof command, "/dev/shm/fuzz-journal-%d/frames",
		       (int)getpid());
	(void)unlink(command);
	*strrchr(command, '/') = '\0';
	(void)rmdir(command);
}

static void put_file(const struct rig *rig, const char *name, const uint8_t *bytes,
		     size_t len)
{
	int fd =
	    openat(rig->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len) {
		abort();
	}
	(void)close(fd);
}

static void make_rig(struct rig *rig)
{
	struct error err;
	int fd;

	(void)snprintf(rig->folder, sizeof rig->folder, "/dev/shm/fuzz-journal-%d",
		       (int)getpid());
	if (mkdir(rig->folder, 0700) < 0) {
		abort();
	}
	(void)atexit(remove_rig);
	rig->dir_fd = open(rig->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(rig->dir_fd, "frames", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, FRAMES_BYTES) < 0 ||
	    spool_open_at(rig->dir_fd, PAGE_SIZE, true, &rig->spool, &err) != ST_OK) {
		abort();
	}
	(void)close(fd);
}

static void store64(uint8_t *to, uint64_t v)
{
	memcpy(to, &v, sizeof v);
}

static uint32_t load32(const uint8_t *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof v);
	return v;
}

static uint64_t load64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof v);
	return v;
}

/* Hashes of zero pages, for most of the pages of a record. */
static void sign_pages(uint8_t *record, uint32_t total)
{
	static const uint8_t image[PAGE_SIZE];

	for (uint32_t i = 0; i < total; i++) {
		uint8_t *entry = record + JOURNAL_HEAD_BYTES + i * JOURNAL_PAGE_BYTES;

		if (entry[3] == 0xff) {
			continue;
		}
		memset(entry + 2, 0, 2);
		memset(entry + 6, 0, 2);
		entry[5] %= 2 * SLOTS / 256;
		store64(entry + 8, journal_image_hash(load32(entry), image, PAGE_SIZE));
	}
}

/* Make a record right at `at`, but for what its bytes ask to be left alone. */
static size_t sign_record(uint8_t *at, size_t len, uint64_t *lsn, uint64_t *chain)
{
	uint32_t total;
	size_t length;

	if (len < JOURNAL_HEAD_BYTES + JOURNAL_SUM_BYTES) {
		return 0;
	}
	total = at[60] % 16u;
	length = JOURNAL_HEAD_BYTES + total * JOURNAL_PAGE_BYTES + JOURNAL_SUM_BYTES;
	if (length > len) {
		total = 0;
	}
	memcpy(at, "RTxn", 4);
	if (at[48] != 1) {
		memset(at + 60, 0, 4);
		at[60] = (uint8_t)((length - JOURNAL_HEAD_BYTES) / JOURNAL_PAGE_BYTES);
		store64(at + 8, length);
	}
	length = length > len ? JOURNAL_HEAD_BYTES + JOURNAL_SUM_BYTES : length;
	if (at[48] != 2) {
		memset(at + 4, 0, 4);
		at[4] = 1 + at[49] % 2;
	}
	if (at[48] != 3) {
		*lsn += 1u + at[16];
		store64(at + 16, *lsn);
	}
	if (at[48] != 4) {
		store64(at + 24, *lsn - 1 - at[24] % 64u);
	}
	if (at[48] != 5) {
		store64(at + 72, *chain);
	}
	sign_pages(at, total);
	store64(at + 80, XXH3_64bits(at, 80));
	*chain = XXH3_64bits(at, length - JOURNAL_SUM_BYTES);
	if (at[48] != 6) {
		store64(at + length - JOURNAL_SUM_BYTES, *chain);
	}
	return length;
}

static void sign(uint8_t *at, size_t len, uint64_t *lsn, uint64_t *chain)
{
	struct journal_header header = {PAGE_SIZE, *lsn, *chain};
	size_t done;

	if (len < JOURNAL_HEADER_BYTES) {
		return;
	}
	journal_header_put(at, &header);
	at += JOURNAL_HEADER_BYTES;
	len -= JOURNAL_HEADER_BYTES;
	while ((done = sign_record(at, len, lsn, chain)) > 0) {
		at += done;
		len -= done;
	}
}

static void put_segment(const struct rig *rig, uint64_t lsn, const uint8_t *bytes,
			size_t len)
{
	char name[32];

	(void)snprintf(name, sizeof name, "log-%016llx", (unsigned long long)lsn);
	put_file(rig, name, bytes, len);
}

static void put_segments(const struct rig *rig, const uint8_t *input, size_t len)
{
	static uint8_t bytes[BYTES_MAX];
	size_t split = (input[1] + 256u * input[2]) * 8u;
	/* Half begin before S. */
	uint64_t lsn = start.lsn - (input[0] & 2 ? input[3] % 100u : 0);
	uint64_t chain = 0;

	len = len - CHOICES < BYTES_MAX ? len - CHOICES : BYTES_MAX;
	memcpy(bytes, input + CHOICES, len);
	split = split < len ? split : len;
	if (input[0] & 1) {
		uint64_t first = lsn;

		sign(bytes, split, &lsn, &chain);
		put_segment(rig, first, bytes, split);
		if (split < len) {
			lsn += input[0] & 8 ? 3 : 0; /* a gap */
			first = lsn + (input[0] & 16 ? 1 : 0);
			sign(bytes + split, len - split, &lsn, &chain);
			put_segment(rig, first, bytes + split, len - split);
		}
		return;
	}
	put_segment(rig, split >= 24 ? load64(bytes + 16) : lsn, bytes, split);
	if (len >= split + 24) {
		put_segment(rig, load64(bytes + split + 16), bytes + split,
			    len - split);
	}
}

static enum status replay(void *context, const struct journal_found *found,
			  struct error *err)
{
	struct replayed *r = context;
	const struct journal_record *record = &found->record;

	(void)err;
	if (record->lsn <= r->lsn) {
		abort();
	}
	writers_drop(journal_record_writers(found->bytes, found->length));
	for (size_t i = 0; i < record->page_total; i++) {
		if (record->pages[i].page_no == 0 ||
		    record->pages[i].page_no > record->page_count ||
		    (i > 0 &&
		     record->pages[i].page_no <= record->pages[i - 1].page_no) ||
		    record->pages[i].slot >= SLOTS) {
			abort();
		}
		if (!r->keep) {
			spool_free(r->spool, &record->pages[i].slot, 1);
		} else if (r->slot_total < SLOTS) {
			r->slots[r->slot_total++] = record->pages[i].slot;
		} else {
			abort(); /* more claims than slots */
		}
	}
	r->total++;
	r->lsn = record->lsn;
	r->chain = found->chain;
	return ST_OK;
}

static void forget(struct replayed *r)
{
	spool_free(r->spool, r->slots, r->slot_total);
	r->slot_total = 0;
}

static struct journal *open_journal(const struct rig *rig, struct replayed *r,
				    enum status *status)
{
	struct journal *journal = NULL;
	struct error err = {0};

	r->total = 0;
	r->lsn = start.lsn;
	r->chain = start.chain;
	*status = journal_open(rig->dir_fd, PAGE_SIZE, rig->spool, &start, replay, r,
			       &journal, &err);
	if (*status == ST_DAMAGED && !strstr(err.text, " away and start again")) {
		abort();
	}
	return journal;
}

/* What opened once takes a record, and opens again with it. */
static void go_on(const struct rig *rig, struct journal *journal, struct replayed *r)
{
	struct journal_page page = {.page_no = 7};
	struct journal_record record = {.kind = JOURNAL_COMMIT,
					.lsn = r->lsn + 5,
					.page_count = 9,
					.pages = &page,
					.page_total = 1};
	size_t before = r->total;
	enum status status;
	struct error err;
	uint64_t chain;

	if (spool_alloc(rig->spool, &page.slot, &err) != ST_OK ||
	    journal_append(journal, &record, &chain, &err) != ST_OK ||
	    journal_sync(journal, &err) != ST_OK) {
		abort();
	}
	journal_close(journal);
	forget(r);
	spool_free(rig->spool, &page.slot, 1);
	journal = open_journal(rig, r, &status);
	if (status != ST_OK || r->total != before + 1 || r->chain != chain ||
	    r->lsn != record.lsn) {
		abort();
	}
	/* All of it is in the base: nothing stays but, at most, the last segment. */
	if (journal_trim(journal, r->lsn, &err) != ST_OK) {
		abort();
	}
	journal_close(journal);
	forget(r);
}

static void clear_folder(const struct rig *rig)
{
	int fd = openat(rig->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fdopendir(fd);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder)) != NULL) {
		if (strcmp(entry->d_name, "frames") != 0) { /* the spool's */
			(void)unlinkat(rig->dir_fd, entry->d_name, 0);
		}
	}
	(void)closedir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct rig rig; /* making one costs more than all the rest */
	static uint32_t slots[SLOTS];
	struct replayed r = {.slots = slots};
	struct journal *journal;
	enum status status;

	if (len < CHOICES || bytes[0] > 31) {
		return -1;
	}
	if (!rig.spool) {
		make_rig(&rig);
	}
	r.spool = rig.spool;
	r.keep = bytes[0] & 4;
	put_segments(&rig, bytes, len);
	journal = open_journal(&rig, &r, &status);
	if (status == ST_OK) {
		/* The last LSN of all leaves no room for another. */
		if (r.lsn < UINT64_MAX - 5) {
			go_on(&rig, journal, &r);
		} else {
			journal_close(journal);
		}
	} else if (status != ST_DAMAGED) {
		abort();
	}
	forget(&r);
	if (spool_used_bytes(rig.spool) != 0) {
		abort(); /* a slot was lost */
	}
	clear_folder(&rig);
	return 0;
}
