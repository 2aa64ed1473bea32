/* The verifier behind its signatures. Every proof here is rightly signed, by every record's signer and by the quorum; what
   the input decides is which records there are, what the quorum says of the agreement, and which records are shown.

   - An honest ledger (each record was taken by the rules) always has a proof that holds, with the true verdict.
   - A quorum that lies about the agreement, or logs records that the rules refuse, never makes a proof hold that shows an
     agreement as active without both sides' signatures over the commitment and slots in force. That is judged below in
     another way than proof_records.c does: by who signed what among the records shown, whatever their order. */
#include "book.h"
#include "consent/record.h"
#include "crypto.h"
#include "require.h"
#include "script.h"

#define RECORDS_MAX 28u
#define MUTATIONS_MAX 6u

static struct script script;
static struct script_state state;
static struct script_record drafted;
static struct book book;
static struct cl_record records[RECORDS_MAX]; /* by index in the log; they borrow from the book's leaves */
static uint16_t applied[RECORDS_MAX]; /* bit i: entry i did; of a lenient record some may not */
static size_t record_count;
static bool honest;

struct bytes { const uint8_t *at, *end; };
static uint8_t next(struct bytes *bytes) { return bytes->at < bytes->end ? *bytes->at++ : 0; }

/* ---- the log */

static enum cl_status sign_digest(void *context, uint8_t signature64[64], const uint8_t digest32[32])
{
    return cl_ecdsa_sign(signature64, context, digest32);
}

static void note_opened(void *context, const struct cl_touched *touched)
{
    *(uint16_t *)context |= (uint16_t)(1u << touched->entry);
    if (touched->opened)
        script_opened(&script, touched->object, touched->kind);
}

/* A record that the rules refuse enters the log only where the members are liars. */
static void log_record(bool liars)
{
    struct cl_signer signer = {(void *)(uintptr_t)script_secret(drafted.signer), sign_digest, {{0}}};
    struct cl_draft draft = {.type = drafted.type, .skip_refused = drafted.skip_refused, .issued_at_ms = drafted.issued_at_ms,
                             .entries = drafted.entries, .entry_count = drafted.entry_count};
    struct cl_buffer bytes = {0};
    memcpy(signer.key.bytes, script_key(drafted.signer), 33);
    draft.signer = signer.key;
    if (cl_record_sign(&bytes, NULL, NULL, &draft, &signer, &script_network) == CL_OK) {
        struct cl_record *record = &records[record_count];
        book_add_leaf(&book, bytes.data, bytes.length);
        const struct cl_buffer *leaf = &book.leaves[record_count];
        require(cl_record_decode(record, NULL, leaf->data, leaf->length, &script_network) == CL_OK);
        struct cl_state_access access = script_state_access(&state);
        struct cl_rules_input input = {&script_network, record, record_count, script.now_ms, NULL};
        bool known = false; /* the ledger takes an id once */
        for (size_t i = 0; i < record_count; i++)
            known = known || memcmp(records[i].id.bytes, record->id.bytes, 32) == 0;
        script_state_mark(&state);
        applied[record_count] = 0;
        if (!known && cl_rules_apply(&access, &input, NULL, NULL, note_opened, &applied[record_count]) == CL_OK) {
            record_count++;
        } else if (liars && !known) {
            applied[record_count++] = UINT16_MAX;
            honest = false;
        } else {
            cl_record_deinit(record);
            book.leaf_count--;
        }
    }
    cl_buffer_deinit(&bytes);
}

/* ---- the proof */

static const struct cl_entry *entry_on(size_t record, const uint8_t id32[32])
{
    for (size_t i = 0; i < records[record].entry_count; i++) {
        uint8_t id[32];
        script_entry_object(id, records[record].signer33, &records[record].entries[i]);
        if (memcmp(id, id32, 32) == 0)
            return &records[record].entries[i];
    }
    return NULL;
}

static bool entry_applied(size_t record, const uint8_t id32[32])
{
    const struct cl_entry *entry = entry_on(record, id32);
    return entry != NULL && (applied[record] >> (entry - records[record].entries) & 1) != 0;
}

static void choose_records(bool shown[RECORDS_MAX], const struct cl_object_id *object, const struct cl_agreement *agreement)
{
    struct cl_proof_selection selection = {0};
    for (size_t i = record_count; i-- > 0;)
        shown[i] = (entry_applied(i, object->bytes) || (agreement->terms.present && entry_applied(i, agreement->terms.bytes))) &&
                   cl_proof_select(&selection, &records[i], object, agreement);
}

