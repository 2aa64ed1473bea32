/* Which items are shared with whom: read from the exchange files of the wallet's agreements and TERMS. */
#include "sharing.h"

#include <stdlib.h>

static int by_item(const void *a, const void *b)
{
    const struct share *one = a, *other = b;
    int order = strcmp(one->item->name, other->item->name);
    return order != 0 ? order : one->position < other->position ? -1 : one->position > other->position ? 1 : (int)one->slot - (int)other->slot;
}

static bool append(struct share **list, size_t *count, size_t *room, const struct share *share)
{
    if (*count == *room) {
        size_t more = *room == 0 ? 16 : 2 * *room;
        struct share *larger = realloc(*list, more * sizeof *larger);
        if (larger == NULL)
            return false;
        *list = larger;
        *room = more;
    }
    (*list)[(*count)++] = *share;
    return true;
}

void shares_free(struct shares *shares)
{
    free(shares->list);
    free(shares->standing);
    *shares = (struct shares){.count = 0};
}

/* One link, where it is asked for. */
static bool take_link(struct context *context, struct shares *out, const struct cl_exchange_link *link, size_t position, const char *wanted, bool standing)
{
    if (wanted != NULL && strcmp(wanted, link->item) != 0)
        return true;
    struct share share = {.position = position, .item = cl_vault_find(context->store, link->item), .slot = link->slot, .told_ms = link->told_ms};
    if (share.item == NULL) {
        out->dangling++;
        return true;
    }
    return standing ? append(&out->standing, &out->standing_count, &out->standing_room, &share) : append(&out->list, &out->count, &out->room, &share);
}

/* What holds for all agreements under the TERMS, where the agreement's own links do not say otherwise. */
static bool take_standing(struct context *context, struct shares *out, struct cl_exchange *own, size_t position)
{
    const struct cl_wallet_item *items = context->wallet->items;
    bool good = true;
    for (size_t i = 0; i < out->standing_count && good; i++) {
        const struct share *standing = &out->standing[i];
        if (items[position].terms.present && memcmp(items[position].terms.bytes, items[standing->position].object.bytes, 32) == 0 && cl_exchange_link_find(own, standing->slot) == NULL)
            good = append(&out->list, &out->count, &out->room, &(struct share){.position = position, .item = standing->item, .slot = standing->slot});
    }
    return good;
}

static bool known_over(const struct cl_wallet_item *item)
{
    struct cl_agreement agreement;
    return item->kind == CL_ITEM_AGREEMENT && item->state.length > 0 && cl_agreement_decode(&agreement, item->state.data, item->state.length) == CL_OK && agreement_over(&agreement);
}

static enum cl_status item_links(struct context *context, struct shares *out, struct cl_exchange *exchange, size_t position, const char *wanted, bool terms)
{
    enum cl_status status = cl_exchange_load(exchange, context->store, &context->wallet->items[position].object);
    if (status != CL_OK)
        return status;
    bool good = true;
    for (size_t i = 0; i < exchange->link_count && good; i++)
        good = take_link(context, out, &exchange->links[i], position, wanted, terms);
    good = good && (terms || take_standing(context, out, exchange, position));
    cl_exchange_deinit(exchange);
    return good ? CL_OK : CL_E_MEMORY;
}

int shares_find(struct context *context, struct shares *out, const char *item)
{
    struct cl_exchange *exchange = malloc(sizeof *exchange);
    size_t damaged = 0;
    *out = (struct shares){.count = 0};
    enum cl_status status = exchange == NULL ? CL_E_MEMORY : CL_OK;
    for (unsigned terms = 2; terms-- > 0 && status == CL_OK;) /* TERMS first: they say what holds for the others */
        for (size_t i = 0; i < context->wallet->item_count && status == CL_OK; i++) {
            if (context->wallet->items[i].kind != (terms == 1 ? CL_ITEM_TERMS : CL_ITEM_AGREEMENT) || known_over(&context->wallet->items[i]))
                continue;
            status = item_links(context, out, exchange, i, item, terms == 1);
            if (status == CL_E_LOCKED) { /* one that is damaged does not keep the others from being told */
                damaged++;
                status = CL_OK;
            }
        }
    free(exchange);
    if (status != CL_OK) {
        shares_free(out);
        return store_fail(context, status, "The wallet's folder");
    }
    if (damaged > 0)
        output_warn(&context->output, "What is kept of the exchange under %zu agreements is damaged, so it is not known what is shared there; bring the wallet's folder back from a backup.", damaged);
    if (out->count > 0)
        qsort(out->list, out->count, sizeof *out->list, by_item);
    return 0;
}

