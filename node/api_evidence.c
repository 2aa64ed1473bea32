/* Votes that contradict each other, with the bytes that their member signed, for whoever has to judge it. */
#include "api_private.h"

#include "evidence.h"

#include <stdlib.h>

static json_t *vote_json(const struct cl_vote *vote)
{
    struct cl_buffer bytes = { 0 };
    json_t *out = json_pack("{s:s}", "kind", evidence_word(vote->kind));
    if (cl_vote_encode(&bytes, vote) == CL_OK && out != NULL) {
        json_set_base64(out, "vote", bytes.data, bytes.length);
    } else {
        json_decref(out);
        out = NULL;
    }
    cl_buffer_deinit(&bytes);
    return out;
}

void api_evidence(struct api_call *call)
{
    const struct node *node = call->api->node;
    struct consensus_evidence *pieces;
    size_t count;
    char path[1200];
    json_t *list = json_array();
    enum cl_status status = node_evidence_read(&pieces, &count, node, path);
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        if (pieces[i].first.voter >= node->genesis.core.value.member_count) continue; /* proves nothing here: left out at start */
        json_t *piece = json_pack("{s:s,s:I,s:[o,o]}", "member", node->genesis.core.value.members[pieces[i].first.voter].name, "view",
                                  (json_int_t)pieces[i].first.view, "votes", vote_json(&pieces[i].first), vote_json(&pieces[i].second));
        if (json_array_append_new(list, piece) != 0) status = CL_E_MEMORY;
    }
    free(pieces);
    if (status == CL_OK) {
        api_answer_json(call->request, 200, json_pack("{s:i,s:o}", "version", 1, "evidence", list));
        return;
    }
    json_decref(list);
    api_fail(call->request, status);
}
