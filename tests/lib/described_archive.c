/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/lib/described_archive.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "btree/db_header.h"
#include "src/base/clock.h"
#include "tests/lib/ltx_file.h"

#define LAST_TXIDS (UINT64_MAX - 511) /* those of DESCRIBED_LAST are above it */
#define ROUGH_NS   (3600 * NS_PER_S)  /* the time of a file that is far is so wrong */

/* ---- bytes ---- */

struct input {
	const uint8_t *at;
	const uint8_t *end;
};

static unsigned take(struct input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

static unsigned take_two(struct input *in)
{
	unsigned high = take(in);

	return high << 8 | take(in);
}

/* ---- pages ---- */

/* Zeros, until the archive is closed; NULL: it has enough. */
static uint8_t *new_page(struct described_archive *a, uint32_t page_size)
{
	uint8_t *page;

	if (a->kept_total == DESCRIBED_PAGES ||
	    a->page_bytes + page_size > DESCRIBED_BYTES) {
		return NULL;
	}
	page = calloc(1, page_size);
	assert(page);
	a->kept[a->kept_total++] = page;
	a->page_bytes += page_size;
	return page;
}

static void add_page(struct described_file *f, uint32_t page_no, const uint8_t *bytes)
{
	f->pages = realloc(f->pages, (f->page_total + 1) * sizeof *f->pages);
	assert(f->pages);
	f->pages[f->page_total++] = (struct described_page){page_no, bytes};
}

static void read_raw(struct input *in, uint8_t *page, uint32_t page_size)
{
	unsigned first = take_two(in);
	unsigned last = take_two(in);

	first = first < page_size ? first : page_size;
	last = last < page_size - first ? last : page_size - first;
	for (unsigned i = 0; i < first; i++) {
		page[i] = (uint8_t)take(in);
	}
	for (unsigned i = 0; i < last; i++) {
		page[page_size - last + i] = (uint8_t)take(in);
	}
}

static void read_pages(struct described_archive *a, struct described_file *f,
		       struct input *in)
{
	uint32_t last = 0;

	for (unsigned left = take(in); left > 0; left--) {
		unsigned delta = take(in);
		unsigned kind = take(in);
		uint8_t *page = new_page(a, f->page_size);

		if (!page) {
			return;
		}
		last =
		    delta == 255 ? db_lock_byte_page(f->page_size) : last + delta + 1;
		if (kind == DESCRIBED_RAW) {
			read_raw(in, page, f->page_size);
		} else {
			memset(page, (int)kind, f->page_size);
		}
		if (f->page_total > 0 && last <= f->pages[f->page_total - 1].page_no) {
			f->is_sound = false;
		}
		add_page(f, last, page);
	}
}

const uint8_t *described_file_page(const struct described_file *f, uint32_t page_no)
{
	for (size_t i = 0; i < f->page_total; i++) {
		if (f->pages[i].page_no == page_no) {
			return f->pages[i].bytes;
		}
	}
	return NULL;
}

/* ---- files ---- */

static void read_file(struct described_archive *a, struct input *in)
{
	struct described_file *f = &a->files[a->count++];
	unsigned kind = take(in);
	unsigned sizes;

	*f = (struct described_file){.is_sound = true, .flags = kind & 0xf0};
	f->file.level = (kind & 0xf) % ARCHIVE_LEVELS;
	f->range[0] = take(in);
	f->range[1] = take(in);
	sizes = take(in);
	f->page_size = 512u << (sizes & 0xf) % 8;
	f->appears = sizes >> 4;
	f->vanishes = take(in);
	f->page_count = take_two(in);
	f->file.time_ns = (int16_t)take_two(in) * NS_PER_S;
	f->note = take(in);
	if (a->is_honest) {
		f->page_size = a->files[0].page_size;
	}
	read_pages(a, f, in);
	if (f->flags & DESCRIBED_DAMAGED) {
		f->damage_at = take_two(in);
		f->damage = take(in);
	}
}

static void set_range(struct described_file *f)
{
	uint64_t from = f->flags & DESCRIBED_LAST ? LAST_TXIDS : 0;

	f->file.min_txid = from + f->range[0] + (from == 0 && f->range[0] == 0);
	f->file.max_txid = f->file.min_txid + f->range[1];
	if (f->file.max_txid < f->file.min_txid) {
		f->file.max_txid = UINT64_MAX;
	}
	for (size_t i = 0; i < f->page_total; i++) {
		if (f->pages[i].page_no > f->page_count ||
		    f->pages[i].page_no == db_lock_byte_page(f->page_size)) {
			f->is_sound = false;
		}
	}
}

/* ---- an honest writer ---- */

/* The pages of the database after each of the files of level 0. */
struct honest {
	const struct described_file *files[DESCRIBED_FILES]; /* of TXID i + 1 */
	const uint8_t **states[DESCRIBED_FILES];             /* page n at n - 1 */
	size_t count;
};

/* What the writer of level 0 would have written: all that the database gained. */
static void make_first(struct described_archive *a, struct honest *h,
		       struct described_file *f)
{
	uint32_t had = h->count > 0 ? h->files[h->count - 1]->page_count : 0;
	struct described_page *described = f->pages;
	size_t total = f->page_total;
	const uint8_t **state;

	f->pages = NULL;
	f->page_total = 0;
	f->page_count %= 256;
	state = calloc(f->page_count + 1, sizeof *state);
	assert(state);
	for (uint32_t n = 1; n <= f->page_count; n++) {
		const uint8_t *bytes = NULL;

		for (size_t i = 0; i < total && !bytes; i++) {
			bytes = described[i].page_no == n ? described[i].bytes : NULL;
		}
		if (!bytes && n > had && !(bytes = new_page(a, f->page_size))) {
			f->page_count = n - 1;
			break;
		}
		if (bytes) {
			add_page(f, n, bytes);
		}
		state[n - 1] = bytes ? bytes : h->states[h->count - 1][n - 1];
	}
	free(described);
	f->is_sound = true;
	f->file.min_txid = f->file.max_txid = h->count + 1;
	h->files[h->count] = f;
	h->states[h->count++] = state;
}

static bool is_in_one(const struct honest *h, const struct described_file *f,
		      uint32_t page_no)
{
	for (uint64_t txid = f->file.min_txid; txid <= f->file.max_txid; txid++) {
		if (described_file_page(h->files[txid - 1], page_no)) {
			return true;
		}
	}
	return false;
}

/* What others would have merged. */
static void make_merged(const struct honest *h, struct described_file *f)
{
	const uint8_t **state;

	f->file.min_txid =
	    f->file.level == ARCHIVE_SNAPSHOT_LEVEL ? 1 : f->range[0] % h->count + 1;
	f->file.max_txid =
	    f->file.min_txid + f->range[1] % (h->count - f->file.min_txid + 1);
	f->page_count = h->files[f->file.max_txid - 1]->page_count;
	state = h->states[f->file.max_txid - 1];
	f->page_total = 0;
	f->is_sound = true;
	for (uint32_t n = 1; n <= f->page_count; n++) {
		if (f->file.min_txid == 1 || is_in_one(h, f, n)) {
			add_page(f, n, state[n - 1]);
		}
	}
}

static void make_honest(struct described_archive *a)
{
	struct honest h = {.count = 0};
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++) {
		if (a->files[i].file.level == 0) {
			make_first(a, &h, &a->files[i]);
		}
	}
	for (size_t i = 0; i < a->count; i++) {
		if (h.count > 0 && a->files[i].file.level > 0) {
			make_merged(&h, &a->files[i]);
		}
	}
	for (size_t i = 0; i < h.count; i++) {
		free(h.states[i]);
	}
	for (size_t i = 0; i < a->count; i++) {
		if (h.count == 0) {
			free(a->files[i].pages);
		} else {
			a->files[kept++] = a->files[i];
		}
	}
	a->count = kept;
}

