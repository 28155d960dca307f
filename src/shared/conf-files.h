/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where configuration lies: NAME.SUFFIX in an ordered list of directories (the first that has it wins), with
 * drop-ins NAME.SUFFIX.d/ *.conf from all of them. A symlink to /dev/null, or an empty file, masks; a
 * drop-in hides those of the same file name in later directories, and drop-ins apply in the order of their
 * file names. */

#include "basic/macro.h"

struct conf_files {
        char *path;     /* the main file; NULL: there is none, or it is masked */
        bool masked;    /* path is NULL because of a mask */
        char **dropins; /* paths, in the order in which they apply */
};

void conf_files_done(struct conf_files *f);

/* The sorted file names that end in suffix (".monitor"), each once, masked ones included; hidden files,
 * directories and names that are only a suffix are not among them. Directories that do not exist are fine.
 * On another failure
 * (-EACCES...) *ret_directory (borrowed from directories) says where; the rest is found all the same, and
 * the return value is that of the first failure with *ret valid: the caller reports and goes on. */
int conf_files_list(const char *const *directories, const char *suffix, char ***ret,
                    const char **ret_directory);
/* file_name: "web.monitor". Finding nothing is 0 with path NULL. */
int conf_files_find(const char *const *directories, const char *file_name, struct conf_files *ret);
