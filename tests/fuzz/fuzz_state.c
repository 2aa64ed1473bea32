/* A state value that any decoder accepts is the one form that its encoder makes: what a proof shows has no twin. */
#include <stdlib.h>

#include "consent/record.h"
#include "consent/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void require_same(struct cl_buffer *again, enum cl_status status, const uint8_t *data, size_t size)
{
    require(status == CL_OK && again->length == size && memcmp(again->data, data, size) == 0);
    cl_buffer_deinit(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cl_agreement agreement;
    static struct cl_terms terms;
    static struct cl_profile profile;
    static struct cl_network network;
    struct cl_object_id answer;
    struct cl_buffer again = {0};
    enum cl_state_kind kind;
    int accepted = 0;
    if (cl_agreement_decode(&agreement, data, size) == CL_OK) {
        accepted++;
        require_same(&again, cl_agreement_encode(&again, &agreement), data, size);
        uint64_t live = agreement.live;
        enum cl_status may = cl_agreement_check(&agreement, live, agreement.head_ms);
        require(may != CL_OK || (agreement.status == CL_ACTIVE && agreement.suspended == 0 && live != 0));
    }
    if (cl_terms_decode(&terms, data, size) == CL_OK) {
        accepted++;
        require_same(&again, cl_terms_encode(&again, &terms), data, size);
    }
    if (cl_profile_decode(&profile, data, size) == CL_OK) {
        accepted++;
        require_same(&again, cl_profile_encode(&again, &profile), data, size);
    }
    if (cl_network_decode(&network, data, size) == CL_OK) {
        accepted++;
        require_same(&again, cl_network_encode(&again, &network), data, size);
    }
    if (cl_answer_decode(&answer, data, size) == CL_OK) {
        accepted++;
        require_same(&again, cl_answer_encode(&again, &answer), data, size);
    }
    require(accepted <= 1);
    require(accepted == 0 || cl_state_kind_of(&kind, data, size) == CL_OK);
    return 0;
}
