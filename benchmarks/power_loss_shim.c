/* Records what a process does to the files below one folder, in the order in which it does it.
 *
 * Preloaded (LD_PRELOAD), it stands before the C library's calls that write, sync, cut, name and remove files, so it
 * sees what Python and SQLite hand to the system. POWER_LOSS_ROOT is the folder, POWER_LOSS_TRACE the file of records:
 * a head of five numbers, then the data. A write is recorded when it is done; of a sync, beginning and end are, because
 * only what was written before its beginning is safe after its end.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRITE = 1, SYNC_BEGIN, SYNC_END, CUT, CREATE, MKDIR, RENAME, UNLINK, RMDIR };

struct head {
    uint64_t op, inode, offset, size, more; /* size and more: bytes of the two texts that follow */
};

static const char *root(void) {
    static const char *found;
    if (!found) found = getenv("POWER_LOSS_ROOT");
    return found ? found : "";
}

static void record(int op, uint64_t inode, uint64_t offset, const void *data, size_t size, const char *more) {
    static int out = -1;
    if (out < 0) out = syscall(SYS_openat, AT_FDCWD, getenv("POWER_LOSS_TRACE"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    size_t extra = more ? strlen(more) : 0, all = sizeof(struct head) + size + extra;
    struct head head = {op, inode, offset, size, extra};
    char *whole = malloc(all);
    memcpy(whole, &head, sizeof head);
    if (size) memcpy(whole + sizeof head, data, size);
    if (extra) memcpy(whole + sizeof head + size, more, extra);
    if (syscall(SYS_write, out, whole, all) != (long)all) abort();
    free(whole);
}

static int below(const char *path) {
    size_t length = strlen(root());
    return length && !strncmp(path, root(), length) && path[length] == '/';
}

/* The absolute path, of which the folder is looked up and the last part is not. */
static int resolve(int folder, const char *path, char *out) {
    char from[4096] = "";
    if (path[0] != '/') {
        char link[64];
        if (folder == AT_FDCWD) {
            if (!getcwd(from, sizeof from)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, from, sizeof from - 1);
            if (length < 0) return 0;
            from[length] = 0;
        }
        strcat(from, "/");
    }
    return snprintf(out, 8192, "%s%s", from, path) < 8192 && below(out);
}

/* Whether a descriptor is a file or folder of ours, and which. */
static int ours(int fd, struct stat *is) {
    char link[64], path[4096];
    if (fstat(fd, is) || !(S_ISREG(is->st_mode) || S_ISDIR(is->st_mode))) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path) || (S_ISDIR(is->st_mode) && !strcmp(path, root()));
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char whole[8192];
    struct stat before, after;
    int tracked = resolve(folder, path, whole), was = tracked && !lstat(whole, &before);
    int fd = syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0 && tracked && !fstat(fd, &after) && S_ISREG(after.st_mode)) {
        if (!was && (flags & O_CREAT)) record(CREATE, after.st_ino, 0, whole, strlen(whole), NULL);
        else if (was && (flags & O_TRUNC)) record(CUT, after.st_ino, 0, NULL, 0, NULL);
    }
    return fd;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags | O_LARGEFILE, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE return opened(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE return opened(folder, path, flags | O_LARGEFILE, mode); }

ssize_t write(int fd, const void *data, size_t size) {
    struct stat is;
    int mine = ours(fd, &is);
    off_t at = !mine ? 0 : fcntl(fd, F_GETFL) & O_APPEND ? is.st_size : lseek(fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, data, size);
    if (mine && done > 0) record(WRITE, is.st_ino, at, data, done, NULL);
    return done;
}

static ssize_t put_at(int fd, const void *data, size_t size, off_t at) {
    struct stat is;
    int mine = ours(fd, &is);
    ssize_t done = syscall(SYS_pwrite64, fd, data, size, at);
    if (mine && done > 0) record(WRITE, is.st_ino, at, data, done, NULL);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return put_at(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return put_at(fd, data, size, at); }

static int synced(int fd, long call) {
    struct stat is;
    int mine = ours(fd, &is);
    if (mine) record(SYNC_BEGIN, is.st_ino, 0, NULL, 0, NULL);
    int answer = syscall(call, fd);
    if (mine && !answer) record(SYNC_END, is.st_ino, 0, NULL, 0, NULL);
    return answer;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int cut(int fd, off_t size) {
    struct stat is;
    int mine = ours(fd, &is), answer = syscall(SYS_ftruncate, fd, size);
    if (mine && !answer) record(CUT, is.st_ino, size, NULL, 0, NULL);
    return answer;
}

int ftruncate(int fd, off_t size) { return cut(fd, size); }
int ftruncate64(int fd, off64_t size) { return cut(fd, size); }

int renameat(int from, const char *old, int to, const char *new) {
    char a[8192], b[8192];
    int mine = resolve(from, old, a) && resolve(to, new, b), answer = syscall(SYS_renameat2, from, old, to, new, 0);
    if (mine && !answer) record(RENAME, 0, 0, a, strlen(a), b);
    return answer;
}

int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int unlinkat(int folder, const char *path, int flags) {
    char whole[8192];
    int mine = resolve(folder, path, whole), answer = syscall(SYS_unlinkat, folder, path, flags);
    if (mine && !answer) record(flags & AT_REMOVEDIR ? RMDIR : UNLINK, 0, 0, whole, strlen(whole), NULL);
    return answer;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char whole[8192];
    struct stat is;
    int mine = resolve(folder, path, whole), answer = syscall(SYS_mkdirat, folder, path, mode);
    if (mine && !answer && !stat(whole, &is)) record(MKDIR, is.st_ino, 0, whole, strlen(whole), NULL);
    return answer;
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
