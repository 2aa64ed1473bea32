/* The keystore: words, keys, what a person agreed to, sealed in one file; and the small things that every tool around
   it needs (randomness, hashes, names of keys, files). BIP39, BIP32, SLIP-0013, did:key. No sockets, no clock. */
#ifndef CONSENT_WALLET_H
#define CONSENT_WALLET_H

#include "consent/record.h"
#include "consent/state.h"

#define CL_NAME_BYTES_MAX 64u            /* names that people give: letters, digits, - _ . */
#define CL_URI_BYTES_MAX 160u
#define CL_WORDS_COUNT 24u
#define CL_WORDS_SIZE 256u               /* 24 words of at most 8 letters, spaces, zero */
#define CL_DID_KEY_SIZE 64u              /* "did:key:" and base58btc, zero included */
#define CL_WALLET_KEYS_MAX 65536u
#define CL_WALLET_ITEMS_MAX 262144u
#define CL_WALLET_BODIES_MAX 8u          /* of one item: the present one and those proposed; the oldest makes room */
#define CL_WALLET_FILE_BYTES_MAX CL_BUFFER_BYTES_MAX
#define CL_URL_BYTES_MAX 512u

/* ---- small things */
CL_MUST_USE enum cl_status cl_random_bytes(void *out, size_t length);
void cl_hash_bytes(struct cl_hash *out, const void *data, size_t length); /* SHA-256 */
void cl_hmac_bytes(uint8_t out32[32], const void *key, size_t key_length, const void *data, size_t length); /* HMAC-SHA-256, RFC 2104 */
void cl_wipe_bytes(void *secret, size_t length);
/* out: 2 x length + 1 characters. */
void cl_hex_encode(char *out, const void *data, size_t length);
/* Exactly out_length bytes, either case. Returns: whether text was that. */
bool cl_hex_decode(uint8_t *out, size_t out_length, const char *text);
CL_MUST_USE enum cl_status cl_base64_put(struct cl_buffer *out, const void *data, size_t length);
/* Standard alphabet with padding, nothing else. CL_E_FORMAT. Appends. */
CL_MUST_USE enum cl_status cl_base64_get(struct cl_buffer *out, const char *text, size_t length);
/* What answers a node's challenge: SHA-256("consent/v1 challenge" 00 || network id || nonce || key). */
void cl_challenge_digest(struct cl_hash *out, const struct cl_network_id *network, const uint8_t nonce32[32], const struct cl_public_key *key);
/* "did:key:zQ3sh…": multicodec 0xe7 0x01, base58btc (W3C did:key). */
void cl_did_key_encode(char out[CL_DID_KEY_SIZE], const struct cl_public_key *key);
/* did:key, or 66 hex digits. CL_E_KEY. */
CL_MUST_USE enum cl_status cl_public_key_decode(struct cl_public_key *out, const char *text);
/* The delivery key (X25519) that follows from the secret of a key of the wallet: a relationship's own key, or the key that
   was made for a PROFILE's deliveries. */
void cl_delivery_key_of(uint8_t public32[32], const uint8_t secret32[32]);
/* The secret of that delivery key: what opens sealed deliveries (delivery.h). The caller wipes it. */
void cl_delivery_secret_of(uint8_t delivery32[32], const uint8_t secret32[32]);
/* A signature as an external signer gives it: 64 bytes r || s, or DER, as bytes or as hexadecimal digits with a line
   end. Low s out; checked against key and digest. CL_E_SIGNER. */
CL_MUST_USE enum cl_status cl_signature_import(uint8_t signature64[64], const uint8_t *data, size_t length,
                                               const struct cl_public_key *key, const uint8_t digest32[32]);

/* ---- words (BIP39, English) and keys (BIP32, paths in the manner of SLIP-0013) */
void cl_words_encode(char out[CL_WORDS_SIZE], const uint8_t entropy32[32]);
/* Any spaces between, either case. CL_E_SECRET: not 24 words of the list, or their check bits do not fit; *bad_word
   (may be NULL) is the first that is not in the list, from 1, or 0. */
CL_MUST_USE enum cl_status cl_words_decode(uint8_t entropy32[32], unsigned *bad_word, const char *text);
void cl_words_seed(uint8_t seed64[64], const uint8_t entropy32[32]);
/* m/13'/A'/B'/C'/D', A to D from SHA-256(index as 4 bytes little-endian || uri). CL_E_SECRET (once in 2^127). */
CL_MUST_USE enum cl_status cl_key_derive(uint8_t secret32[32], const uint8_t seed64[64], const char *uri, uint32_t index);
CL_MUST_USE enum cl_status cl_secret_public(struct cl_public_key *out, const uint8_t secret32[32]);