static void encode_proof(struct cl_buffer *out, const struct cl_object_id *object, const bool shown[RECORDS_MAX])
{
    struct cl_proof_record list[RECORDS_MAX];
    static struct cl_hash paths[RECORDS_MAX][CL_LOG_PATH_MAX];
    static struct cl_hash siblings[CL_SMT_DEPTH];
    struct cl_buffer proof = {0};
    size_t at = 0, count = 0;
    while (memcmp(book.states[at].key, object->bytes, 32) != 0)
        at++;
    size_t sibling_count = book_siblings(siblings, &book, at);
    require(cl_state_proof_encode_existence(&proof, book.states[at].value, book.states[at].length, siblings, sibling_count) == CL_OK);
    for (size_t i = 0; i < record_count; i++) {
        if (!shown[i])
            continue;
        list[count] = (struct cl_proof_record){records[i].bytes, i, {NULL, 0}};
        book_path(&list[count].path, paths[count], &book, i);
        count++;
    }
    struct cl_proof_parts parts = {.checkpoint = {book.note.data, book.note.length}, .state_leaf = {book.state_leaf.data, book.state_leaf.length},
                                   .state_leaf_path = {book.leaf_path, book.leaf_path_count}, .object = *object,
                                   .state_proof = {proof.data, proof.length}, .records = list, .record_count = count};
    require(cl_proof_encode(out, &parts) == CL_OK);
    cl_buffer_deinit(&proof);
}

/* ---- the judge */

struct judge { const struct cl_agreement *agreement; const struct cl_object_id *object; const bool *shown; bool may[2][SCRIPT_KEYS]; };

static const struct cl_party *party_of(const struct judge *judge, unsigned side)
{
    return side == 0 ? &judge->agreement->customer : &judge->agreement->organisation;
}

/* Whose signature is the side's: its key, keys that were rotated into it, and those to whom these delegated. */
static void find_keys(struct judge *judge, unsigned side)
{
    bool *may = judge->may[side];
    bool own[SCRIPT_KEYS] = {false};
    for (unsigned k = 0; k < SCRIPT_KEYS; k++) /* an object's key is the quorum's word */
        own[k] = party_of(judge, side)->length == 32 || (party_of(judge, side)->length == 33 && memcmp(party_of(judge, side)->bytes, script_key(k), 33) == 0);
    for (size_t round = 0; round <= record_count; round++)
        for (size_t i = 0; i < record_count; i++) {
            const struct cl_entry *entry = judge->shown[i] ? entry_on(i, judge->object->bytes) : NULL;
            if (entry == NULL || records[i].type != CL_ROTATE || script_key_number(entry->key) == SCRIPT_KEYS || !own[script_key_number(entry->key)])
                continue;
            own[script_key_number(records[i].signer33)] = true;
            if ((entry->present & CL_HAS(7)) != 0 && side == 0) /* a recovery does not say which key it replaced */
                memset(own, true, sizeof own);
        }
    memcpy(may, own, sizeof own);
    for (size_t i = 0; i < record_count; i++) {
        const struct cl_entry *entry = judge->shown[i] ? entry_on(i, judge->object->bytes) : NULL;
        if (entry != NULL && records[i].type == CL_DELEGATE && (entry->mode & (CL_POWER_GRANT | CL_POWER_AMEND)) != 0 &&
            own[script_key_number(records[i].signer33)] && script_key_number(entry->key) < SCRIPT_KEYS)
            may[script_key_number(entry->key)] = true;
    }
}

static bool in_force(const struct judge *judge, const struct cl_entry *entry)
{
    return (entry->present & CL_HAS(3)) != 0 && (entry->present & CL_HAS(9)) != 0 &&
           memcmp(entry->commitment, judge->agreement->commitment, 32) == 0 && (judge->agreement->live & ~entry->slots) == 0;
}

static bool signer_may(const struct judge *judge, size_t record, unsigned side)
{
    return judge->may[side][script_key_number(records[record].signer33)];
}

/* Has that record a signature of the side's over what is in force? */
static bool signs(const struct judge *judge, size_t record, unsigned side)
{
    const struct cl_entry *entry = entry_on(record, judge->object->bytes);
    if (entry != NULL && in_force(judge, entry) && records[record].type != CL_AMEND)
        return signer_may(judge, record, side);
    if (side == 0 && judge->agreement->terms.present && (entry = entry_on(record, judge->agreement->terms.bytes)) != NULL)
        return records[record].type == CL_TERMS && in_force(judge, entry) && (entry->mode & 1) != 0;
    return false;
}

