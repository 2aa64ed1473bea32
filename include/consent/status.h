/* The one result type. Bad input and a failing environment are a status; our own bugs are assertions. */
#ifndef CONSENT_STATUS_H
#define CONSENT_STATUS_H

/* X(name, sentence). The code that people and programs see is "CL_E_" name; it is stable, the number is not.
   Sentences say what is wrong and, where there is something to do, what to do. */
#define CL_STATUS_TABLE(X) \
    /* environment */ \
    X(MEMORY, "Out of memory.") \
    X(IO, "Reading or writing failed.") \
    X(EXISTS, "It exists already.") \
    X(NOT_FOUND, "Not found.") \
    X(ARGUMENT, "An argument is not usable.") \
    X(BOUND, "A limit is reached.") \
    X(UNSUPPORTED, "This version does not support that.") \
    X(CANCELLED, "Interrupted.") \
    /* form of bytes */ \
    X(CBOR_TRUNCATED, "The data ends too early.") \
    X(CBOR_TRAILING, "There are bytes after the end of the data.") \
    X(CBOR_NOT_CANONICAL, "The data is not in its one canonical form.") \
    X(CBOR_TYPE, "The data holds another type of value than its format asks for.") \
    X(CBOR_DEPTH, "The data is nested too deeply.") \
    X(FORMAT, "The data does not have the form that its format asks for.") \
    X(VERSION, "The data has a version that this program does not know.") \
    X(RECORD_SIZE, "A record is at most 65,535 bytes long.") \
    X(RECORD_TYPE, "This type of record is not known.") \
    X(RECORD_KEYS, "The entry has keys that its type does not take, or lacks one that it needs.") \
    X(RECORD_ENTRIES, "A record of this type has too many entries, or none.") \
    X(RECORD_ORDER, "Entries must be in ascending order of their object, each object once.") \
    X(VALUE, "A value is outside its range.") \
    X(KEY, "That is not a valid public key.") \
    /* signatures */ \
    X(SIGNATURE, "The signature is not valid for this record, signer and network.") \
    X(SIGNATURE_HIGH_S, "The signature has a high s value; sign again or normalise it.") \
    X(SIGNER, "The external signer failed or gave no usable signature.") \
    X(SECRET, "That is not a usable secret.") \
    X(LOCKED, "Locked, or not authorised.") \
    /* refusals by the rules (ledger/rules.md) */ \
    X(REPLAY, "This record was applied already.") \
    X(TIME_OLD, "The record was signed more than 30 days ago; sign it again.") \
    X(TIME_AHEAD, "The record's time lies in the future; check the clock of the machine that signed it.") \
    X(NO_OBJECT, "No agreement, terms or profile has this id.") \
    X(OBJECT_KIND, "The object is of another kind than this act needs.") \
    X(OBJECT_EXISTS, "The id is taken; use a fresh nonce.") \
    X(HEAD, "Something happened on this object since; look at it again, then sign anew.") \
    X(STATUS, "The agreement is not in a state that allows this.") \
    X(FINAL, "The agreement has ended; that cannot be undone.") \
    X(TURN, "It is the other side's turn.") \
    X(PARTY, "The signer is not the party that may do this.") \
    X(POWER, "The signer is a delegate without the power for this, or its time is over.") \
    X(SELF, "Both sides would be the same.") \
    X(AUDIENCE, "The offer is meant for somebody else, or its opening does not fit.") \
    X(COMMITMENT, "The commitment differs from the one offered.") \
    X(SLOTS, "The slots are not among those that this act can name.") \
    X(PERIOD, "The period is empty or goes beyond what it may.") \
    X(EXPIRED, "The time for this is over.") \
    X(CLOSED, "These terms are closed.") \
    X(LIMIT, "These terms have all the agreements that they admit.") \
    X(ANSWERED, "This party has an agreement under these terms already.") \
    X(NOT_VOUCHED, "These terms take only organisations that a member vouches for.") \
    X(SUCCEEDED, "These terms have a successor already.") \
    X(COUNTERED, "There was a counter-offer already; one is all an agreement takes.") \
    X(NO_AMENDMENT, "No such amendment is pending.") \
    X(NO_CHANGE, "This would change nothing.") \
    X(REASON, "A reason does not belong here.") \
    X(RECOVERY, "The recovery key does not fit, or recovery cannot be set here.") \
    X(DELEGATIONS, "At most 16 delegations or vouches are kept for one object.") \
    X(MEMBER, "Only a member's party key may do this.") \
    X(ERASED, "The other side has stated that the data is erased; make a new agreement.") \
    X(NOTHING_APPLIES, "None of the record's entries applies.") \
    /* blocks */ \
    X(BLOCK_ORDER, "In a block, withdrawals come before all else.") \
    X(BLOCK_SIZE, "The block is larger than the network's parameters allow.") \
    X(BLOCK_INVALID, "The block is not valid on its parent.") \
    X(CERTIFICATE, "The certificate does not have the votes of a quorum.") \
    /* the store */ \
    X(STORE_LOCKED, "Another process uses this data directory; stop it first.") \
    X(STORE_NEWER, "This data directory was written by a newer version; use that version.") \
    X(STORE_OTHER, "This data directory belongs to another network.") \
    X(STORE_CORRUPT, "Stored data is damaged. Stop the node, keep a copy, then run 'consentd check' and 'consentd reindex'.") \
    X(STORE_IO, "The disk refused a read or a write. The node must stop; check space, permissions and the disk, then start it again.") \
    /* proofs */ \
    X(CHECKPOINT, "The checkpoint does not have the form that C2SP asks for.") \
    X(POLICY, "The policy file is not usable.") \
    X(QUORUM, "Too few of the policy's witnesses have signed the checkpoint.") \
    X(PROOF, "The proof does not hold.") \
    X(PROOF_OLD, "The proof is older than the age you allow; fetch a fresh one.") \
    X(FORK, "Two checkpoints contradict each other: the log has been forked. Keep both as evidence.") \
    X(BODY, "The body does not belong to this agreement's commitment.") \
    X(NETWORK, "It belongs to another network.") \
    /* agreements, as a verifier or `check` finds them */ \
    X(NOT_ACTIVE, "The agreement was never active.") \
    X(WITHDRAWN, "The customer has withdrawn.") \
    X(TERMINATED, "The organisation has ended the agreement.") \
    X(SUSPENDED, "The agreement is suspended.") \
    X(NOT_YET, "The agreement's period has not begun.") \
    X(SLOT_NOT_LIVE, "That slot is not among the live ones.") \
    X(PENDING, "It is not final yet.") \
    X(BEFORE_PROOF, "The proof shows a state that began later, and says nothing about a time before it.") \
    /* sealed deliveries */ \
    X(DELIVERY_KEY, "It is not sealed to a key of this wallet, or was changed on its way.") \
    X(DELIVERY_AGREEMENT, "It belongs to another agreement.") \
    X(DELIVERY_SENDER, "It is not signed by the other side of its agreement.") \
    X(DELIVERY_PARTS, "These parts do not make up one delivery as its sender signed it.") \
    X(DELIVERY_REPLAY, "This delivery was opened already.") \
    X(DELIVERY_UNKNOWN, "It acknowledges a delivery that this wallet did not send.") \
    X(DELIVERY_FORMAT, "It is not in the format that the two sides agreed on.") \
    /* data that stays at the source */ \
    X(SOURCE_HOLDER, "It is for, or from, another holder.") \
    X(SOURCE_OLD, "The request was made too long ago; ask with a new one.") \
    X(SOURCE_PROOF, "The proof shows something else than the agreement, or the party, that the request names.") \
    X(SOURCE_READER, "The request is not signed by the present key of its agreement's organisation.") \
    X(SOURCE_OTHER, "The release is for another agreement or another slot than the request.") \
    X(SOURCE_BACK, "The customer has taken the release back.") \
    X(SOURCE_REPLAY, "This request was served already; ask with a new one.") \
    X(SOURCE_SPENT, "The release was used as often as it may be.")

enum cl_status {
    CL_OK = 0,
#define X(name, sentence) CL_E_##name,
    CL_STATUS_TABLE(X)
#undef X
    CL_STATUS_COUNT
};

#if defined(__GNUC__)
/* The spellings with underscores: a program that includes this may have macros named format or printf. */
#define CL_MUST_USE __attribute__((__warn_unused_result__))
#define CL_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define CL_MUST_USE
#define CL_PRINTF(at, first)
#endif

/* Returns: "CL_E_…" ("CL_OK" for 0), static. */
const char *cl_status_code(enum cl_status status);
/* Returns: one sentence for a person, static. */
const char *cl_status_sentence(enum cl_status status);

#endif