/* ---- what a wallet holds */
struct cl_wallet_key { char name[CL_NAME_BYTES_MAX + 1]; char uri[CL_URI_BYTES_MAX + 1]; uint32_t index; struct cl_public_key key; };

enum cl_wallet_kind { CL_ITEM_AGREEMENT = 1, CL_ITEM_TERMS = 2, CL_ITEM_PROFILE = 3 };
struct cl_wallet_item {
    char name[CL_NAME_BYTES_MAX + 1];
    enum cl_wallet_kind kind;
    enum cl_side role;             /* whose side is ours */
    struct cl_object_id object;
    char key_name[CL_NAME_BYTES_MAX + 1]; /* a key of this wallet; empty: an external signer's */
    struct cl_party party;         /* the other side, if known */
    struct cl_optional_hash terms, profile; /* profile: in whose name we act */
    char recovery_key[CL_NAME_BYTES_MAX + 1];
    uint64_t made_ms;
    struct cl_buffer state;        /* last state value seen; empty if none */
    /* The content, which is sealed under a key of the item's own, also inside the wallet. The key stands in a file of
       the store (vault.h) and nowhere else: to destroy that file is to erase the content in every copy of the wallet. */
    uint8_t content_id16[16], content_key32[32]; /* the name of that file, and the key once it is known */
    bool content_open;             /* false: as read, without its key; what follows is then empty or new */
    struct cl_buffer content;      /* sealed, while it is not open: it is written again as it was */
    struct cl_optional_hash audience_salt;
    size_t body_count;
    struct cl_buffer bodies[CL_WALLET_BODIES_MAX]; /* body-file bytes */
    struct cl_buffer proof;        /* last proof fetched; empty if none */
};

struct cl_wallet_network { bool known; struct cl_network_id id; char origin[CL_ORIGIN_BYTES_MAX + 1]; char url[CL_URL_BYTES_MAX + 1]; struct cl_buffer policy; };

struct cl_wallet {
    uint8_t entropy32[32], seed64[64];
    uint8_t sealing_key32[32], salt16[16]; /* from the passphrase */
    uint64_t operations, memory_bytes;
    bool sealing_known;
    struct cl_wallet_network network;
    size_t key_count, item_count;
    struct cl_wallet_key *keys;    /* by index; they move when one is added */
    struct cl_wallet_item *items;
};

CL_MUST_USE enum cl_status cl_wallet_new(struct cl_wallet **out, const uint8_t entropy32[32]);
void cl_wallet_free(struct cl_wallet *wallet); /* wipes; NULL is fine */
/* A name that may be given: 1 to 64 of a-z A-Z 0-9 - _ . and not the look of an id. */
bool cl_wallet_name_usable(const char *name);
/* Adds a key under uri; its index is the number of keys that share the uri. CL_E_EXISTS, CL_E_ARGUMENT, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_wallet_key_add(struct cl_wallet *wallet, size_t *position, const char *name, const char *uri);
/* By name, did:key or hex. Returns: NULL where there is none. */
const struct cl_wallet_key *cl_wallet_key_find(const struct cl_wallet *wallet, const char *text);
/* Takes a key out; it was of the newest index of its URI, so that an index stands for one key at a time. Nothing is destroyed:
   secrets of keys follow from the words. */
void cl_wallet_key_remove(struct cl_wallet *wallet, const struct cl_wallet_key *key);
CL_MUST_USE enum cl_status cl_wallet_key_secret(uint8_t secret32[32], const struct cl_wallet *wallet, const struct cl_wallet_key *key);
CL_MUST_USE enum cl_status cl_wallet_sign_digest(uint8_t signature64[64], const struct cl_wallet *wallet, const struct cl_wallet_key *key, const uint8_t digest32[32]);
/* Adds an empty item; *out is valid until the next one is added. CL_E_EXISTS (name or object), CL_E_ARGUMENT, CL_E_BOUND. */
CL_MUST_USE enum cl_status cl_wallet_item_add(struct cl_wallet *wallet, struct cl_wallet_item **out, const char *name, enum cl_wallet_kind kind, const struct cl_object_id *object);
/* By name, by id, or by a prefix of at least 6 hex digits that is one item's only. CL_E_NOT_FOUND, CL_E_ARGUMENT (ambiguous). */
CL_MUST_USE enum cl_status cl_wallet_item_find(struct cl_wallet_item **out, struct cl_wallet *wallet, const char *text);
struct cl_wallet_item *cl_wallet_item_of(struct cl_wallet *wallet, const struct cl_object_id *object);
void cl_wallet_item_remove(struct cl_wallet *wallet, struct cl_wallet_item *item);
/* Copies; the same body is kept once. */
CL_MUST_USE enum cl_status cl_wallet_item_body_add(struct cl_wallet_item *item, const uint8_t *body_file, size_t length);
/* Salt, bodies, proof, and their key, for which a new one is drawn: before ERASE. What is on disk is destroyed once the
   wallet was written and cl_store_sweep called (vault.h). */
