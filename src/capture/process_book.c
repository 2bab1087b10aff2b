/* SPDX-License-Identifier: Apache-2.0 */
#include "src/capture/process_book.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "src/base/clock.h"

#define FILE_BYTES 8192
#define WIDE_PIDS  32768
/* In so short a time WIDE_PIDS processes and threads are not made. */
#define MOMENT_NS (20 * NS_PER_MS)

/* ---- files of /proc ---- */

/* The beginning of the file, as a text; false: it cannot be read. */
static bool read_text(int dir_fd, const char *name, char text[FILE_BYTES])
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd >= 0 ? read(fd, text, FILE_BYTES - 1) : -1;

	if (fd >= 0) {
		(void)close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

static uint32_t read_number(const char *text)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	return errno == 0 && end != text && number < WRITER_NO_ID ? (uint32_t)number
								  : WRITER_NO_ID;
}

static uint32_t read_uid(char *status)
{
	const char *line = strstr(status, "\nUid:\t");

	return line ? read_number(line + strlen("\nUid:\t")) : WRITER_NO_ID;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static const char *unit_of_path(char *path)
{
	char *rest;
	const char *part = strtok_r(path, "/", &rest);

	while (part && ends_with(part, ".slice")) {
		part = strtok_r(NULL, "/", &rest);
	}
	return part && (ends_with(part, ".service") || ends_with(part, ".scope"))
		   ? part
		   : NULL;
}

const char *process_unit(char *cgroup)
{
	char *rest;
	const char *unit = NULL;

	for (char *line = strtok_r(cgroup, "\n", &rest); line && !unit;
	     line = strtok_r(NULL, "\n", &rest)) {
		char *controllers = strchr(line, ':');
		char *path = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!path) {
			continue;
		}
		*path++ = '\0';
		if (controllers[1] == '\0' ||
		    strcmp(controllers + 1, "name=systemd") == 0) {
			unit = unit_of_path(path);
		}
	}
	return unit;
}

/* The program's path; NULL: it cannot be told. */
static const char *read_exe(int dir_fd, char path[PATH_MAX])
{
	ssize_t len = readlinkat(dir_fd, "exe", path, PATH_MAX);

	if (len <= 0 || len == PATH_MAX) {
		return NULL;
	}
	path[len] = '\0';
	return path;
}

static struct writer *read_process(int dir_fd, uint32_t pid)
{
	char exe[PATH_MAX];
	char text[FILE_BYTES];
	char cgroup[FILE_BYTES];
	struct writer writer = {
	    .pid = pid, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID};

	writer.exe = read_exe(dir_fd, exe);
	if (read_text(dir_fd, "status", text)) {
		writer.uid = read_uid(text);
	}
	if (read_text(dir_fd, "loginuid", text)) {
		writer.loginuid = read_number(text);
	}
	if (read_text(dir_fd, "cgroup", cgroup)) {
		writer.unit = process_unit(cgroup);
	}
	return writer_new(&writer);
}

/* ---- the book ---- */