static bool amended(const struct judge *judge)
{
    for (size_t a = 0; a < record_count; a++) {
        const struct cl_entry *accept = judge->shown[a] && records[a].type == CL_AMEND ? entry_on(a, judge->object->bytes) : NULL;
        if (accept == NULL || (accept->present & CL_HAS(8)) == 0)
            continue;
        for (size_t p = 0; p < a; p++) {
            const struct cl_entry *proposal = judge->shown[p] && records[p].type == CL_AMEND ? entry_on(p, judge->object->bytes) : NULL;
            if (proposal != NULL && in_force(judge, proposal) && memcmp(accept->ref, records[p].id.bytes, 32) == 0 &&
                ((signer_may(judge, p, 0) && signer_may(judge, a, 1)) || (signer_may(judge, p, 1) && signer_may(judge, a, 0))))
                return true;
        }
    }
    return false;
}

static void both_sides_signed(const struct cl_agreement *agreement, const struct cl_object_id *object, const bool *shown)
{
    struct judge judge = {.agreement = agreement, .object = object, .shown = shown};
    bool good = false;
    find_keys(&judge, 0);
    find_keys(&judge, 1);
    for (size_t c = 0; c < record_count; c++)
        for (size_t o = 0; o < record_count; o++)
            good = good || (c != o && shown[c] && shown[o] && signs(&judge, c, 0) && signs(&judge, o, 1));
    require(good || amended(&judge));
    for (unsigned side = 0; side < 2; side++) { /* an object is a party because a record that is shown says so */
        const struct cl_party *party = party_of(&judge, side);
        bool named = party->length == 33;
        for (size_t i = 0; i < record_count; i++) {
            const struct cl_entry *entry = shown[i] ? entry_on(i, object->bytes) : NULL;
            named = named || (entry != NULL && party->length == 32 &&
                              (((entry->present & CL_HAS(13)) != 0 && memcmp(entry->party, party->bytes, 32) == 0) ||
                               (side == 0 && records[i].type == CL_SUBSCRIBE && entry->object_length == 16 && memcmp(entry->ref, party->bytes, 32) == 0)));
        }
        require(named);
    }
}

/* ---- what the quorum says */

static void set_party(struct cl_party *party, uint8_t choice)
{
    const uint8_t *object = choice >= 128 && script.object_count > 0 ? script.objects[choice % script.object_count].id : NULL;
    party->length = object != NULL ? 32 : choice >= 120 ? 0 : 33;
    memset(party->bytes, 0, sizeof party->bytes);
    if (party->length != 0)
        memcpy(party->bytes, object != NULL ? object : script_key(choice % SCRIPT_KEYS), party->length);
}

static void lie(struct cl_agreement *agreement, bool shown[RECORDS_MAX], uint8_t what, uint8_t how, uint8_t more)
{
    size_t record = record_count > 0 ? how % record_count : 0;
    switch (what % 16) {
    case 0: agreement->status = how % 8; break;
    case 1: memset(agreement->commitment, how & 1, 32); break;
    case 2: agreement->live = how & 15; agreement->due = 0; break;
    case 3: set_party(&agreement->customer, how); break;
    case 4: set_party(&agreement->organisation, how); break;
    case 5: if (record_count > 0) memcpy(agreement->head, records[record].id.bytes, 32); break;
    case 6: agreement->last_index = how; break;
    case 7:
        agreement->terms.present = script.object_count > 0 && (how & 1) != 0;
        if (agreement->terms.present) memcpy(agreement->terms.bytes, script.objects[how / 2 % script.object_count].id, 32);
        else memset(agreement->terms.bytes, 0, 32);
        break;
    case 8:
        agreement->delegation_count = 1;
        agreement->delegations[0] = (struct cl_delegation){.side = (uint8_t)(1 + how % 2), .powers = (uint8_t)(1 + more % 31), .until = 4000000000};
        memcpy(agreement->delegations[0].key, script_key(how / 2 % SCRIPT_KEYS), 33);
        break;
    case 9: agreement->delegation_count = 0; break;
    case 10: case 11: case 12: shown[record] = !shown[record]; break;
    case 13: agreement->turn = how % 3; agreement->suspended = how / 4 % 4; break;
    case 14: agreement->pending.present = false; memset(&agreement->pending, 0, sizeof agreement->pending); break;
    case 15: /* as after an activation */
        agreement->status = CL_ACTIVE;
        agreement->turn = 0;
        memset(&agreement->audience, 0, sizeof agreement->audience);
        agreement->last_index = record_count;
        break;
    }
}

