/* Keeps evidence over restarts: all that ordering has is written to DATA/evidence whenever it finds more, which is four times
   for each member at most. /v1/evidence shows the file. */
#include "node_private.h"

#include "evidence.h"
#include "files.h"
#include "logging.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum cl_status node_evidence_read(struct consensus_evidence **pieces, size_t *count, const struct node *node, char path[1200])
{
    struct cl_buffer bytes = { 0 };
    *pieces = NULL;
    *count = 0;
    enum cl_status status = file_path(path, 1200, node->options.config.data, "evidence");
    if (status == CL_OK) status = file_read(&bytes, path, EVIDENCE_FILE_BYTES_MAX);
    if (status == CL_OK) status = evidence_decode(pieces, count, &node->genesis.core.network, bytes.data, bytes.length);
    cl_buffer_deinit(&bytes);
    return status == CL_E_NOT_FOUND ? CL_OK : status == CL_E_IO ? CL_E_STORE_IO : status;
}

static size_t pieces_of(const struct node *node)
{
    struct consensus_report report;
    consensus_report(node->consensus, &report);
    return (size_t)report.evidence;
}

/* A file that cannot be read is put aside: it may still prove something to a person. */
enum cl_status node_evidence_load(struct node *node)
{
    char path[1200], aside[1216];
    struct consensus_evidence *pieces;
    size_t count, bad = 0;
    enum cl_status status = node_evidence_read(&pieces, &count, node, path);
    for (size_t i = 0; i < count && status == CL_OK; i++) bad += !consensus_restore_evidence(node->consensus, &pieces[i]);
    node->evidence_kept = pieces_of(node);
    if (bad > 0) log_line(LOG_LEVEL_WARNING, "evidence_left_out", "pieces=%zu reason=\"they prove nothing\"", bad);
    if (status == CL_E_STORE_CORRUPT || status == CL_E_STORE_OTHER || status == CL_E_STORE_NEWER || status == CL_E_BOUND) {
        snprintf(aside, sizeof aside, "%s.unreadable", path);
        log_line(LOG_LEVEL_WARNING, "evidence_unreadable", "code=%s kept_as=\"%s\"", cl_status_code(status), aside);
        status = rename(path, aside) == 0 ? CL_OK : CL_E_STORE_IO;
    }
    free(pieces);
    return status;
}

enum cl_status node_evidence_keep(struct node *node)
{
    char path[1200];
    struct cl_buffer bytes = { 0 };
    size_t count = pieces_of(node);
    if (count == node->evidence_kept) return CL_OK;
    for (size_t i = node->evidence_kept; i < count; i++) {
        const struct consensus_evidence *piece = consensus_evidence(node->consensus, i);
        log_line(LOG_LEVEL_WARNING, "evidence", "member=%s view=%llu votes=%s,%s", node->genesis.core.value.members[piece->first.voter].name,
                 (unsigned long long)piece->first.view, evidence_word(piece->first.kind), evidence_word(piece->second.kind));
    }
    node->evidence_kept = count;
    enum cl_status status = file_path(path, sizeof path, node->options.config.data, "evidence");
    if (status == CL_OK) status = evidence_encode(&bytes, &node->genesis.core.network, consensus_evidence(node->consensus, 0), count);
    if (status == CL_OK) status = file_write(path, bytes.data, bytes.length, 0600, false);
    cl_buffer_deinit(&bytes);
    return status == CL_OK ? CL_OK : node_fail(node, status == CL_E_IO ? CL_E_STORE_IO : status, "Evidence could not be kept (%s). Check space and disk, then start again.", strerror(errno));
}
