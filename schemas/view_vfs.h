/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schemas/view_vfs.h -- a page source as a read-only database of the sqlite3 library.
 *
 * A private sqlite3_vfs whose one file is the page source: page_count pages of
 * page_size bytes, never locked, never written, without journal or WAL (page 1 is
 * served with the format versions 1, "rollback journal", and the file calls itself
 * immutable). Temporary files are those of the library's own VFS; connections of
 * view_vfs_connect make none. An error of the source is SQLITE_IOERR_READ to SQLite and
 * is kept.
 *
 * OWNERSHIP  view_vfs_open / view_vfs_close (takes NULL). The page source is
 *            borrowed until the close and must not change; connections are closed
 *            before. A page is pinned only while SQLite reads from it.
 * THREADS    One thread per handle, the one that may use its page source. Each
 *            handle registers a VFS of its own; nothing is shared.
 */
#ifndef SCHEMAS_VIEW_VFS_H
#define SCHEMAS_VIEW_VFS_H

#include <sqlite3.h>

#include "btree/page_source.h"
#include "src/base/status.h"

struct view_vfs;

/* ST_NOMEM is the only failure. */
enum status view_vfs_open(struct page_source *source, struct view_vfs **out,
			  struct error *err) MUST_CHECK;
void view_vfs_close(struct view_vfs *view_vfs);

/*
 * Open a read-only connection, set up as sandbox_relax says. The caller closes it with
 * sqlite3_close. ST_NOMEM, and the page source's own error when page 1 cannot be had;
 * what else is wrong with the pages shows at the first statement.
 */
enum status view_vfs_connect(struct view_vfs *view_vfs, sqlite3 **out,
			     struct error *err) MUST_CHECK;

/* Before a connection: the file does not call itself immutable. Of one that does,
 * VACUUM INTO makes no copy with another page size. */
void view_vfs_call_mutable(struct view_vfs *view_vfs);

/* The name it is registered under, for sqlite3_open_v2; borrowed. */
const char *view_vfs_name(const struct view_vfs *view_vfs);

/* The page source's last error, NULL when there was none; borrowed until the close. */
const struct error *view_vfs_error(const struct view_vfs *view_vfs);

#endif
