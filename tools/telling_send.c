/* Hands over many deliveries of one content: states asked for in advance, several requests under way, sealed one part at a time, and
   what was told written down in groups by a second thread, since the disk is waited for. A node or mailbox that takes nothing
   keeps nobody else waiting. */
#include "sharing.h"

#include <pthread.h>
#include <stdlib.h>

#define AT_ONCE 32u      /* requests under way; a node takes some hundred connections */

#define NODES_MAX 32u    /* home nodes whose absence is remembered */

struct sender { struct http_transfer *transfer; struct tale *tale; struct cl_buffer sealed; char url[CL_URL_BYTES_MAX + 400]; };
/* A group that is being written: nobody else touches these tales and the exchange files of their agreements. */
struct writer { const struct tale_source *source; pthread_t thread; bool running; struct tale *group[CL_EXCHANGE_SAVE_MAX]; size_t count; uint64_t length; enum cl_status status; };
struct sending {
    struct tale_source *source;
    struct tale *tales;
    size_t count, next, states_at, states_count;
    struct cl_delivery delivery;     /* what all have in common */
    struct http_multi *multi;
    struct sender senders[AT_ONCE];
    struct writer writer;
    struct tale *done[CL_EXCHANGE_SAVE_MAX];
    size_t done_count, told, busy;
    size_t away_count;
    struct { char name[CL_MEMBER_NAME_BYTES_MAX + 1]; uint64_t until_ms; } away[NODES_MAX];
    uint64_t good_ms;                /* when a node took something last */
    bool silent;                     /* the last request had no answer at all */
};

/* ---- what was told is written down */

static int by_position(const void *a, const void *b)
{
    const struct share *one = &(*(struct tale *const *)a)->share, *other = &(*(struct tale *const *)b)->share;
    return one->position < other->position ? -1 : one->position > other->position;
}

static enum cl_status note_told(const struct writer *writer, struct cl_exchange *exchange, const struct tale *tale)
{
    const struct cl_vault_entry *item = writer->source->item;
    struct cl_exchange_delivery delivery = {.kind = tale->share.told_ms == 0 ? CL_DELIVERY_DATA : CL_DELIVERY_CHANGE, .has_slot = true, .slot = tale->share.slot, .sent_ms = tale->sent_ms,
                                            .seen_ms = time_now_ms(), .length = writer->length};
    struct cl_exchange_link *link = cl_exchange_link_find(exchange, tale->share.slot);
    enum cl_status status = CL_OK;
    memcpy(delivery.id16, tale->id16, 16);
    memcpy(delivery.media_type, item->media_type, sizeof delivery.media_type);
    if (link == NULL) { /* by the link of the TERMS so far */
        status = cl_exchange_link_set(exchange, tale->share.slot, item->name);
        link = cl_exchange_link_find(exchange, tale->share.slot);
    }
    if (status == CL_OK && link != NULL)
        link->told_ms = item->changed_ms;
    if (status != CL_OK || cl_exchange_find(exchange, tale->id16, false) != NULL) /* told again, by one that was killed before it wrote this */
        return status;
    return cl_exchange_add(exchange, &delivery);
}

/* One group; an agreement stands once in it, whatever it was told. */
static enum cl_status group_write(struct writer *writer, struct cl_exchange *exchanges, struct cl_object_id *ids)
{
    const struct context *context = writer->source->context;
    enum cl_status status = CL_OK;
    size_t count = 0, last = SIZE_MAX;
    qsort((void *)writer->group, writer->count, sizeof *writer->group, by_position);
    for (size_t i = 0; i < writer->count && status == CL_OK; i++) {
        const struct tale *tale = writer->group[i];
        if (tale->share.position != last) {
            ids[count] = context->wallet->items[tale->share.position].object;
            status = cl_exchange_load(&exchanges[count], context->store, &ids[count]);
            count += status == CL_OK ? 1 : 0;
            last = tale->share.position;
        }
        if (status == CL_OK)
            status = note_told(writer, &exchanges[count - 1], tale);
    }
    if (status == CL_OK)
        status = cl_exchange_save_all(exchanges, ids, count, context->store);
    for (size_t i = 0; i < count; i++)
        cl_exchange_deinit(&exchanges[i]);
    return status;
}

