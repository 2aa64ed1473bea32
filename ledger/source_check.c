/* Whether a holder may serve, and whether a reader may believe: judged from what is given, with no clock and no network.
   Pure. */
#include "consent/source.h"

#include <stdlib.h>

static bool same(const void *a, const void *b, size_t length) { return memcmp(a, b, length) == 0; }

/* What is asked of everything that a customer signs here. */
static enum cl_status customer_check(const struct cl_network_id *named, const struct cl_network_id *network, const struct cl_object_id *of, const struct cl_object_id *id,
                                     const struct cl_public_key *signer, const struct cl_public_key *customer, uint64_t made_ms, uint64_t now_ms)
{
    if (!same(named->bytes, network->bytes, 32))
        return CL_E_NETWORK;
    if (!same(of->bytes, id->bytes, 32))
        return CL_E_DELIVERY_AGREEMENT;
    if (!same(signer->bytes, customer->bytes, 33))
        return CL_E_DELIVERY_SENDER;
    return made_ms > now_ms + CL_RECORD_AHEAD_MS_MAX ? CL_E_TIME_AHEAD : CL_OK;
}

enum cl_status cl_source_release_check(const struct cl_source_release *release, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, const struct cl_public_key *customer, uint64_t now_ms)
{
    enum cl_status status = customer_check(&release->network, network, &release->agreement, id, &release->signer, customer, release->made_ms, now_ms);
    if (status != CL_OK || release->uses == 0) /* taking back is always possible */
        return status;
    if (now_ms / 1000u >= release->until_s)
        return CL_E_EXPIRED;
    return cl_agreement_check(agreement, 1ull << release->slot, now_ms);
}

enum cl_status cl_source_pointer_check(const struct cl_source_pointer *pointer, const struct cl_network_id *network, const struct cl_object_id *id, const struct cl_agreement *agreement, const struct cl_public_key *customer, uint64_t now_ms)
{
    enum cl_status status = customer_check(&pointer->network, network, &pointer->agreement, id, &pointer->signer, customer, pointer->made_ms, now_ms);
    if (status != CL_OK)
        return status;
    if (now_ms / 1000u >= pointer->until_s)
        return CL_E_EXPIRED;
    return cl_agreement_check(agreement, 1ull << pointer->slot, now_ms);
}

/* The proof of the agreement: that very one, active, the slot live. */
static enum cl_status agreement_proven(struct cl_verify_report *report, const struct cl_source_request *request, const struct cl_source_rules *rules)
{
    struct cl_verify_options options = {.now_ms = rules->now_ms, .max_age_ms = rules->max_age_ms};
    enum cl_status status = cl_proof_verify(report, request->proof.data, request->proof.length, rules->policy, &options);
    if (status != CL_OK)
        return status;
    if (!same(report->network.bytes, rules->network.bytes, 32))
        return CL_E_NETWORK;
    if (!same(report->object.bytes, request->agreement.bytes, 32) || (report->exists && report->kind != CL_STATE_AGREEMENT))
        return CL_E_SOURCE_PROOF;
    if (report->verdict != CL_OK)
        return report->verdict;
    return cl_agreement_check(&report->agreement, 1ull << request->slot, rules->now_ms);
}

/* The key that acts for the organisation's side now: in the agreement itself, or shown by the proof of its PROFILE or TERMS. */
static enum cl_status reader_proven(struct cl_verify_report *report, struct cl_public_key *key, const struct cl_party *party, const struct cl_source_request *request, const struct cl_source_rules *rules)
{
    struct cl_verify_options options = {.now_ms = rules->now_ms, .max_age_ms = rules->max_age_ms};
    if (party->length == 33) {
        memcpy(key->bytes, party->bytes, 33);
        return request->party_proof.length == 0 ? CL_OK : CL_E_SOURCE_PROOF;
    }
    if (request->party_proof.length == 0)
        return CL_E_SOURCE_PROOF;
    enum cl_status status = cl_proof_verify(report, request->party_proof.data, request->party_proof.length, rules->policy, &options);
    if (status != CL_OK)
        return status;
    if (!same(report->network.bytes, rules->network.bytes, 32))
        return CL_E_NETWORK;
    if (party->length != 32 || !same(report->object.bytes, party->bytes, 32) || !report->exists || (report->kind != CL_STATE_PROFILE && report->kind != CL_STATE_TERMS))
        return CL_E_SOURCE_PROOF;
    *key = report->owner;
    return CL_OK;
}

enum cl_status cl_source_request_check(const struct cl_source_request *request, const struct cl_source_rules *rules)
{
    struct cl_public_key key;
    if (!same(request->network.bytes, rules->network.bytes, 32))
        return CL_E_NETWORK;
    if (!same(request->holder.bytes, rules->holder.bytes, 32))
        return CL_E_SOURCE_HOLDER;
    if (request->made_ms > rules->now_ms + CL_RECORD_AHEAD_MS_MAX)
        return CL_E_TIME_AHEAD;
    if (request->made_ms + rules->max_age_ms < rules->now_ms)
        return CL_E_SOURCE_OLD;
    struct cl_verify_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return CL_E_MEMORY;
    enum cl_status status = agreement_proven(report, request, rules);
    struct cl_party party = report->agreement.organisation;
    if (status == CL_OK)
        status = reader_proven(report, &key, &party, request, rules);
    if (status == CL_OK && !same(key.bytes, request->signer.bytes, 33))
        status = CL_E_SOURCE_READER;
    free(report);
    return status;
}

enum cl_status cl_source_serve_check(const struct cl_source_release *release, const struct cl_source_served *served, size_t served_count, const struct cl_source_request *request, uint64_t now_ms)
{
    if (!same(release->network.bytes, request->network.bytes, 32) || !same(release->reference16, request->reference16, 16) || !same(release->reader.bytes, request->agreement.bytes, 32) || release->reader_slot != request->slot)
        return CL_E_SOURCE_OTHER;
    if (release->uses == 0)
        return CL_E_SOURCE_BACK;
    for (size_t i = 0; i < served_count; i++)
        if (same(served[i].nonce16, request->nonce16, 16))
            return CL_E_SOURCE_REPLAY;
    if (served_count >= release->uses)
        return CL_E_SOURCE_SPENT;
    return now_ms / 1000u >= release->until_s ? CL_E_EXPIRED : CL_OK;
}

enum cl_status cl_source_answer_check(const struct cl_source_answer *answer, const struct cl_source_pointer *pointer, const struct cl_hash *request, const struct cl_public_key *holder_key, uint64_t now_ms)
{
    if (!same(answer->network.bytes, pointer->network.bytes, 32))
        return CL_E_NETWORK;
    if (!same(answer->holder.bytes, pointer->holder.bytes, 32) || !same(answer->signer.bytes, holder_key->bytes, 33))
        return CL_E_SOURCE_HOLDER;
    if (!same(answer->request.bytes, request->bytes, 32))
        return CL_E_SOURCE_OTHER;
    return answer->made_ms > now_ms + CL_RECORD_AHEAD_MS_MAX ? CL_E_TIME_AHEAD : CL_OK;
}
