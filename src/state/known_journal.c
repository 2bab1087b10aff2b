/* SPDX-License-Identifier: Apache-2.0 */
#include "src/state/known_journal.h"

#include "src/state/rebuilt.h"

bool known_is_rebuilt(const struct state_dir *dir)
{
	return rebuilt_counts(state_dir_fd(dir), state_dir_meta(dir)->page_size);
}

enum status known_journal_read(const struct state_dir *dir, struct journal_reading *how,
			       struct journal_end *end, struct error *err)
{
	const struct state_meta *meta = state_dir_meta(dir);
	struct journal_files files = {.dir_fd = state_dir_fd(dir),
				      .folder = state_dir_path(dir),
				      .page_size = meta->page_size};
	enum status status = ST_OK;

	how->start =
	    (struct journal_start){.lsn = meta->base_lsn, .chain = meta->base_chain};
	*end = (struct journal_end){.lsn = meta->base_lsn, .chain = meta->base_chain};
	if (!known_is_rebuilt(dir)) {
		status = journal_files_list(&files, err);
		if (status == ST_OK) {
			status = journal_read(&files, how, end, err);
		}
		journal_files_clear(&files);
	}
	return status == ST_OK ? state_dir_check_end(dir, end->lsn, end->torn, err)
			       : status;
}
