/* The records inside a proof of state: do they show that the parties signed what the state says? */
#ifndef LEDGER_PROOF_RECORDS_H
#define LEDGER_PROOF_RECORDS_H

#include "consent/proof.h"
#include "consent/record.h"

/* One record as far as it concerns the object (or its TERMS). Pointers borrow from the record's bytes and outlive the
   decoded record. */
struct cl_act {
    enum cl_record_type type;
    struct cl_record_id id;
    uint64_t index;                /* in the log */
    const uint8_t *signer33;
    bool opens, on_terms;          /* opens: the id is derived from signer and nonce */
    uint32_t present;              /* the entry's keys */
    const uint8_t *prev, *commitment, *ref, *key, *party;
    uint64_t slots, mode;
};

/* The entry of the record that is on object, or on terms (may be NULL). CL_E_PROOF where there is none. */
CL_MUST_USE enum cl_status cl_act_find(struct cl_act *out, const struct cl_record *record, uint64_t index, const struct cl_object_id *object, const uint8_t *terms32);
/* Acts in ascending order of index. CL_OK or CL_E_PROOF. */
CL_MUST_USE enum cl_status cl_acts_check_agreement(const struct cl_act *acts, size_t count, const struct cl_agreement *agreement);

#endif