/* ---- bytes of files ---- */

static void make_bytes(struct described_file *f)
{
	struct ltx_fill *fills = calloc(f->page_total + 1, sizeof *fills);
	const uint8_t **images = calloc(f->page_total + 1, sizeof *images);
	struct ltx_spec spec = {
	    .level = f->file.level,
	    .min_txid = f->file.min_txid,
	    .max_txid = f->file.max_txid,
	    .page_size = f->page_size,
	    .page_count = f->page_count,
	    .pages = fills,
	    .images = images,
	    .has_frames = f->flags & DESCRIBED_FRAMES,
	    .time_ns = f->file.time_ns,
	};
	struct ltx_file made;

	assert(fills && images);
	if (f->note != 0) {
		spec.node = (uint64_t)LTX_NOTE_MARK << 48 |
			    (uint64_t)(f->note >> 7) << 27 | (f->note & 0x7f);
	}
	for (size_t i = 0; i < f->page_total; i++) {
		fills[i].page_no = f->pages[i].page_no;
		images[i] = f->pages[i].bytes;
	}
	ltx_file_make(&made, &spec);
	f->file.size = made.bytes.len;
	/* As long as it is, so that a sanitizer sees what is read past it. */
	f->bytes = malloc(made.bytes.len);
	assert(f->bytes);
	memcpy(f->bytes, made.bytes.bytes, made.bytes.len);
	if (f->damage != 0) {
		f->bytes[f->damage_at % made.bytes.len] ^= (char)f->damage;
		f->is_damaged = true;
	}
	ltx_file_clear(&made);
	free(fills);
	free(images);
}

