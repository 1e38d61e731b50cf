/* SPDX-License-Identifier: MIT */
#ifndef SL_DATA_CSV_H
#define SL_DATA_CSV_H

#include <stddef.h>

#include "data/dataset.h"

/*
 * Tables as text, plain or .gz. Cells are parted by commas, semicolons, tabs or runs of blanks, whichever the first line uses; "quoted" cells may hold
 * the separator, and "" stands for a quote. The first line is a header when a column is asked for by name, when a feature cell is no number, when
 * the label to be predicted is no number, or when the label cell says label, class, target or y. Empty lines are skipped.
 *
 * Class labels are numbers 0, 1, ... that keep their value, or texts that are numbered in strcmp() order; the first row decides which.
 */
int sl_csv_read(const char *path, const struct sl_read_options *options, struct sl_dataset *out, char *why, size_t why_size);

/* Numbers the natural clients of a dataset by a column of another table, "FILE:COLUMN", which has a header and one row per row of the dataset. */
int sl_csv_read_clients(const char *file_and_column, struct sl_dataset *dataset, char *why, size_t why_size);

#endif
