/* A ledger of one signed tree for targets that fuzz the verifier behind its signatures: leaves and state values of the
   caller's choice, then one state leaf, signed by a consortium of one whose keys come from fixed seeds. */
#ifndef TESTS_BOOK_H
#define TESTS_BOOK_H

#include "consent/proof.h"
#include "log.h"
#include "proof_build.h"
#include "smt.h"

#define BOOK_LEAVES_MAX 64u
#define BOOK_STATES_MAX 128u
#define BOOK_TIME_S 1800000000ull

struct book_state { uint8_t key[32], key_hash[32]; const uint8_t *value; size_t length; };
struct book {
    size_t leaf_count, state_count;
    struct cl_buffer leaves[BOOK_LEAVES_MAX];      /* kept between uses */
    struct cl_leaf_hash hashes[BOOK_LEAVES_MAX];
    struct book_state states[BOOK_STATES_MAX];     /* values are borrowed; ascending by key_hash once closed */
    struct cl_buffer state_leaf, note;
    struct cl_hash state_root;
    size_t leaf_path_count;
    struct cl_hash leaf_path[CL_LOG_PATH_MAX];     /* of the state leaf */
};
struct cl_policy *book_policy(void); /* one, for ever */
void book_reset(struct book *book);
void book_add_leaf(struct book *book, const uint8_t *data, size_t length);
void book_add_state(struct book *book, const uint8_t key32[32], const uint8_t *value, size_t length);
/* Builds the state tree, adds its leaf, signs. root: instead of the true one; NULL: the true one. */
void book_close(struct book *book, const struct cl_network_id *network, const struct cl_hash *root);
void book_path(struct cl_path *out, struct cl_hash path[CL_LOG_PATH_MAX], const struct book *book, uint64_t index);
/* Path of a state value from its leaf up. */
size_t book_siblings(struct cl_hash siblings[CL_SMT_DEPTH], const struct book *book, size_t state);
struct cl_hash book_subtree(const struct book_state *states, size_t count, unsigned depth);

#endif