static void add_states(const struct cl_object_id *object, const struct cl_buffer *lied)
{
    for (size_t i = 0; i < state.count; i++) {
        const struct script_value *value = &state.values[i];
        bool this = lied != NULL && memcmp(value->key, object->bytes, 32) == 0;
        book_add_state(&book, value->key, this ? lied->data : value->bytes, this ? lied->length : value->length);
    }
}

static enum cl_status verify(struct cl_verify_report *report, const struct cl_object_id *object, const bool *shown)
{
    struct cl_verify_options options = {.now_ms = script.now_ms, .max_age_ms = 0};
    struct cl_buffer proof = {0};
    encode_proof(&proof, object, shown);
    enum cl_status status = cl_proof_verify(report, proof.data, proof.length, book_policy(), &options);
    require(status == CL_OK || (report->verdict == CL_E_NO_OBJECT && (status == CL_E_PROOF || status == CL_E_FORMAT || status == CL_E_OBJECT_KIND)));
    require(status != CL_OK || (report->exists && memcmp(report->object.bytes, object->bytes, 32) == 0));
    cl_buffer_deinit(&proof);
    return status;
}

static void agreement_proof(const struct cl_object_id *object, const struct script_value *value, struct bytes *bytes)
{
    static struct cl_verify_report report;
    struct cl_agreement agreement;
    struct cl_buffer lied = {0};
    bool shown[RECORDS_MAX] = {false}, changed = false;
    require(cl_agreement_decode(&agreement, value->bytes, value->length) == CL_OK);
    choose_records(shown, object, &agreement);
    for (unsigned i = 0; i < MUTATIONS_MAX && bytes->at < bytes->end; i++) {
        uint8_t what = next(bytes), how = next(bytes), more = next(bytes);
        lie(&agreement, shown, what, how, more);
        changed = true;
        if ((what & 0x80) != 0 && i == 0)
            choose_records(shown, object, &agreement); /* as a liar's own tool would */
    }
    if (cl_agreement_encode(&lied, &agreement) == CL_OK) {
        add_states(object, &lied);
        book_close(&book, &script_network, NULL);
        enum cl_status status = verify(&report, object, shown);
        if (honest && !changed)
            require(status == CL_OK && report.verdict == cl_agreement_check(&agreement, 0, script.now_ms));
        if (status == CL_OK && agreement.status == CL_ACTIVE)
            both_sides_signed(&agreement, object, shown);
    }
    cl_buffer_deinit(&lied);
}

static void other_proof(const struct cl_object_id *object, struct bytes *bytes)
{
    static struct cl_verify_report report;
    bool shown[RECORDS_MAX] = {false}, any = false;
    for (size_t i = 0; i < record_count; i++)
        any |= shown[i] = (next(bytes) & 1) != 0 && entry_on(i, object->bytes) != NULL;
    add_states(object, NULL);
    book_close(&book, &script_network, NULL);
    enum cl_status status = verify(&report, object, shown);
    require(status == CL_OK || any);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cl_object_id object;
    if (size < 4)
        return 0;
    size_t length = size - 4 < 3u * MUTATIONS_MAX ? 0 : size - 4 - 3u * MUTATIONS_MAX; /* the script's part */
    struct bytes bytes = {data + 4 + length, data + size};
    bool liars = (data[0] & 1) != 0, truthful = (data[0] & 2) != 0;
    if (truthful) {
        length = size - 4;
        bytes.at = bytes.end;
    }
    honest = true;
    record_count = 0;
    script_init(&script, data + 4, length);
    script_state_init(&state);
    book_reset(&book);
    while (record_count < RECORDS_MAX && state.count + 2 * SCRIPT_ENTRIES_MAX < SCRIPT_STATES_MAX && script_next(&script, &drafted, &state))
        log_record(liars);
    if (script.object_count > 0) {
        memcpy(object.bytes, script.objects[data[1] % script.object_count].id, 32);
        if (script.objects[data[1] % script.object_count].kind == CL_STATE_AGREEMENT)
            agreement_proof(&object, script_state_find(&state, object.bytes), &bytes);
        else
            other_proof(&object, &bytes);
    }
    for (size_t i = 0; i < record_count; i++)
        cl_record_deinit(&records[i]);
    return 0;
}