static void *write_group(void *opaque)
{
    struct writer *writer = opaque;
    struct cl_exchange *exchanges = calloc(writer->count, sizeof *exchanges);
    struct cl_object_id *ids = calloc(writer->count, sizeof *ids);
    writer->status = exchanges == NULL || ids == NULL ? CL_E_MEMORY : group_write(writer, exchanges, ids);
    free(exchanges);
    free(ids);
    return NULL;
}

/* The group before is on the disk. */
static int writer_join(struct sending *sending)
{
    struct writer *writer = &sending->writer;
    if (!writer->running)
        return 0;
    (void)pthread_join(writer->thread, NULL);
    writer->running = false;
    return writer->status == CL_OK ? 0 : store_fail(sending->source->context, writer->status, "The wallet's folder");
}

/* Begins to write those that are done; what waits for the disk does not keep the others from being told. */
static int done_write(struct sending *sending)
{
    struct writer *writer = &sending->writer;
    int result = writer_join(sending);
    if (result != 0 || sending->done_count == 0)
        return result;
    writer->source = sending->source;
    writer->count = sending->done_count;
    writer->length = sending->delivery.length;
    memcpy((void *)writer->group, (void *)sending->done, writer->count * sizeof *writer->group);
    sending->done_count = 0;
    writer->running = pthread_create(&writer->thread, NULL, write_group, writer) == 0;
    return writer->running ? 0 : output_fail(&sending->source->context->output, CL_E_MEMORY, NULL);
}

/* ---- one part of one delivery */

struct key_signer { const struct cl_wallet *wallet; const struct cl_wallet_key *key; };
static enum cl_status sign(void *opaque, uint8_t signature64[64], const uint8_t digest32[32])
{
    const struct key_signer *signer = opaque;
    return cl_wallet_sign_digest(signature64, signer->wallet, signer->key, digest32);
}

static int part_start(struct sending *sending, struct sender *sender)
{
    struct context *context = sending->source->context;
    struct tale *tale = sender->tale;
    struct key_signer key = {context->wallet, tale->key};
    struct cl_signer signer = {.context = &key, .sign = sign, .key = tale->key->key};
    struct cl_delivery delivery = sending->delivery;
    const struct cl_buffer *value = &sending->source->value;
    const char *slash = strchr(tale->address, '/');
    delivery.agreement = context->wallet->items[tale->share.position].object;
    delivery.from = tale->side;
    delivery.slot = tale->share.slot;
    delivery.kind = tale->share.told_ms == 0 ? CL_DELIVERY_DATA : CL_DELIVERY_CHANGE;
    delivery.sent_ms = tale->sent_ms = tale->sent_ms == 0 ? time_now_ms() : tale->sent_ms;
    memcpy(delivery.id16, tale->id16, 16);
    sender->sealed.length = 0;
    enum cl_status status = cl_delivery_seal(&sender->sealed, &delivery, tale->part, value->data, value->length, &signer, tale->recipient32);
    (void)snprintf(sender->url, sizeof sender->url, "%s/v1/mailboxes/%s/deliveries?node=%.*s", context->node_url, slash + 1, (int)(slash - tale->address), tale->address);
    struct http_request request = {.method = "POST", .url = sender->url, .headers = {"Content-Type: application/octet-stream", "Accept: application/json", NULL},
                                   .body = sender->sealed.data, .body_length = sender->sealed.length, .timeout_s = (long)(sending->source->patience_ms / 1000u) + 5};
    if (status == CL_OK)
        status = http_transfer_start(sender->transfer, &request);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "(to '%s')", context->wallet->items[tale->share.position].name);
}

