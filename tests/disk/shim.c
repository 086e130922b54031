/* Loaded before the C library (LD_PRELOAD): writes down what a process does to the files of one directory, in the order
 * in which it is done, and lets one of these operations fail.
 *
 *   DISK_SHIM_DIRECTORY   files below it are looked at, but those whose names end in -shm or .lock: nobody reads them
 *                         after a crash
 *   DISK_SHIM_RECORD      where to write the operations down (see recording.py for the form), if at all
 *   DISK_SHIM_FAIL        KIND:N:HOW, where KIND is write or sync, the N-th of them from 1 fails, and HOW is EIO, ENOSPC
 *                         or short (half of it is written)
 *   DISK_SHIM_COUNT       where to leave the number of writes and syncs when the process ends, two numbers as text
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATED = 1, WRITTEN, TRUNCATED, SYNC_BEGUN, SYNCED, UNLINKED };
enum { MOST_FDS = 4096 };

struct header {
    uint64_t at_ns; /* CLOCK_MONOTONIC, before the operation */
    uint32_t kind, name_bytes;
    uint64_t offset, bytes; /* of a truncation the new length is its offset */
};

static char *names[MOST_FDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *directory, *count_path;
static int record_fd = -1;
static int fail_kind, fail_errno; /* 0 of fail_errno: a short write */
static long fail_at, writes, syncs;

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_open)(const char *, int, ...);
static int (*real_openat)(int, const char *, int, ...);
static int (*real_close)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

/* Counting begins anew. A process that has forked says what is to fail in it. */
void disk_shim_aim(const char *fail) {
    char kind[8], how[8];
    writes = syncs = fail_kind = 0;
    if (sscanf(fail, "%7[a-z]:%ld:%7[A-Za-z]", kind, &fail_at, how) == 3) {
        fail_kind = strcmp(kind, "sync") ? WRITTEN : SYNCED;
        fail_errno = strcmp(how, "EIO") == 0 ? EIO : strcmp(how, "ENOSPC") == 0 ? ENOSPC : 0;
    }
}

__attribute__((constructor)) static void begin(void) {
    real_write = next("write");
    real_pwrite = next("pwrite64");
    real_open = next("open64");
    real_openat = next("openat64");
    real_close = next("close");
    real_ftruncate = next("ftruncate64");
    real_fsync = next("fsync");
    real_fdatasync = next("fdatasync");
    real_unlink = next("unlink");
    directory = getenv("DISK_SHIM_DIRECTORY");
    count_path = getenv("DISK_SHIM_COUNT");
    const char *record = getenv("DISK_SHIM_RECORD"), *fail = getenv("DISK_SHIM_FAIL");
    if (record) {
        int fd = real_open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        record_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900); /* out of the way of the numbers that the process expects */
        real_close(fd);
    }
    if (fail) disk_shim_aim(fail);
}

__attribute__((destructor)) static void end(void) {
    if (!count_path) return;
    char text[64];
    int length = snprintf(text, sizeof text, "%ld %ld", writes, syncs);
    int fd = real_open(count_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd >= 0 && real_write(fd, text, length) == length) real_close(fd);
}

static const char *ours(const char *path) {
    if (!directory) return NULL;
    size_t length = strlen(directory), all = strlen(path);
    if (strncmp(path, directory, length) || path[length] != '/') return NULL;
    if (all > 4 && (!strcmp(path + all - 4, "-shm") || !strcmp(path + all - 5, ".lock"))) return NULL;
    return path + length + 1;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + now.tv_nsec;
}

static void note(uint64_t at_ns, uint32_t kind, const char *name, uint64_t offset, const void *data, uint64_t bytes) {
    if (record_fd < 0) return;
    struct header header = {at_ns, kind, (uint32_t)strlen(name), offset, bytes};
    struct iovec parts[3] = {
        {&header, sizeof header}, {(void *)name, header.name_bytes}, {(void *)data, data ? bytes : 0}};
    size_t whole = parts[0].iov_len + parts[1].iov_len + parts[2].iov_len;
    if (writev(record_fd, parts, 3) != (ssize_t)whole) abort();
}

static const char *name_of(int fd) { return fd >= 0 && fd < MOST_FDS ? names[fd] : NULL; }

