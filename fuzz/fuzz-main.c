/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over the files of a corpus, without libFuzzer: the regression test. Called by meson
 * test with the directories as arguments. An empty corpus is a failure, or a lost directory would look
 * like success. */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

static int run_file(int dir_fd, const char *name) {
        uint8_t *data = NULL;
        size_t n = 0;
        struct stat st;
        int fd, r = -1;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                goto finish;
        data = malloc((size_t) st.st_size + 1);
        if (!data)
                goto finish;
        while (n < (size_t) st.st_size) {
                ssize_t l = read(fd, data + n, (size_t) st.st_size - n);

                if (l <= 0)
                        goto finish;
                n += (size_t) l;
        }
        (void) LLVMFuzzerTestOneInput(data, n);
        r = 0;
finish:
        free(data);
        (void) close(fd);
        return r;
}

static int run_directory(const char *path) {
        DIR *d = opendir(path);
        int n = 0;

        if (!d)
                return -1;
        for (struct dirent *e; (e = readdir(d));) {
                if (e->d_name[0] == '.')
                        continue;
                fprintf(stderr, "%s/%s\n", path, e->d_name); /* the last line names the culprit of a crash */
                if (run_file(dirfd(d), e->d_name) < 0) {
                        n = -1;
                        break;
                }
                n++;
        }
        (void) closedir(d);
        return n;
}

int main(int argc, char *argv[]) {
        for (int i = 1; i < argc; i++)
                if (run_directory(argv[i]) <= 0) {
                        fprintf(stderr, "%s: no corpus, or unreadable\n", argv[i]);
                        return EXIT_FAILURE;
                }
        return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
