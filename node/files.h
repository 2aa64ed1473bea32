/* Whole files, read with a bound and written so that a crash leaves the old or the new one; hex. */
#ifndef NODE_FILES_H
#define NODE_FILES_H

#include "consent/status.h"
#include "consent/types.h"

/* Joins with a slash; CL_E_BOUND where it does not fit. */
CL_MUST_USE enum cl_status file_path(char *out, size_t size, const char *directory, const char *name);
/* Appends the file's bytes. CL_E_NOT_FOUND, CL_E_BOUND (larger than bytes_max), CL_E_IO with errno set, CL_E_MEMORY. */
CL_MUST_USE enum cl_status file_read(struct cl_buffer *out, const char *path, size_t bytes_max);
/* Writes a new file with these permissions, syncs it, renames it into place, syncs the directory. exclusive: CL_E_EXISTS
   where the name is taken. CL_E_IO with errno set. */
CL_MUST_USE enum cl_status file_write(const char *path, const void *data, size_t length, unsigned mode, bool exclusive);
/* All of it, however often the kernel takes a part; false: errno says why. */
CL_MUST_USE bool file_write_all(int file, const uint8_t *data, size_t length);
CL_MUST_USE enum cl_status file_sync_directory_of(const char *path);
/* Each file in the directory, and the directory; false: errno says why. */
CL_MUST_USE bool file_sync_all_in(const char *directory);
/* Lower-case hex of exactly length bytes. */
bool hex_decode(uint8_t *out, size_t length, const char *text, size_t text_length);
void hex_encode(char *out, const uint8_t *data, size_t length); /* 2 * length + 1 characters */

#endif