void process_book_init(struct process_book *book)
{
	char text[FILE_BYTES];
	ssize_t len = readlink("/proc/self", text, sizeof text - 1);
	int fd = open("/proc/sys/kernel", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*book = (struct process_book){0};
	text[len > 0 ? len : 0] = '\0';
	book->reads_proc = read_number(text) == (uint32_t)getpid();
	if (fd >= 0) {
		uint32_t most =
		    read_text(fd, "pid_max", text) ? read_number(text) : WRITER_NO_ID;

		book->is_wide = most >= WIDE_PIDS && most != WRITER_NO_ID;
		(void)close(fd);
	}
}

static void forget(struct known_process *known)
{
	writer_drop(known->writer);
	(void)close(known->pidfd);
	(void)close(known->dir_fd);
}

void process_book_clear(struct process_book *book)
{
	for (size_t i = 0; i < book->total; i++) {
		forget(&book->list[i]);
	}
	book->total = 0;
}

/* It has not ended, or at least nobody else can have its number yet. */
static bool is_there(int pidfd)
{
	return syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

static uint32_t owner_of(int dir_fd, uint32_t otherwise)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 ? st.st_uid : otherwise;
}

static struct known_process *find_known(struct process_book *book, uint32_t pid)
{
	for (size_t i = 0; i < book->total; i++) {
		if (book->list[i].writer->pid == pid) {
			return &book->list[i];
		}
	}
	return NULL;
}

/* It may run another program by now, or be another user's. */
static void refresh(struct known_process *known)
{
	char path[PATH_MAX];
	const char *exe = read_exe(known->dir_fd, path);
	uint32_t owner = owner_of(known->dir_fd, known->owner);
	const char *was = known->writer->exe;
	struct writer *now;

	if (owner == known->owner && (!exe || (was && strcmp(exe, was) == 0))) {
		return;
	}
	now = read_process(known->dir_fd, known->writer->pid);
	if (now && is_there(known->pidfd)) {
		writer_drop(known->writer);
		known->writer = now;
		known->owner = owner;
	} else {
		writer_drop(now);
	}
}

/* A place for one more; the one that was used longest ago makes room. */
static struct known_process *new_place(struct process_book *book)
{
	struct known_process *oldest = book->list;

	if (book->total < PROCESSES_KNOWN) {
		return &book->list[book->total++];
	}
	for (size_t i = 1; i < book->total; i++) {
		if (book->list[i].used < oldest->used) {
			oldest = &book->list[i];
		}
	}
	forget(oldest);
	return oldest;
}

/* Read what there is. NULL: it has ended meanwhile, or no memory; the pidfd is closed
 * then. */
static struct known_process *learn(struct process_book *book, uint32_t pid, int pidfd)
{
	struct known_process *known = find_known(book, pid); /* one that has ended */
	char path[32];
	struct writer *writer = NULL;
	int dir_fd;

	(void)snprintf(path, sizeof path, "/proc/%u", (unsigned)pid);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd >= 0) {
		writer = read_process(dir_fd, pid);
	}
	if (!writer || !is_there(pidfd)) {
		writer_drop(writer);
		(void)close(pidfd);
		if (dir_fd >= 0) {
			(void)close(dir_fd);
		}
		return NULL;
	}
	if (known) {
		forget(known);
	} else {
		known = new_place(book);
	}
	*known = (struct known_process){.writer = writer,
					.pidfd = pidfd,
					.dir_fd = dir_fd,
					.owner = owner_of(dir_fd, WRITER_NO_ID)};
	return known;
}

static struct writer *number_alone(uint32_t pid)
{
	const struct writer writer = {
	    .pid = pid, .uid = WRITER_NO_ID, .loginuid = WRITER_NO_ID};

	return writer_new(&writer);
}

/* Of one that has ended: was it the one that we know, a moment ago? */
static struct writer *find_ended(struct process_book *book, uint32_t pid)
{
	const struct known_process *known = find_known(book, pid);

	return known && book->is_wide && clock_mono_ns() - known->alive_ns <= MOMENT_NS
		   ? writer_hold(known->writer)
		   : number_alone(pid);
}

struct writer *process_book_find(struct process_book *book, uint32_t pid, int pidfd)
{
	struct known_process *known;

	if (pidfd < 0 || pid == 0) {
		return pid == 0 ? number_alone(0) : find_ended(book, pid);
	}
	if (!book->reads_proc) {
		(void)close(pidfd);
		return number_alone(pid);
	}
	known = find_known(book, pid);
	if (known && is_there(known->pidfd)) {
		(void)close(pidfd);
		refresh(known);
	} else {
		known = learn(book, pid, pidfd);
	}
	if (!known) {
		return find_ended(book, pid);
	}
	known->alive_ns = clock_mono_ns();
	known->used = ++book->uses;
	return writer_hold(known->writer);
}
