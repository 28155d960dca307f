/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The shared page: what is mapped, what is refused. */

#include <fcntl.h>
#include <sys/mman.h>

#include "basic/fd.h"
#include "test-util.h"
#include "transport/link-page.h"

static void test_shared(void **state) {
        struct link_page *a = NULL, *b = NULL;
        _cleanup_close_ int fd = -EBADF;

        assert_ok(link_page_create(&fd));
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_ok(link_page_map(fd, &a));
        assert_ok(link_page_map(fd, &b));
        assert_ptr_not_equal(a, b);
        atomic_store(&a->side[0].begun[LANE_SYSTEM], 7);
        atomic_store(&b->side[1].granted_bytes, 9);
        assert_int_equal(atomic_load(&b->side[0].begun[LANE_SYSTEM]), 7);
        assert_int_equal(atomic_load(&b->side[0].begun[LANE_USER]), 0);
        assert_int_equal(atomic_load(&a->side[1].granted_bytes), 9);
        assert_null(link_page_unmap(a));
        assert_null(link_page_unmap(b));
        assert_null(link_page_unmap(NULL));
}

static void test_sealed(void **state) {
        _cleanup_close_ int fd = -EBADF;

        assert_ok(link_page_create(&fd));
        assert_int_equal(ftruncate(fd, 0), -1);
        assert_int_equal(errno, EPERM);
        assert_int_equal(ftruncate(fd, 1 << 20), -1);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
}

static void refuse_memfd(off_t size, int seals, int expected) {
        struct link_page *p = NULL;
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        assert_int_equal(link_page_map(fd, &p), expected);
        assert_null(p);
        close_fd(fd);
}

static void test_refused(void **state) {
        struct link_page *p = NULL;
        int fd;

        refuse_memfd(4096, F_SEAL_GROW | F_SEAL_SEAL, -EBADMSG);
        refuse_memfd(4096, F_SEAL_SHRINK | F_SEAL_SEAL, -EBADMSG);
        refuse_memfd(4096, F_SEAL_SHRINK | F_SEAL_GROW, -EBADMSG);
        refuse_memfd(0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, -EBADMSG);
        refuse_memfd(256, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, -EBADMSG);
        refuse_memfd(8192, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, -EBADMSG);
        refuse_memfd(4096, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | F_SEAL_WRITE, -EPERM);

        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_errno(link_page_map(fd, &p), EBADMSG);
        close_fd(fd);
        assert_errno(link_page_map(-EBADF, &p), EBADF);
        assert_null(p);
}

static void test_local(void **state) {
        struct link_page *p = NULL;

        assert_ok(link_page_map_local(&p));
        assert_int_equal(atomic_load(&p->side[1].granted_messages), 0);
        atomic_store(&p->side[1].starved, 1);
        assert_null(link_page_unmap(p));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_shared),
                cmocka_unit_test(test_sealed),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_local),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
