/* What several formats do alike: signing what was just written, sealed files of the folder beside a wallet, and sealed boxes
   whose length tells a size class only. */
#ifndef LEDGER_SEALING_H
#define LEDGER_SEALING_H

#include "cbor.h"
#include "consent/record.h"

/* What is signed of an array whose last item is the signature: H(domain 00 || array head of count - 1 || items). items: the
   bytes of those before the signature, without the array's own head. */
void cl_items_digest(uint8_t out32[32], const char *domain, size_t count, const uint8_t *items, size_t length);
/* The signer's signature over a digest, with low s, and checked: never one that nobody could verify. The signer's errors,
   CL_E_SIGNATURE. */
CL_MUST_USE enum cl_status cl_sign_digest(uint8_t signature64[64], const struct cl_signer *signer, const uint8_t digest32[32]);
/* The same, written; does nothing where the writer has failed. Returns the writer's status. */
CL_MUST_USE enum cl_status cl_sign_put(struct cl_cbor_writer *writer, const struct cl_signer *signer, const uint8_t digest32[32]);

/* A sealed file: [1, magic, nonce, XChaCha20-Poly1305 of content || 80 || zeros up to a multiple of CL_SEALED_STEP], its
   additional data the label and the file's own name. */
#define CL_SEALED_STEP 4096u
struct cl_sealed_form { const char *magic, *label; size_t sealed_max; };
/* content is best a secret buffer; it gets its padding. CL_E_BOUND: longer than the form's; CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_sealed_file_encode(struct cl_buffer *out, const struct cl_sealed_form *form, struct cl_buffer *content, const uint8_t id16[16], const uint8_t secret32[32], const uint8_t nonce24[24]);
/* Appends the content, without its padding. CL_E_LOCKED (another wallet's, under another name, damaged), CL_E_CBOR_*,
   CL_E_FORMAT, CL_E_VERSION, CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_sealed_file_decode(struct cl_buffer *content, const struct cl_sealed_form *form, const uint8_t *data, size_t length, const uint8_t id16[16], const uint8_t secret32[32]);

/* Opens a box that is as long as one of the classes: opened takes the place of what was in it. CL_E_FORMAT, CL_E_DELIVERY_KEY, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_box_open_class(struct cl_buffer *opened, const size_t *classes, size_t class_count, const uint8_t *sealed, size_t length, const uint8_t secret32[32]);

#endif