static int opened(int fd, const char *path, int flags, uint64_t at_ns, int was_there) {
    char whole[PATH_MAX];
    const char *name = fd >= 0 && fd < MOST_FDS && realpath(path, whole) ? ours(whole) : NULL;
    if (name) {
        names[fd] = strdup(name);
        if (!was_there || flags & O_TRUNC) note(at_ns, CREATED, name, 0, NULL, 0);
    }
    return fd;
}

static int mode_of(int flags, va_list rest) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0; }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        int mode = mode_of(flags, rest);                                                                               \
        va_end(rest);                                                                                                  \
        pthread_mutex_lock(&lock);                                                                                     \
        uint64_t at_ns = now_ns();                                                                                     \
        int was_there = access(path, F_OK) == 0;                                                                       \
        int fd = opened(real_open(path, flags, mode), path, flags, at_ns, was_there);                                  \
        int error = errno;                                                                                             \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = error;                                                                                                 \
        return fd;                                                                                                     \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                                                   \
    int name(int at, const char *path, int flags, ...) {                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        int mode = mode_of(flags, rest);                                                                               \
        va_end(rest);                                                                                                  \
        pthread_mutex_lock(&lock);                                                                                     \
        uint64_t at_ns = now_ns();                                                                                     \
        int was_there = faccessat(at, path, F_OK, 0) == 0;                                                             \
        int fd = opened(real_openat(at, path, flags, mode), path, flags, at_ns, was_there);                            \
        int error = errno;                                                                                             \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = error;                                                                                                 \
        return fd;                                                                                                     \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd) {
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < MOST_FDS) {
        free(names[fd]);
        names[fd] = NULL;
    }
    int answer = real_close(fd);
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Whether this operation is the one that fails; a short write goes on with half of its bytes. */
static int fails(int kind, size_t *bytes) {
    long number = kind == WRITTEN ? ++writes : ++syncs;
    if (kind != fail_kind || number != fail_at) return 0;
    if (fail_errno) return 1;
    if (bytes) *bytes = *bytes > 1 ? *bytes / 2 : *bytes;
    return 0;
}

static ssize_t put(int fd, const void *data, size_t bytes, off_t offset, int positioned) {
    const char *name = name_of(fd);
    if (!name) return positioned ? real_pwrite(fd, data, bytes, offset) : real_write(fd, data, bytes);
    pthread_mutex_lock(&lock);
    ssize_t answer = -1;
    int error = fail_errno;
    if (!fails(WRITTEN, &bytes)) {
        if (!positioned) offset = lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
        uint64_t at_ns = now_ns();
        answer = positioned ? real_pwrite(fd, data, bytes, offset) : real_write(fd, data, bytes);
        error = errno;
        if (answer > 0) note(at_ns, WRITTEN, name, offset, data, answer);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return answer;
}

ssize_t write(int fd, const void *data, size_t bytes) { return put(fd, data, bytes, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return put(fd, data, bytes, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) { return put(fd, data, bytes, offset, 1); }

static int cut(int fd, off_t length) {
    const char *name = name_of(fd);
    if (!name) return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    uint64_t at_ns = now_ns();
    int answer = real_ftruncate(fd, length), error = errno;
    if (answer == 0) note(at_ns, TRUNCATED, name, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return answer;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

/* The lock is not held while the disk works: what another thread writes meanwhile need not be on it afterwards. */
static int sync_with(int fd, int (*real)(int)) {
    const char *name = name_of(fd);
    if (!name) return real(fd);
    pthread_mutex_lock(&lock);
    int broken = fails(SYNCED, NULL);
    if (!broken) note(now_ns(), SYNC_BEGUN, name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (broken) {
        errno = fail_errno;
        return -1;
    }
    uint64_t at_ns = now_ns();
    int answer = real(fd), error = errno;
    pthread_mutex_lock(&lock);
    if (answer == 0) note(at_ns, SYNCED, name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return answer;
}

int fsync(int fd) { return sync_with(fd, real_fsync); }
int fdatasync(int fd) { return sync_with(fd, real_fdatasync); }

int unlink(const char *path) {
    char whole[PATH_MAX];
    const char *name = realpath(path, whole) ? ours(whole) : NULL;
    pthread_mutex_lock(&lock);
    uint64_t at_ns = now_ns();
    int answer = real_unlink(path), error = errno;
    if (answer == 0 && name) note(at_ns, UNLINKED, name, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return answer;
}