CL_MUST_USE enum cl_status cl_wallet_item_destroy_secrets(struct cl_wallet_item *item);
/* Opens the content of an item as cl_wallet_open left it. CL_E_LOCKED: another key, or damaged. CL_E_CBOR_*. */
CL_MUST_USE enum cl_status cl_wallet_item_content_open(struct cl_wallet_item *item, const uint8_t key32[32]);
/* A fresh key for the content of an item that was not opened and yet got new content, which replaces the old. */
CL_MUST_USE enum cl_status cl_wallet_item_content_renew(struct cl_wallet_item *item);

/* ---- files (layouts at the top of wallet_file.c). Sealing takes as long as Argon2id is meant to take.
   cl_wallet_seal without a passphrase (NULL) uses the key that opened or last sealed it. */
CL_MUST_USE enum cl_status cl_wallet_seal(struct cl_buffer *out, struct cl_wallet *wallet, const char *passphrase, size_t passphrase_length);
/* The items' contents stay sealed (cl_store_open has their keys). CL_E_LOCKED, CL_E_CBOR_*, CL_E_FORMAT, CL_E_VERSION,
   CL_E_BOUND, CL_E_MEMORY. */
CL_MUST_USE enum cl_status cl_wallet_open(struct cl_wallet **out, const uint8_t *data, size_t length, const char *passphrase, size_t passphrase_length);
/* The file as another process left it meanwhile, opened by the key that opened or last sealed `before`, which stays as it is.
   CL_E_LOCKED: it has another passphrase now. */
CL_MUST_USE enum cl_status cl_wallet_open_again(struct cl_wallet **out, const uint8_t *data, size_t length, const struct cl_wallet *before);
/* Backup: the same content under a key that follows from the words. */
CL_MUST_USE enum cl_status cl_wallet_backup_seal(struct cl_buffer *out, const struct cl_wallet *wallet);
CL_MUST_USE enum cl_status cl_wallet_backup_open(struct cl_wallet **out, const uint8_t *data, size_t length, const uint8_t entropy32[32]);
/* The content alone, in clear but for the items' contents: what is inside both. out has to be a secret buffer (types.h). */
CL_MUST_USE enum cl_status cl_wallet_encode(struct cl_buffer *out, const struct cl_wallet *wallet);
CL_MUST_USE enum cl_status cl_wallet_decode(struct cl_wallet **out, const uint8_t *data, size_t length);

/* Where and under which key whoever makes a code or an offer takes the contact of who answers it (.consent-contact), before
   the two know of each other: formats.cddl "reception". */
struct cl_reception {
    bool present;
    bool in_return;                /* the maker asks for the same terms in return */
    uint8_t delivery32[32];        /* X25519 */
    char node[CL_MEMBER_NAME_BYTES_MAX + 1]; /* the mailbox's home: a member's name */
    uint8_t mailbox32[32];
};

/* Offers between wallets: whatever the other side needs in order to answer. There are salts in one: out is best a secret
   buffer (types.h). Connect codes: consent/code.h. */
struct cl_offer { struct cl_network_id network; struct cl_object_id object; enum cl_wallet_kind kind; bool has_audience_salt; uint8_t audience_salt[32]; struct cl_view body_file; /* borrowed; length 0: none */ struct cl_reception reception; };
/* CL_E_ARGUMENT: a reception that could not be read. */
CL_MUST_USE enum cl_status cl_offer_encode(struct cl_buffer *out, const struct cl_offer *offer);
CL_MUST_USE enum cl_status cl_offer_decode(struct cl_offer *out, const uint8_t *data, size_t length);

/* Reads a whole file; "-" is standard input. CL_E_IO (errno set), CL_E_NOT_FOUND, CL_E_BOUND beyond maximum. */
CL_MUST_USE enum cl_status cl_file_read(struct cl_buffer *out, const char *path, size_t maximum);
/* All of it, however often that takes. False: errno says why. */
bool cl_file_write_all(int file, const void *data, size_t length);
/* What was made, renamed or removed in this directory is so after a power cut too. False: errno says why. */
bool cl_directory_sync(const char *directory);
/* Overwrites what the file holds, syncs, removes it; the directory is the caller's to sync. Good where there is none. False:
   errno says why. */
bool cl_file_destroy(const char *path);
/* Writes beside it, syncs, renames, syncs the directory: path holds the old content or the new, never half of it.
   only_owner: mode 0600, else 0644 less the umask. CL_E_IO (errno set). */
CL_MUST_USE enum cl_status cl_file_replace(const char *path, const void *data, size_t length, bool only_owner);

#endif