/* ---- taking them away */

static bool concerns(const struct cl_wallet *wallet, size_t position, size_t wanted)
{
    const struct cl_wallet_item *item = &wallet->items[position];
    if (item->kind == CL_ITEM_PROFILE)
        return false;
    return wanted == SIZE_MAX || wanted == position || (wallet->items[wanted].kind == CL_ITEM_TERMS && item->terms.present && memcmp(item->terms.bytes, wallet->items[wanted].object.bytes, 32) == 0);
}

static size_t links_drop(struct cl_exchange *exchange, const char *item)
{
    size_t dropped = 0;
    for (size_t i = exchange->link_count; i-- > 0;)
        if (strcmp(exchange->links[i].item, item) == 0 && cl_exchange_link_set(exchange, exchange->links[i].slot, NULL) == CL_OK)
            dropped++;
    return dropped;
}

static enum cl_status group_save(struct context *context, struct cl_exchange *group, const struct cl_object_id *ids, size_t *filled)
{
    enum cl_status status = cl_exchange_save_all(group, ids, *filled, context->store);
    for (size_t i = 0; i < *filled; i++)
        cl_exchange_deinit(&group[i]);
    *filled = 0;
    return status;
}

int shares_remove(struct context *context, const char *item, size_t position, size_t *count)
{
    struct cl_exchange *group = calloc(CL_EXCHANGE_SAVE_MAX, sizeof *group);
    struct cl_object_id *ids = calloc(CL_EXCHANGE_SAVE_MAX, sizeof *ids);
    enum cl_status status = group == NULL || ids == NULL ? CL_E_MEMORY : CL_OK;
    size_t filled = 0;
    *count = 0;
    for (size_t i = 0; i < context->wallet->item_count && status == CL_OK; i++) {
        if (!concerns(context->wallet, i, position))
            continue;
        ids[filled] = context->wallet->items[i].object;
        status = cl_exchange_load(&group[filled], context->store, &ids[filled]);
        if (status == CL_E_LOCKED) { /* its links do not tell anybody anything either */
            status = CL_OK;
            continue;
        }
        size_t dropped = status == CL_OK ? links_drop(&group[filled], item) : 0;
        *count += dropped;
        if (dropped > 0)
            filled++;
        else if (status == CL_OK)
            cl_exchange_deinit(&group[filled]);
        if (filled == CL_EXCHANGE_SAVE_MAX)
            status = group_save(context, group, ids, &filled);
    }
    if (status == CL_OK)
        status = group_save(context, group, ids, &filled);
    for (size_t i = 0; i < filled; i++)
        cl_exchange_deinit(&group[i]);
    free(group);
    free(ids);
    return status == CL_OK ? 0 : store_fail(context, status, "The wallet's folder");
}

const char *names_text(struct context *context, const size_t *positions, size_t count)
{
    enum { SHOWN = 5 };
    static char out[SHOWN * (CL_NAME_BYTES_MAX + 4) + 64];
    size_t shown = count <= SHOWN ? count : SHOWN - 1, used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s", i == 0 ? "" : i + 1 == count ? " and " : ", ", context->wallet->items[positions[i]].name);
    if (shown < count)
        (void)snprintf(out + used, sizeof out - used, " and %zu more", count - shown);
    return out;
}
