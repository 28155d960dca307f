/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Concurrency=unit: section [Service], which is the unit's, and Unit=. Called by the loader through its
 * tables. What a setting means is the library's to know: here each line is only shown to it, so that a bad
 * one is told with file and line. Asks systemd nothing. */

#include <arbiter/spawn.h>

#include "arbiterd/config-internal.h"
#include "basic/parse.h"

static struct actor_config *actor_of(const struct conf_context *c) {
        return &((struct monitor_config *) c->parser->data)->actor;
}

static void remember(const struct conf_context *c, enum place_key key) {
        const struct load_context *l = c->parser->options;

        if (!l->places[key].file)
                l->places[key] = (struct place){ c->file, c->line };
}

int config_parse_unit(const struct conf_context *c, const char *value, void *field) {
        _cleanup_free_ char *expanded = NULL;
        int r;

        if (!*value)
                return conf_parse_string(c, value, field);
        remember(c, PLACE_UNIT);
        r = config_check_exclusive(c);
        if (r >= 0)
                r = config_specifiers(c, value, false, &expanded);
        if (r < 0)
                return r;
        if (!unit_template_is_valid(expanded))
                return conf_bad_value(c, value,
                                      "a template of services; write its name with @, for example "
                                      "Unit=my-worker@.service");
        return conf_parse_string(c, expanded, field);
}

static void done_assignment(struct config_assignment *a) {
        free(a->key);
        free(a->value);
}

void config_done_service(struct config_assignment *service, size_t n) {
        for (size_t i = 0; i < n; i++)
                done_assignment(&service[i]);
        free(service);
}

/* An empty value: nothing above this line counts. */
static void take_back(struct actor_config *a, const char *key) {
        size_t n = 0;

        for (size_t i = 0; i < a->n_service; i++)
                if (streq(a->service[i].key, key))
                        done_assignment(&a->service[i]);
                else
                        a->service[n++] = a->service[i];
        a->n_service = n;
}

bool config_is_percentage(const char *value) {
        size_t n = strspn(value, "0123456789.");

        return n > 0 && streq(value + n, "%");
}

static int check_property(const struct conf_context *c, const char *value) {
        _cleanup_free_ char *why = NULL;
        int r = arbiter_check_unit_property(c->key, value, &why);

        if (r != -EINVAL)
                return r;
        return why ? conf_complain(c, "%s", why) : -ENOMEM;
}

int config_parse_documentation(const struct conf_context *c, const char *value, void *field) {
        int r = check_property(c, value);

        return r < 0 ? r : conf_parse_words(c, value, field);
}

static int check(const struct conf_context *c, const char *value) {
        _cleanup_free_ char *expanded = NULL;
        int r;

        if (streq(c->key, "Documentation"))
                return conf_complain(c,
                                     "Documentation= is not a setting of section [Service]; write it in "
                                     "section [Monitor].");
        r = config_is_percentage(value) ? 0 : config_specifiers(c, value, true, &expanded);
        return r < 0 ? r : check_property(c, expanded ? expanded : value);
}

int config_parse_service(const struct conf_context *c, const char *value, void *field) {
        struct actor_config *a = actor_of(c);
        struct config_assignment *bigger, n;
        int r;

        remember(c, PLACE_SERVICE);
        r = check(c, value);
        if (r < 0)
                return r;
        if (!*value) /* and what that stands for is the library's to know, too */
                take_back(a, c->key);
        bigger = reallocarray(a->service, a->n_service + 1, sizeof(*bigger));
        if (!bigger)
                return -ENOMEM;
        a->service = bigger;
        n = (struct config_assignment){ strdup(c->key), strdup(value) };
        if (!n.key || !n.value) {
                done_assignment(&n);
                return -ENOMEM;
        }
        a->service[a->n_service++] = n;
        return 0;
}

bool config_has_dynamic_user(const struct actor_config *a) {
        bool dynamic = false;

        for (size_t i = 0; i < a->n_service; i++)
                if (streq(a->service[i].key, "DynamicUser"))
                        (void) parse_bool(a->service[i].value, &dynamic);
        return dynamic;
}

bool config_has_other_files(const struct actor_config *a) {
        static const char *const keys[] = { "RootDirectory", "RootImage", "BindPaths", "BindReadOnlyPaths",
                                            "MountImages", "ExtensionImages", "ExtensionDirectories" };

        for (size_t i = 0; i < a->n_service; i++)
                for (size_t j = 0; j < ELEMENTSOF(keys); j++)
                        if (streq(a->service[i].key, keys[j]))
                                return true;
        return false;
}