/* A name is there once. */
static void drop_doubles(struct described_archive *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->count; i++) {
		bool is_double = false;

		for (size_t k = 0; k < kept && !is_double; k++) {
			is_double =
			    archive_file_is(&a->files[k].file, &a->files[i].file);
		}
		if (is_double) {
			free(a->files[i].pages);
		} else {
			a->files[kept++] = a->files[i];
		}
	}
	a->count = kept;
}

struct described_archive *described_archive_open(const uint8_t *bytes, size_t len,
						 bool is_honest, bool is_far)
{
	struct described_archive *a = calloc(1, sizeof *a);
	struct input in = {bytes, bytes + len};

	assert(a);
	a->is_honest = is_honest;
	a->is_far = is_far;
	a->is_still = true;
	a->kept = calloc(DESCRIBED_PAGES, sizeof *a->kept);
	assert(a->kept);
	while (in.at < in.end && a->count < DESCRIBED_FILES) {
		read_file(a, &in);
	}
	for (size_t i = 0; i < a->count && !is_honest; i++) {
		set_range(&a->files[i]);
	}
	if (is_honest) {
		make_honest(a);
	}
	drop_doubles(a);
	for (size_t i = 0; i < a->count; i++) {
		struct described_file *f = &a->files[i];

		make_bytes(f);
		a->is_damaged = a->is_damaged || f->is_damaged;
		a->is_still = a->is_still && f->appears == 0 && f->vanishes == 0;
	}
	return a;
}

void described_archive_close(struct described_archive *a)
{
	assert(a->storages == 0);
	for (size_t i = 0; i < a->count; i++) {
		free(a->files[i].pages);
		free(a->files[i].bytes);
	}
	for (size_t i = 0; i < a->kept_total; i++) {
		free(a->kept[i]);
	}
	free(a->kept);
	free(a);
}

/* ---- storages ---- */

struct described_storage {
	struct storage base; /* first member */
	struct described_archive *archive;
	size_t opened;
};

struct described_opened {
	struct storage_file base; /* first member */
	const struct described_file *described;
};

static struct described_storage *storage_of(struct storage *storage)
{
	return (struct described_storage *)(void *)storage;
}

/* One more call. */
static enum status pass(struct described_archive *a, struct error *err)
{
	unsigned call = atomic_fetch_add(&a->calls, 1);

	return call >= a->fault_at && call - a->fault_at < a->fault_total
		   ? error_set(err, ST_IO, "the described archive is out of reach")
		   : ST_OK;
}

static bool is_there(const struct described_file *f, unsigned tick)
{
	return f->appears <= tick && (f->vanishes == 0 || tick < f->vanishes);
}

static enum status list_level(struct storage *storage, unsigned level,
			      struct archive_list *list, struct error *err)
{
	struct described_archive *a = storage_of(storage)->archive;
	unsigned tick = level == 0 ? atomic_fetch_add(&a->ticks, 1) : a->ticks;
	enum status status = pass(a, err);

