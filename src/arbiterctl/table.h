/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables for people: libsmartcols with our manners. Columns are as wide as their content, and names are
 * never cut, because a name that is cut cannot be typed. On a terminal that is too narrow the columns
 * that may be cut are, or left out if little would remain; elsewhere scripts read, and nothing is cut. */

#include <libsmartcols.h>

#include "arbiterctl/output.h"

struct table_column {
        const char *title;
        bool right, by_state; /* by_state: in the colour of the line */
        bool tree, cut;
};

struct table {
        struct libscols_table *table;
        const struct table_column *columns;
        unsigned width; /* 0: do not cut */
};

/* columns ends with one without title and must stay. -ENOMEM. */
int table_init(struct table *t, const struct table_column *columns, bool headings);
void table_set_width(struct table *t, unsigned width);
/* One text a column; copied. */
int table_add(struct table *t, enum colour state, const char *const *cells);
int table_add_child(struct table *t, struct libscols_line *parent, enum colour state,
                    const char *const *cells, struct libscols_line **ret);
int table_print(struct table *t);
void table_done(struct table *t);
