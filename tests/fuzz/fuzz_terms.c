/* Terms texts and bodies. What parses makes a body, the body decodes, and the text that its disclosures make says the
   same; a body of somebody else is read strictly and can be shown whatever it holds; what it says is delivered can be counted. */
#include "consent/schedule.h"
#include "consent/terms.h"

#include "consent/record.h"
#include "require.h"
#include "terms_text.h"

/* Times of any size; a period lies between its beginning and the next one's. */
static void can_be_counted(const char *duration)
{
    static const uint64_t times[] = {0, 1, 1769853600000, 4102444800000, 253402300799999, UINT64_MAX};
    struct cl_schedule_frame frame = {.until_ms = CL_SCHEDULE_NEVER};
    struct cl_schedule_count count;
    if (cl_schedule_parse(&frame.schedule, duration) != CL_OK)
        return;
    for (size_t i = 0; i < 6; i++)
        for (size_t k = i; k < 6; k++) {
            uint64_t period = cl_schedule_period(&frame.schedule, times[i], times[k]);
            require(times[i] > times[4] || (cl_schedule_begin_ms(&frame.schedule, times[i], period) <= times[k] && cl_schedule_begin_ms(&frame.schedule, times[i], period + 1) > (times[k] > times[4] ? times[4] : times[k])));
            frame.since_ms = times[i];
            cl_schedule_count(&count, &frame, times, 6, times[k]);
            require(count.delivered + count.extra == 6 - i && count.overdue <= count.periods);
        }
}

static void can_be_shown(const struct cl_terms_text *text)
{
    const char *sentences[8];
    struct cl_buffer out = {0};
    size_t differences = 1;
    uint64_t slots = cl_terms_text_slots(text);
    require(text->slot_count <= CL_SLOTS_MAX);
    for (size_t i = 0; i < text->slot_count; i++) {
        const struct cl_terms_slot *slot = &text->slots[i];
        require(slot->number < CL_SLOTS_MAX && (slots >> slot->number & 1) != 0);
        require(i == 0 || slot->number > text->slots[i - 1].number);
        if (slot->delivery_period != NULL)
            can_be_counted(slot->delivery_period);
        for (size_t k = 0; k < slot->purpose_count; k++)
            require(cl_terms_slot_allows(slot, slot->purposes[k]));
    }
    (void)cl_terms_text_advice(sentences, 8, text);
    require(cl_terms_text_plain(&out, text, UINT64_MAX) == CL_OK && cl_terms_text_plain(&out, text, slots & 5) == CL_OK);
    require(cl_terms_text_diff(&out, &differences, text, text) == CL_OK && differences == 0);
    cl_buffer_deinit(&out);
}

static void body_says_the_same(const struct cl_terms_text *text)
{
    static struct cl_body_file file;
    static const uint8_t seed[32] = {1}, salt[32] = {2};
    static const struct cl_object_id object = {{3}};
    struct cl_body *body = calloc(1, sizeof *body);
    struct cl_terms_text *again = NULL;
    struct cl_buffer bytes = {0}, out = {0};
    size_t differences = 1;
    require(body != NULL);
    enum cl_status status = cl_body_make(body, text, seed);
    require(status == CL_OK || status == CL_E_BOUND); /* long values, or many: a body has its own bounds */
    if (status == CL_OK) {
        require(cl_body_file_encode(&bytes, &object, salt, body) == CL_OK);
        status = cl_body_file_decode(&file, bytes.data, bytes.length);
        require(status == CL_OK && file.disclosure_count == file.digest_count);
        require(cl_body_file_text(&again, &file) == CL_OK);
        require(cl_terms_text_diff(&out, &differences, text, again) == CL_OK && differences == 0);
        require(again->has_text_hash && memcmp(again->text_hash, text->text_hash, 32) == 0);
        cl_terms_text_free(again);
    }
    cl_buffer_deinit(&out);
    cl_buffer_deinit(&bytes);
    cl_body_deinit(body);
    free(body);
}

static void text_of_anybody(const uint8_t *data, size_t size)
{
    struct cl_terms_text *text = NULL;
    struct cl_terms_fault fault = {0};
    enum cl_status status = cl_terms_text_parse(&text, &fault, (const char *)data, size);
    if (status != CL_OK) {
        require(text == NULL && memchr(fault.sentence, 0, sizeof fault.sentence) != NULL);
        require(status != CL_E_FORMAT || fault.sentence[0] != '\0');
        return;
    }
    can_be_shown(text);
    body_says_the_same(text);
    cl_terms_text_free(text);
}

static void body_of_anybody(const uint8_t *data, size_t size)
{
    static struct cl_body_file file;
    struct cl_terms_text *text = NULL;
    struct cl_commitment commitment;
    if (cl_body_file_decode(&file, data, size) != CL_OK)
        return;
    require(file.disclosure_count <= file.digest_count && file.disclosure_count <= CL_BODY_FIELDS_MAX);
    cl_body_file_commitment(&commitment, &file);
    if (cl_body_file_text(&text, &file) == CL_OK) {
        can_be_shown(text);
        cl_terms_text_free(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    (void)cl_duration_usable(text);
    can_be_counted(text);
    (void)cl_vocabulary_nearest(CL_VOCABULARY_PURPOSE, size <= 80 ? text : "");
    text_of_anybody(data, size);
    body_of_anybody(data, size);
    free(text);
    return 0;
}
