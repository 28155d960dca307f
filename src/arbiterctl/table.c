/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables on stdout, for the verbs that list. */

#include "arbiterctl/table.h"

int table_init(struct table *t, const struct table_column *columns, bool headings) {
        *t = (struct table){ .columns = columns };
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
        /* fit() does, which knows what may be cut. */
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

void table_set_width(struct table *t, unsigned width) {
        t->width = width;
}

#define LEVEL_WIDTH 2   /* of a level of a tree */
#define CUT_WIDTH_MIN 8 /* less says nothing */

static unsigned cell_width(const struct table *t, struct libscols_line *line, size_t i) {
        const char *text = scols_cell_get_data(scols_line_get_cell(line, i));
        unsigned width = text ? text_width(text) : 0;

        if (t->columns[i].tree)
                for (line = scols_line_get_parent(line); line; line = scols_line_get_parent(line))
                        width += LEVEL_WIDTH;
        return width;
}

static unsigned column_width(const struct table *t, size_t i) {
        unsigned width = scols_table_is_noheadings(t->table) ? 0 : text_width(t->columns[i].title);
        struct libscols_iter *iter = scols_new_iter(SCOLS_ITER_FORWARD);
        struct libscols_line *line;

        while (iter && scols_table_next_line(t->table, iter, &line) == 0)
                width = MAX(width, cell_width(t, line, i));
        scols_free_iter(iter);
        return width;
}

static int cut_cell(struct libscols_cell *cell, unsigned width) {
        const char *text = scols_cell_get_data(cell);
        size_t size = text ? strlen(text) + 4 : 0; /* with room for the ellipsis */
        char *copy;

        if (!text || text_width(text) <= width)
                return 0;
        copy = malloc(size);
        if (!copy)
                return -ENOMEM;
        (void) memcpy(copy, text, size - 3);
        return scols_cell_refer_data(cell, text_cut(copy, size, width));
}

static int cut_column(struct table *t, size_t i, unsigned width) {
        struct libscols_iter *iter;
        struct libscols_line *line;
        int r = 0;

        if (width < CUT_WIDTH_MIN)
                return scols_column_set_flags(scols_table_get_column(t->table, i), SCOLS_FL_HIDDEN);
        iter = scols_new_iter(SCOLS_ITER_FORWARD);
        if (!iter)
                return -ENOMEM;
        while (r >= 0 && scols_table_next_line(t->table, iter, &line) == 0)
                r = cut_cell(scols_line_get_cell(line, i), width);
        scols_free_iter(iter);
        return r;
}

/* From the last column that may be cut to the first, until it fits. */
static int fit(struct table *t) {
        unsigned all = 0, width;
        size_t n = 0;
        int r = 0;

        for (const struct table_column *c = t->columns; c->title; c++, n++)
                all += column_width(t, n) + (n > 0);
        while (n-- > 0 && r >= 0 && all > t->width) {
                if (!t->columns[n].cut)
                        continue;
                width = column_width(t, n);
                all -= width;
                r = cut_column(t, n, all < t->width ? t->width - all : 0);
                if (all + CUT_WIDTH_MIN > t->width)
                        all -= n > 0;
                else
                        all = t->width;
        }
        return r;
}

int table_print(struct table *t) {
        if (t->width > 0 && fit(t) < 0)
                return -ENOMEM;
        return scols_print_table(t->table) < 0 ? -ENOMEM : 0;
}

void table_done(struct table *t) {
        scols_unref_table(t->table);
        t->table = NULL;
}