	a->lists += level == 0;
	for (size_t i = 0; status == ST_OK && i < a->count; i++) {
		struct archive_file file = a->files[i].file;

		if (file.level == level && is_there(&a->files[i], tick)) {
			file.time_is_rough = a->is_far;
			file.time_ns += a->is_far ? ROUGH_NS : 0;
			status = archive_list_add(list, &file, err);
		}
	}
	return status;
}

static struct described_file *find(struct described_archive *a,
				   const struct archive_file *file)
{
	unsigned tick = a->ticks;

	for (size_t i = 0; i < a->count; i++) {
		if (archive_file_is(&a->files[i].file, file) &&
		    is_there(&a->files[i], tick)) {
			return &a->files[i];
		}
	}
	return NULL;
}

static enum status open_file(struct storage *storage, const struct archive_file *file,
			     struct storage_file **out, struct error *err)
{
	struct described_archive *a = storage_of(storage)->archive;
	const struct described_file *described = find(a, file);
	struct described_opened *opened;
	enum status status = pass(a, err);

	a->ticks++;
	if (status == ST_OK && !described) {
		status = error_set(err, ST_LOST, "no such file");
	}
	if (status != ST_OK) {
		return status;
	}
	opened = calloc(1, sizeof *opened);
	assert(opened);
	opened->base.storage = storage;
	opened->base.size = described->file.size;
	(void)snprintf(opened->base.name, sizeof opened->base.name, "described");
	opened->described = described;
	storage_of(storage)->opened++;
	*out = &opened->base;
	return ST_OK;
}

static enum status read_bytes(struct storage_file *file, void *bytes, size_t len,
			      uint64_t offset, size_t *got, struct error *err)
{
	const struct described_opened *opened = (struct described_opened *)(void *)file;
	uint64_t left = offset < file->size ? file->size - offset : 0;
	enum status status = pass(storage_of(file->storage)->archive, err);

	if (status != ST_OK) {
		return status;
	}
	*got = len < left ? len : (size_t)left;
	if (*got > 0) {
		memcpy(bytes, opened->described->bytes + offset, *got);
	}
	return ST_OK;
}

static void close_file(struct storage_file *file)
{
	storage_of(file->storage)->opened--;
	free(file);
}

static void close_storage(struct storage *storage)
{
	struct described_storage *s = storage_of(storage);

	assert(s->opened == 0);
	s->archive->storages--;
	free(s);
}

static enum status ask_time(struct storage *storage, const struct archive_file *file,
			    int64_t *time_ns, struct error *err)
{
	struct described_archive *a = storage_of(storage)->archive;
	const struct described_file *described = find(a, file);
	enum status status = pass(a, err);

	if (status == ST_OK && !described) {
		status = error_set(err, ST_LOST, "no such file");
	}
	*time_ns = described ? described->file.time_ns : 0;
	return status;
}

/* What is expected must be names of files. */
static void expect_files(struct storage *storage,
			 const struct archive_file *const *files, size_t count,
			 enum storage_reading how)
{
	const struct described_archive *a = storage_of(storage)->archive;

	(void)how;
	for (size_t i = 0; i < count; i++) {
		size_t k = 0;

		while (k < a->count && !archive_file_is(&a->files[k].file, files[i])) {
			k++;
		}
		assert(k < a->count);
	}
}

struct storage *described_archive_storage(struct described_archive *archive)
{
	static const struct storage_calls near = {
	    .list = list_level,
	    .open = open_file,
	    .read = read_bytes,
	    .close_file = close_file,
	    .close = close_storage,
	};
	static const struct storage_calls far = {
	    .list = list_level,
	    .open = open_file,
	    .read = read_bytes,
	    .close_file = close_file,
	    .close = close_storage,
	    .is_far = true,
	    .expect = expect_files,
	    .time = ask_time,
	};
	struct described_storage *s = calloc(1, sizeof *s);

	assert(s);
	s->base.calls = archive->is_far ? &far : &near;
	s->archive = archive;
	archive->storages++;
	return &s->base;
}
