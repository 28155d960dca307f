/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables on stdout, for the verbs that list. */

#include "arbiterctl/table.h"

int table_init(struct table *t, const struct table_column *columns, bool headings) {
        t->columns = columns;
        t->table = scols_new_table();
        if (!t->table)
                return -ENOMEM;
        for (const struct table_column *c = columns; c->title; c++)
                if (!scols_table_new_column(t->table, c->title, 0,
                                            (c->right ? SCOLS_FL_RIGHT : 0) | (c->tree ? SCOLS_FL_TREE : 0)))
                        return -ENOMEM;
        (void) scols_table_enable_noheadings(t->table, !headings);
        (void) scols_table_enable_colors(t->table, output_is_coloured());
        (void) scols_table_enable_ascii(t->table, !output_is_utf8());
        /* Not by the width of the terminal: a name that is cut cannot be typed. */
        (void) scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER);
        return 0;
}

int table_add(struct table *t, enum colour state, const char *const *cells) {
        return table_add_child(t, NULL, state, cells, NULL);
}

int table_add_child(struct table *t, struct libscols_line *parent, enum colour state,
                    const char *const *cells, struct libscols_line **ret) {
        struct libscols_line *line = scols_table_new_line(t->table, parent);
        size_t i = 0;

        if (!line)
                return -ENOMEM;
        for (const struct table_column *c = t->columns; c->title; c++, i++) {
                struct libscols_cell *cell = scols_line_get_cell(line, i);

                if (!cell || scols_cell_set_data(cell, cells[i]) < 0)
                        return -ENOMEM;
                if (c->by_state && output_is_coloured())
                        (void) scols_cell_set_color(cell, colour(state));
        }
        if (ret)
                *ret = line;
        return 0;
}

int table_print(struct table *t) {
        return scols_print_table(t->table) < 0 ? -ENOMEM : 0;
}

void table_done(struct table *t) {
        scols_unref_table(t->table);
        t->table = NULL;
}
