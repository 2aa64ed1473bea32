/* The append-only log: RFC 6962 Merkle tree with SHA-256 (section 2.1), its frontier, roots and proofs.
   Pure: hashes come and go through callbacks. */
#ifndef LEDGER_LOG_H
#define LEDGER_LOG_H

#include "consent/limits.h"
#include "consent/status.h"
#include "consent/types.h"

/* No tree is larger: no index arithmetic can overflow, and every path fits into CL_LOG_PATH_MAX. */
#define CL_LOG_SIZE_MAX (UINT64_C(1) << 62)

/* The roots of the perfect subtrees that make up a tree of `size` leaves: bit k of size set means peaks[k] is valid. */
struct cl_log_frontier { uint64_t size; struct cl_hash peaks[CL_LOG_PATH_MAX]; };

void cl_log_leaf_hash(struct cl_leaf_hash *out, const void *data, size_t length); /* H(00 || data) */
void cl_log_frontier_init(struct cl_log_frontier *frontier);
void cl_log_frontier_append(struct cl_log_frontier *frontier, const struct cl_leaf_hash *leaf);
/* The same. True: a tile of CL_TILE_WIDTH leaves has become full, and *tile_root is its root. */
bool cl_log_frontier_append_tile(struct cl_log_frontier *frontier, const struct cl_leaf_hash *leaf, struct cl_hash *tile_root);
void cl_log_frontier_root(struct cl_hash *out, const struct cl_log_frontier *frontier); /* size 0: H of nothing */

/* Reads the leaf hashes of [first, first+count) at tree level 8*tile_level: level 0 are leaf hashes, level 1 the roots
   of complete tiles, … (C2SP tlog-tiles). count <= 256 and within one tile. */
struct cl_log_source {
    void *context;
    enum cl_status (*read)(void *context, struct cl_hash *out, unsigned tile_level, uint64_t first, unsigned count);
};
/* Audit path of leaf `index` in the tree of `size` leaves, RFC 6962 2.1.1; *count <= 64. */
CL_MUST_USE enum cl_status cl_log_inclusion(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count,
                                            const struct cl_log_source *source, uint64_t index, uint64_t size);
/* RFC 6962 2.1.2. size1 <= size2; empty where size1 is 0 or equal. */
CL_MUST_USE enum cl_status cl_log_consistency(struct cl_hash path[CL_LOG_PATH_MAX], size_t *count,
                                              const struct cl_log_source *source, uint64_t size1, uint64_t size2);
CL_MUST_USE enum cl_status cl_log_root(struct cl_hash *out, const struct cl_log_source *source, uint64_t size);
/* Rebuilds the frontier of a tree of `size` leaves from the tiles. */
CL_MUST_USE enum cl_status cl_log_frontier_load(struct cl_log_frontier *out, const struct cl_log_source *source, uint64_t size);

/* The root that leaf and path lead to (RFC 9162 2.1.3.2). CL_E_PROOF: no leaf of that index has a path of that length. */
CL_MUST_USE enum cl_status cl_log_root_of_path(struct cl_hash *out, uint64_t size, uint64_t index, const struct cl_leaf_hash *leaf,
                                               const struct cl_hash *path, size_t count);
/* Verifiers: CL_OK or CL_E_PROOF. */
CL_MUST_USE enum cl_status cl_log_check_inclusion(const struct cl_hash *root, uint64_t size, uint64_t index,
                                                  const struct cl_leaf_hash *leaf, const struct cl_hash *path, size_t count);
CL_MUST_USE enum cl_status cl_log_check_consistency(const struct cl_hash *root1, uint64_t size1, const struct cl_hash *root2,
                                                    uint64_t size2, const struct cl_hash *path, size_t count);
#endif
