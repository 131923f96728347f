/* Loaded before the C library: notes in the file SYNCED_LOG what is known to be on the disk.
 *
 * "S inode size" when a file was fsynced that was so large before; "D inode name/name/…" when a folder was.
 * What a power cut would leave is the last that stands there; see power.py.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *text, size_t length)
{
    const char *path = getenv("SYNCED_LOG");
    int log = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (log < 0 || write(log, text, length) != (ssize_t)length)
        abort(); /* A test that cannot note must not pass. */
    close(log);
}

static void note_folder(int file, const struct stat *known)
{
    static __thread char text[1 << 16];
    char path[64];
    size_t length = snprintf(text, sizeof text, "D %lu ", (unsigned long)known->st_ino);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    DIR *folder = opendir(path);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) && length < sizeof text - 600)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            length += snprintf(text + length, sizeof text - length, "%s/", entry->d_name);
    if (folder)
        closedir(folder);
    text[length++] = '\n';
    put(text, length);
}

static int sync_and_note(const char *name, int file)
{
    int (*sync_it)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    struct stat known; /* Before: what is written meanwhile need not be there. */
    int is_known = fstat(file, &known) == 0;
    int result = sync_it(file);
    char text[64];
    if (result || !is_known)
        return result;
    if (S_ISDIR(known.st_mode))
        note_folder(file, &known);
    else if (S_ISREG(known.st_mode))
        put(text, snprintf(text, sizeof text, "S %lu %lld\n", (unsigned long)known.st_ino, (long long)known.st_size));
    return result;
}

int fsync(int file) { return sync_and_note("fsync", file); }
int fdatasync(int file) { return sync_and_note("fdatasync", file); }
