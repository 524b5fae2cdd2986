/* Kills the process with SIGKILL before or after its n-th write, fsync, rename or unlink of a checkpoint.
   CRASH_AT_DISK=rename.before:2; preloaded by tests/kafka/test_crashes.py.
   FAIL_WHILE=/a/file: while there is such a file, writes (or with FAIL_CALL=fsync, syncs) of a checkpoint fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int left = -1;

static void reached(const char *call, const char *when, const char *path) {
    const char *wanted = getenv("CRASH_AT_DISK");
    char name[64];
    if (wanted == NULL || path == NULL || strstr(path, ".ff") == NULL) return;
    int length = snprintf(name, sizeof name, "%s.%s:", call, when);
    if (strncmp(wanted, name, (size_t)length) != 0) return;
    if (left < 0) left = atoi(wanted + length);
    if (--left <= 0) kill(getpid(), SIGKILL);
}

static int fails(const char *call, const char *path, int number) {
    const char *file = getenv("FAIL_WHILE"), *which = getenv("FAIL_CALL");
    if (file == NULL || path == NULL || strstr(path, ".ff") == NULL) return 0;
    if (strcmp(which == NULL ? "write" : which, call) != 0 || access(file, F_OK) != 0) return 0;
    errno = number;
    return 1;
}

static const char *path_of(int descriptor, char *buffer, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return buffer;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    static ssize_t (*real)(int, const void *, size_t);
    char buffer[4096];
    if (real == NULL) real = dlsym(RTLD_NEXT, "write");
    int asked = getenv("CRASH_AT_DISK") != NULL || getenv("FAIL_WHILE") != NULL;
    const char *path = asked ? path_of(descriptor, buffer, sizeof buffer) : NULL;
    if (fails("write", path, ENOSPC)) return -1;
    reached("write", "before", path);
    /* Half of it, so that a file ends in the middle. */
    const char *wanted = getenv("CRASH_AT_DISK");
    if (path != NULL && strstr(path, ".ff") && wanted != NULL && strncmp(wanted, "write.after:", 12) == 0 && size > 1) {
        ssize_t done = real(descriptor, data, size / 2);
        reached("write", "after", path);
        ssize_t rest = real(descriptor, (const char *)data + done, size - (size_t)done);
        return rest < 0 ? done : done + rest;
    }
    return real(descriptor, data, size);
}

int fsync(int descriptor) {
    static int (*real)(int);
    char buffer[4096];
    if (real == NULL) real = dlsym(RTLD_NEXT, "fsync");
    const char *path = path_of(descriptor, buffer, sizeof buffer);
    if (fails("fsync", path, EIO)) return -1;
    reached("fsync", "before", path);
    int result = real(descriptor);
    reached("fsync", "after", path);
    return result;
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "rename");
    reached("rename", "before", to);
    int result = real(from, to);
    reached("rename", "after", to);
    return result;
}

int unlink(const char *path) {
    static int (*real)(const char *);
    if (real == NULL) real = dlsym(RTLD_NEXT, "unlink");
    reached("unlink", "before", path);
    int result = real(path);
    reached("unlink", "after", path);
    return result;
}
