/* SPDX-License-Identifier: MIT */
#include "cli_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 48, PLACE_MAX = 128 };

static const double far_out = 10, far_in = 0.01;     /* scaled values of a healthy column lie between, by their root mean square */

/* A name from a file, fit to be shown: short, and without what could confuse a terminal. */
static const char *shown(const char *name, char out[SHOWN_MAX])
{
    size_t size = 0;
    for (; name[size] && size < SHOWN_MAX - 1; size++) out[size] = (unsigned char)name[size] < ' ' || name[size] == 127 ? '?' : name[size];
    out[size] = 0;
    return out;
}

static bool holds(char *const *names, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

/* Whether each name of one list stands in the other; not for lists so long that a person would wait. */
static bool same_names(const struct sl_dataset *data, const struct sl_names *names)
{
    if (data->n_features != names->n || names->n > 4096) return false;

    for (uint32_t i = 0; i < names->n; i++)
        if (!holds(data->columns, data->n_features, names->names[i])) return false;
    return true;
}

/* Why the columns may differ: the most likely slip, as the end of a sentence. */
static const char *likely_slip(const struct sl_dataset *data, const char *label, const struct sl_names *names)
{
    if (holds(names->names, names->n, label)) return "; --label names a column that is a feature in the network";
    if (same_names(data, names)) return "; the columns are the same in another order: bring them into that of the line `columns =` in the invite";
    if (data->n_features == names->n + 1) return "; is there a column too many, like a row number?";
    if (data->n_features + 1 == names->n) return "; is a column missing?";
    return "; is it the right file, is --label the right column, and is the invite of the right network?";
}

static bool name_difference(const struct sl_dataset *data, const char *path, const char *label, const struct sl_names *names, char *why, size_t why_size)
{
    uint32_t i = 0, n = data->n_features < names->n ? data->n_features : names->n;
    while (i < n && strcmp(data->columns[i], names->names[i]) == 0) i++;
    if (i == n && data->n_features == names->n) return true;

    char here[SHOWN_MAX], there[SHOWN_MAX], count[PLACE_MAX] = "";
    const char *slip = likely_slip(data, label, names);
    if (data->n_features != names->n) snprintf(count, sizeof count, "%u feature columns here, %u in the network; ", data->n_features, names->n);
    if (i < n)
        snprintf(why, why_size, "%s: %scolumn %u is '%s' here and '%s' in the network%s", path, count, i + 1, shown(data->columns[i], here),
                 shown(names->names[i], there), slip);
    else if (i < data->n_features)
        snprintf(why, why_size, "%s: %scolumn %u, '%s', is none of the network's%s", path, count, i + 1, shown(data->columns[i], here), slip);
    else
        snprintf(why, why_size, "%s: %scolumn %u, '%s' in the network, is not there%s", path, count, i + 1, shown(names->names[i], there), slip);
    return false;
}

bool cli_columns_fit(const struct sl_dataset *data, const char *path, const char *label, uint32_t n_features, const struct sl_names *names, char *why,
                     size_t why_size)
{
    if (data->columns && names->n > 0) return name_difference(data, path, label, names, why, why_size);
    if (n_features == 0 || data->n_features == n_features) return true;

    snprintf(why, why_size, "%s: %u feature columns here, %u in the network (the label, column '%s', is not counted); is it the right file, and is --label "
             "the right column?", path, data->n_features, n_features, label);
    return false;
}

bool cli_classes_fit(const struct sl_dataset *data, const char *path, uint32_t n_classes, const struct sl_names *names, char *why, size_t why_size)
{
    char here[SHOWN_MAX];
    for (uint32_t i = 0; data->classes && names->n > 0 && i < data->n_classes; i++) {
        if (holds(names->names, names->n, data->classes[i])) continue;
        char first[SHOWN_MAX], last[SHOWN_MAX];
        snprintf(why, why_size, "%s: the class '%s' here is none of the network's %u classes, '%s' to '%s'; is --label the right column?", path,
                 shown(data->classes[i], here), names->n, shown(names->names[0], first), shown(names->names[names->n - 1], last));
        return false;
    }
    if (data->classes && names->n == 0 && n_classes > 0) {
        snprintf(why, why_size,
                 "%s: the classes here are texts ('%s', ...), in the network they are the numbers 0 to %u; write the numbers into the label column", path,
                 shown(data->classes[0], here), n_classes - 1);
        return false;
    }
    if (n_classes == 0 || data->n_classes <= n_classes) return true;

    snprintf(why, why_size, "%s: labels up to %u here, %u classes in the network (0 to %u); is --label the right column?", path, data->n_classes - 1,
             n_classes, n_classes - 1);
    return false;
}

static double root_mean_square(const struct sl_dataset *data, uint32_t column)
{
    double sum = 0;
    for (uint32_t i = 0; i < data->n_rows; i++) {
        double value = data->features[(size_t)i * data->n_features + column];
        sum += value * value;
    }
    return sqrt(sum / (data->n_rows ? data->n_rows : 1));
}

static double mean_before_scaling(const struct sl_dataset *data, uint32_t column, const struct sl_scaling *scaling)
{
    double sum = 0;
    for (uint32_t i = 0; i < data->n_rows; i++) sum += data->features[(size_t)i * data->n_features + column];
    double mean = sum / (data->n_rows ? data->n_rows : 1);
    if (scaling->n_features == 0 || scaling->factor[column] == 0) return mean;
    return mean / scaling->factor[column] + scaling->offset[column];
}

bool cli_scale_is_doubtful(const struct sl_dataset *scaled, const char *path, const struct sl_scaling *scaling, char *out, size_t size)
{
    double largest = 0;
    uint32_t column = 0, n_far = 0;
    for (uint32_t j = 0; j < scaled->n_features; j++) {
        double typical = root_mean_square(scaled, j);
        n_far += typical > far_out;
        if (typical <= largest) continue;
        largest = typical;
        column = j;
    }
    char name[SHOWN_MAX], place[PLACE_MAX];
    if (scaled->columns) snprintf(place, sizeof place, "column %u, '%s',", column + 1, shown(scaled->columns[column], name));
    else snprintf(place, sizeof place, "column %u", column + 1);

    if (largest > far_out) {
        const char *others = n_far > 1 ? ", and it is not the only one" : "";
        snprintf(out, size, "%s: %s has a mean of %.4g and is about %.3g after scaling, where models learn well below %.0f%s; "
                 "another unit, or a scaling that does not suit?", path, place, mean_before_scaling(scaled, column, scaling), largest, far_out, others);
        return true;
    }
    bool is_tiny = largest < far_in && scaled->n_features > 0 && scaled->n_rows > 0;
    if (is_tiny)
        snprintf(out, size, "%s: after scaling no column is larger than about %.2g, so a model learns very slowly; are the values scaled already?", path,
                 largest);
    return is_tiny;
}
