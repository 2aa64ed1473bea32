/* Signed notes (C2SP signed-note): lines, numbers, names, keys and signature lines. What is signed in them: checkpoint.h. */
#ifndef LEDGER_NOTE_H
#define LEDGER_NOTE_H

#include "consent/proof.h"

#define CL_NOTE_NAME_BYTES_MAX (CL_ORIGIN_BYTES_MAX + CL_MEMBER_NAME_BYTES_MAX + 1)
#define CL_NOTE_LINE_BYTES_MAX 512u /* of the lines that we write */

/* Valid UTF-8 without control characters below U+0020 other than newline. */
bool cl_note_text_valid(const uint8_t *text, size_t length);
/* Non-empty, no Unicode space, no plus sign; the text is known to be valid UTF-8. */
bool cl_note_name_valid(const char *name, size_t length);

/* Takes the bytes up to the next newline off the front; false and untouched where there is none. */
bool cl_note_next_line(struct cl_view *line, struct cl_view *rest);
/* ASCII decimal without leading zeroes, below 2^64. */
bool cl_note_decimal(uint64_t *out, struct cl_view text);

/* One signature line, its newline excluded. signature: what follows the key id; length 0 where it is longer than any
   signature that we know (72 bytes) and so cannot be of a known key. */
struct cl_note_line { struct cl_view name; uint8_t key_id[4]; uint8_t length; uint8_t bytes[72]; };
/* CL_E_CHECKPOINT where the line does not have the form. */
CL_MUST_USE enum cl_status cl_note_line_decode(struct cl_note_line *out, const uint8_t *line, size_t length);
CL_MUST_USE enum cl_status cl_note_line_encode(struct cl_buffer *out, const char *name, const uint8_t key_id[4], const uint8_t *signature, size_t length);

/* Does the signature hold over the checkpoint's body, by the key's type? time_s: of a cosignature, else 0. */
bool cl_note_signature_holds(uint64_t *time_s, const struct cl_note_key *key, const uint8_t *signature, size_t length, const struct cl_view *body);
/* What a cosignature/v1 signs: two lines, then the body. False where the body is longer than any of ours. */
#define CL_COSIGNED_BYTES_MAX (CL_ORIGIN_BYTES_MAX + 192)
bool cl_cosigned_message(uint8_t out[CL_COSIGNED_BYTES_MAX], size_t *length, uint64_t time_s, const struct cl_view *body);
/* The time that a cosignature's blob names, unchecked; only for length 72. */
uint64_t cl_cosignature_time(const uint8_t signature[72]);
/* The key of witness origin/member. CL_E_ARGUMENT where a name is too long. */
CL_MUST_USE enum cl_status cl_witness_key_make(struct cl_note_key *out, const char *origin, const char *member, const uint8_t witness32[32]);

#endif
