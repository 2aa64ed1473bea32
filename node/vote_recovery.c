/* Collects what the others answer, each once, and checks it: nonce, signature, and that the certificate is for the view
   before the one that is named, or a later one. */
#include "vote_recovery.h"

#include "consent/record.h"

#include <assert.h>
#include <string.h>

void vote_recovery_begin(struct vote_recovery *recovery, const uint8_t nonce32[32])
{
    memset(recovery, 0, sizeof *recovery);
    memcpy(recovery->nonce, nonce32, 32);
}

static enum cl_status check_signature(const struct consensus *consensus, const struct frame_recovery_answer *answer)
{
    struct cl_buffer bytes = { 0 };
    enum cl_status status = frame_recovery_answer_signed_bytes(&bytes, answer);
    if (status == CL_OK && !consensus_signed(consensus, answer->member, answer->signature, bytes.data, bytes.length)) status = CL_E_SIGNATURE;
    cl_buffer_deinit(&bytes);
    return status;
}

/* Consensus rule 1: a view is entered only with a certificate for the one before, or a later one. */
static enum cl_status check_view(const struct consensus *consensus, const struct frame_recovery_answer *answer, struct cl_certificate *certificate, uint64_t *view)
{
    *view = answer->view;
    if (answer->certificate.length == 0) return answer->view == 1 ? CL_OK : CL_E_CERTIFICATE;
    enum cl_status status = cl_certificate_decode(certificate, answer->certificate.data, answer->certificate.length);
    if (status != CL_OK) return status == CL_E_MEMORY ? status : CL_E_CERTIFICATE;
    if (answer->view == 0 || certificate->view < answer->view - 1 || certificate->view >= UINT64_MAX - 2) return CL_E_CERTIFICATE;
    if (!consensus_certificate_good(consensus, certificate)) return CL_E_CERTIFICATE;
    *view = certificate->view + 1;
    return CL_OK;
}

enum cl_status vote_recovery_take(struct vote_recovery *recovery, const struct consensus *consensus, size_t from,
                                  const struct frame_recovery_answer *answer, struct cl_certificate *certificate, bool *has)
{
    uint64_t view = 0;
    *has = false;
    if (from >= consensus_member_count(consensus) || from == consensus_own(consensus) || answer->member != from) return CL_E_MEMBER;
    if (memcmp(answer->nonce, recovery->nonce, 32) != 0) return CL_E_REPLAY;
    if (recovery->answered[from]) return CL_E_EXISTS;
    enum cl_status status = check_signature(consensus, answer);
    if (status == CL_OK) status = check_view(consensus, answer, certificate, &view);
    if (status != CL_OK) return status;
    recovery->answered[from] = true;
    recovery->count++;
    if (view > recovery->highest) recovery->highest = view;
    *has = answer->certificate.length > 0;
    return CL_OK;
}

size_t vote_recovery_needed(size_t member_count)
{
    return cl_quorum(member_count);
}

bool vote_recovery_bar(const struct vote_recovery *recovery, const struct consensus *consensus, uint64_t *barred)
{
    if (recovery->count < vote_recovery_needed(consensus_member_count(consensus))) return false;
    *barred = recovery->highest + 1; /* we may have entered the view after that in which the last correct member was */
    return true;
}

enum cl_status vote_recovery_answer(struct cl_buffer *payload, const struct consensus *consensus, const uint8_t nonce32[32])
{
    const struct cl_certificate *certificate = NULL;
    struct cl_buffer bytes = { 0 }, encoded = { 0 };
    struct frame_recovery_answer answer = { .member = (uint32_t)consensus_own(consensus) };
    enum cl_status status = CL_OK;
    memcpy(answer.nonce, nonce32, 32);
    if (!consensus_position(consensus, &answer.view, &certificate)) return CL_E_PENDING;
    if (certificate != NULL) status = cl_certificate_encode(&encoded, certificate);
    answer.certificate = (struct cl_view){ encoded.data, encoded.length };
    if (status == CL_OK) status = frame_recovery_answer_signed_bytes(&bytes, &answer);
    if (status == CL_OK) consensus_sign(consensus, answer.signature, bytes.data, bytes.length);
    if (status == CL_OK) status = frame_recovery_answer_encode(payload, &answer);
    cl_buffer_deinit(&bytes);
    cl_buffer_deinit(&encoded);
    return status;
}