/* When the node that keeps this mailbox is asked again: one question finds out for all. *until NULL: no room to remember. */
static void away_find(struct sending *sending, const struct tale *tale, bool add, uint64_t **until)
{
    size_t length = (size_t)(strchr(tale->address, '/') - tale->address);
    *until = NULL;
    for (size_t i = 0; i < sending->away_count && *until == NULL; i++)
        if (strncmp(sending->away[i].name, tale->address, length) == 0 && sending->away[i].name[length] == '\0')
            *until = &sending->away[i].until_ms;
    if (*until == NULL && add && sending->away_count < NODES_MAX) {
        memcpy(sending->away[sending->away_count].name, tale->address, length);
        *until = &sending->away[sending->away_count++].until_ms;
    }
}

static void postpone(struct sending *sending, struct tale *tale, long code, long again_s)
{
    uint64_t *until;
    tale->next_ms = time_now_ms() + 1000u * (uint64_t)(again_s > 0 && again_s < 60 ? again_s : 1);
    sending->busy--;
    away_find(sending, tale, code != 429, &until);
    if (until != NULL && code != 429)
        *until = tale->next_ms;
}

/* Not now, since its node did not take another's. */
static bool held_back(struct sending *sending, struct tale *tale, uint64_t now_ms)
{
    uint64_t *until;
    away_find(sending, tale, false, &until);
    if (until == NULL || *until <= now_ms)
        return false;
    tale->next_ms = *until;
    return true;
}

static void finish(struct sending *sending, struct tale *tale, enum tale_end end)
{
    tale->end = end;
    sending->busy--;
    if (end == TALE_TOLD)
        sending->done[sending->done_count++] = tale;
    output_progress(&sending->source->context->output, "told", ++sending->told, sending->count);
}

/* The node has answered, or there is no answer. */
static int part_ended(struct sending *sending, struct sender *sender, enum cl_status status, const struct http_answer *answer)
{
    struct tale *tale = sender->tale;
    long code = status == CL_OK ? answer->status : 0;
    sender->tale = NULL;
    sending->silent = code == 0;
    if (code == 200 || code == 201) {
        sending->good_ms = time_now_ms();
        if (++tale->part < sending->delivery.part_count) {
            sender->tale = tale;
            return part_start(sending, sender);
        }
        finish(sending, tale, TALE_TOLD);
    } else if (code == 0 || code == 429 || code == 503) {
        postpone(sending, tale, code, answer->retry_after_s);
    } else {
        finish(sending, tale, code == 404 ? TALE_GONE : code == 507 ? TALE_FULL : TALE_REFUSED);
    }
    return sending->done_count == CL_EXCHANGE_SAVE_MAX ? done_write(sending) : 0;
}

/* ---- whose turn it is */

/* The states of those whose turn is next. */
static int ask_ahead(struct sending *sending)
{
    struct tale_source *source = sending->source;
    struct cl_object_id *ids = calloc(STATES_MAX, sizeof *ids);
    sending->states_at = sending->next;
    sending->states_count = sending->count - sending->next < STATES_MAX ? sending->count - sending->next : STATES_MAX;
    for (size_t i = 0; ids != NULL && i < sending->states_count; i++)
        ids[i] = source->context->wallet->items[sending->tales[sending->next + i].share.position].object;
    int result = ids == NULL ? output_fail(&source->context->output, CL_E_MEMORY, NULL) : states_fetch(source->context, source->states, ids, sending->states_count);
    free(ids);
    return result;
}

