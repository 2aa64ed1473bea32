/* What the documents of data that stays at the source say, in words (consent/source.h). */
#include "consent/source.h"
#include "inspect_internal.h"

static enum cl_status words_of_release(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_source_release release;
    enum cl_status status = cl_source_release_decode(&release, data, length);
    if (status != CL_OK)
        return status;
    cl_inspect_bytes(page, "under agreement", release.agreement.bytes, 32);
    cl_inspect_bytes(page, "reference", release.reference16, 16);
    if (release.uses == 0)
        cl_page_say(page, "it is taken back\n");
    else
        cl_page_say(page, "slot %u may be served %u time%s, while slot %u is live in the agreement of who asks\n", release.slot, release.uses, release.uses == 1 ? "" : "s", release.reader_slot);
    cl_inspect_bytes(page, "which is", release.reader.bytes, 32);
    cl_inspect_time(page, "until", release.until_s);
    cl_inspect_bytes(page, "signed with", release.signer.bytes, 33);
    return page->status;
}

static enum cl_status words_of_pointer(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_source_pointer pointer;
    enum cl_status status = cl_source_pointer_decode(&pointer, data, length);
    if (status != CL_OK)
        return status;
    cl_inspect_bytes(page, "under agreement", pointer.agreement.bytes, 32);
    cl_page_say(page, "for slot %u, to be fetched %u time%s\n", pointer.slot, pointer.uses, pointer.uses == 1 ? "" : "s");
    cl_inspect_bytes(page, "from profile", pointer.holder.bytes, 32);
    cl_inspect_bytes(page, "reference", pointer.reference16, 16);
    cl_page_say(page, pointer.where.length > 0 ? "with words on where to ask, which 'consent source ask' shows\n" : "without a word on where to ask\n");
    cl_inspect_time(page, "until", pointer.until_s);
    cl_inspect_bytes(page, "signed with", pointer.signer.bytes, 33);
    return page->status;
}

static enum cl_status words_of_request(struct cl_page *page, const uint8_t *data, size_t length)
{
    struct cl_source_request request;
    enum cl_status status = cl_source_request_decode(&request, data, length);
    if (status != CL_OK)
        return status;
    cl_inspect_bytes(page, "by the organisation of agreement", request.agreement.bytes, 32);
    cl_page_say(page, "for slot %u of it\n", request.slot);
    cl_inspect_bytes(page, "to profile", request.holder.bytes, 32);
    cl_inspect_bytes(page, "reference", request.reference16, 16);
    cl_inspect_time(page, "made at", request.made_ms / 1000);
    cl_page_say(page, "with a proof of %zu bytes%s\n", request.proof.length, request.party_proof.length > 0 ? ", and one of who asks" : "");
    cl_inspect_bytes(page, "the answer is to be sealed to", request.delivery32, 32);
    cl_inspect_bytes(page, "signed with", request.signer.bytes, 33);
    cl_page_say(page, "whether it may be served: consent source serve FILE\n");
    return page->status;
}

enum cl_status cl_inspect_source(struct cl_page *page, enum cl_file_kind kind, const uint8_t *data, size_t length)
{
    return kind == CL_FILE_SOURCE_RELEASE ? words_of_release(page, data, length) : kind == CL_FILE_SOURCE_POINTER ? words_of_pointer(page, data, length) : words_of_request(page, data, length);
}