/* *out NULL: nobody now. *left: whether somebody waits for a later moment, and patience lasts. */
static int next_tale(struct sending *sending, struct tale **out, bool *left)
{
    uint64_t now = time_now_ms();
    int result = 0;
    *out = NULL;
    *left = false;
    while (sending->next < sending->count && result == 0) {
        if (sending->next >= sending->states_at + sending->states_count)
            result = ask_ahead(sending);
        if (result != 0)
            break;
        struct tale *tale = &sending->tales[sending->next];
        if (sending->next > 0 && tale->share.position == tale[-1].share.position)
            result = writer_join(sending); /* another slot of the same agreement: its file may be in the group */
        if (result != 0)
            break;
        tale_judge(sending->source, tale, sending->next - sending->states_at);
        sending->next++;
        if (tale->ready && !held_back(sending, tale, now)) {
            *out = tale;
            return 0;
        }
    }
    if (now > sending->good_ms + sending->source->patience_ms)
        return result;
    for (size_t i = 0; i < sending->count && *out == NULL && result == 0; i++) {
        struct tale *tale = &sending->tales[i];
        if (!tale->ready || tale->end != TALE_OPEN || tale->next_ms == UINT64_MAX)
            continue;
        if (tale->next_ms <= now && !held_back(sending, tale, now))
            *out = tale;
        *left = true;
    }
    return result;
}

/* Everybody who is not busy takes the next. */
static int hand_out(struct sending *sending, bool *left)
{
    int result = 0;
    *left = false;
    for (size_t i = 0; i < AT_ONCE && result == 0; i++) {
        struct sender *sender = &sending->senders[i];
        if (sender->tale != NULL)
            continue;
        result = next_tale(sending, &sender->tale, left);
        if (result != 0 || sender->tale == NULL)
            break;
        sender->tale->next_ms = UINT64_MAX;
        sending->busy++;
        result = part_start(sending, sender);
    }
    return result;
}

static int take_answers(struct sending *sending)
{
    const struct http_answer *answer;
    enum cl_status status;
    int result = http_multi_wait(sending->multi, 100) == CL_OK ? 0 : output_fail(&sending->source->context->output, CL_E_IO, NULL);
    for (size_t i = 0; i < AT_ONCE && result == 0; i++)
        if (sending->senders[i].tale != NULL && http_transfer_done(sending->senders[i].transfer, &status, &answer))
            result = part_ended(sending, &sending->senders[i], status, answer);
    return result;
}

static int run(struct sending *sending)
{
    bool left = true;
    int result = 0;
    while (result == 0 && !http_interrupted) {
        result = hand_out(sending, &left);
        if (result != 0 || (sending->busy == 0 && !left))
            break;
        result = take_answers(sending);
    }
    for (size_t i = 0; i < sending->count && !http_interrupted; i++)
        if (sending->tales[i].ready && sending->tales[i].end == TALE_OPEN)
            sending->tales[i].end = sending->silent ? TALE_SILENT : TALE_AWAY;
    return http_interrupted ? output_fail(&sending->source->context->output, CL_E_CANCELLED, NULL) : result;
}

int tales_send(struct tale_source *source, struct tale *tales, size_t count)
{
    struct context *context = source->context;
    struct sending *sending = calloc(1, sizeof *sending);
    if (sending == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    *sending = (struct sending){.source = source, .tales = tales, .count = count, .good_ms = time_now_ms(), .delivery = {.network = context->wallet->network.id, .has_slot = true}};
    memcpy(sending->delivery.media_type, source->item->media_type, sizeof sending->delivery.media_type);
    enum cl_status status = cl_delivery_measure(&sending->delivery, source->value.data, source->value.length);
    if (status == CL_OK)
        status = http_multi_new(&sending->multi);
    for (size_t i = 0; i < AT_ONCE && status == CL_OK; i++)
        status = http_transfer_new(&sending->senders[i].transfer, sending->multi);
    int result = status == CL_OK ? run(sending) : output_fail(&context->output, status, NULL);
    int written = done_write(sending);
    if (written == 0)
        written = writer_join(sending);
    output_progress_end(&context->output);
    for (size_t i = 0; i < AT_ONCE; i++) {
        http_transfer_free(sending->senders[i].transfer);
        cl_buffer_deinit(&sending->senders[i].sealed);
    }
    http_multi_free(sending->multi);
    free(sending);
    return result != 0 ? result : written;
}
