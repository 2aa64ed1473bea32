/* What goes with an agreement that is erased or forgotten, beside the content of its entry: what is kept of the other side
   (consent/exchange.h), sealed parts on their way out and in, files that arrived, nodes' signed acceptances, the mailbox.

   A kill at any moment is finished by the next command. WALLET.erasing, "AGREEMENT FLAGS\n", is there from before anything is
   destroyed until everything here is; every step of it may be done twice. A mailbox is at a node, which may be away: its key
   is called "….closing" in the wallet until the node has closed it. */
#include "erasure.h"
#include "consent/exchange.h"
#include "mailbox.h"
#include "opening.h"
#include "source.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define NOTE_BYTES_MAX 128u
enum { FORGET = 1, KEEP_PROOF = 2, KEEP_RECEIVED = 4, FLAGS_MAX = 7 };

struct destroyed {
    bool contact, content;
    uint64_t deliveries;        /* that the log named */
    uint64_t unlogged;          /* older ones, which it counts only */
    size_t outgoing, incoming;  /* sealed parts */
    size_t received, kept;      /* files that arrived */
    size_t acceptances, releases;
    size_t mailboxes, waiting_mailboxes, absent_mailboxes;
    uint64_t waited;            /* deliveries in those that were closed */
};

#define NOTE ".erasing"
#define NOTE_DONE ".erased"

/* "WALLET.erasing" and the like. */
static void beside(const struct context *context, char out[3200], const char *ending) { (void)snprintf(out, 3200, "%s%s", context->wallet_path, ending); }

static int note_write(struct context *context, const struct erasure *erasure)
{
    char path[3200], text[NOTE_BYTES_MAX];
    int flags = (erasure->forget ? FORGET : 0) | (erasure->keep_proof ? KEEP_PROOF : 0) | (erasure->keep_received ? KEEP_RECEIVED : 0);
    beside(context, path, NOTE);
    int length = snprintf(text, sizeof text, "%s %d\n", id_text(erasure->agreement.bytes), flags);
    return file_write(context, path, text, (size_t)length, true);
}

static int note_read(struct context *context, struct erasure *erasure, bool *there)
{
    char path[3200], agreement[65];
    int flags = -1;
    struct cl_buffer file = {0};
    beside(context, path, NOTE);
    *there = access(path, F_OK) == 0;
    int result = *there ? file_read(context, &file, path, NOTE_BYTES_MAX) : 0;
    if (result == 0 && *there) {
        bool good = cl_buffer_append(&file, "", 1) == CL_OK && sscanf((const char *)file.data, "%64s %d", agreement, &flags) == 2 && id_parse(&erasure->agreement, agreement) && flags >= 0 && flags <= FLAGS_MAX;
        erasure->forget = (flags & FORGET) != 0;
        erasure->keep_proof = (flags & KEEP_PROOF) != 0;
        erasure->keep_received = (flags & KEEP_RECEIVED) != 0;
        if (!good)
            result = output_fail(&context->output, CL_E_FORMAT, "%s, which says what was being erased, is damaged; remove it, and erase again.", path);
    }
    cl_buffer_deinit(&file);
    return result;
}

/* Under another name before it is overwritten: what stands in it is done, or whole. */
static int note_remove(struct context *context)
{
    char path[3200], done[3200];
    beside(context, path, NOTE);
    beside(context, done, NOTE_DONE);
    if ((rename(path, done) == 0 || errno == ENOENT) && cl_file_destroy(done))
        return 0;
    return output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
}

/* ---- the wallet: the entry, and the mailbox's key, which is called by what is to be done with it */

static enum cl_status entry_destroy(struct context *context, const struct erasure *erasure, struct destroyed *destroyed)
{
    struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, &erasure->agreement);
    enum cl_status status = CL_OK;
    destroyed->content = item != NULL;
    if (item != NULL && erasure->forget) {
        cl_wallet_item_remove(context->wallet, item);
    } else if (item != NULL) {
        struct cl_buffer proof = item->proof;
        if (erasure->keep_proof)
            item->proof = (struct cl_buffer){0};
        status = cl_wallet_item_destroy_secrets(item);
        if (erasure->keep_proof)
            item->proof = proof;
    }
    return status;
}

static void mailboxes_mark(struct context *context, const struct cl_object_id *agreement)
{
    const char *id = id_text(agreement->bytes);
    char name[CL_NAME_BYTES_MAX + 1];
    unsigned number = 1;
    for (size_t i = 0; i < context->wallet->key_count; i++) {
        struct cl_wallet_key *key = &context->wallet->keys[i];
        if (!mailbox_key(key) || strncmp(key->name, id, 16) != 0 || key->name[16] != '.')
            continue;
        do
            (void)snprintf(name, sizeof name, "%.16s%s.%u", id, MAILBOX_CLOSING, number++);
        while (cl_wallet_key_find(context->wallet, name) != NULL);
        memcpy(key->name, name, sizeof name);
    }
}

/* ---- the files */

static int is_part(const struct dirent *entry) { return strstr(entry->d_name, DELIVERY_FILE_END) != NULL; }

static int path_destroy(struct context *context, const char *folder, const char *name)
{
    char path[3600];
    (void)snprintf(path, sizeof path, "%s/%.255s", folder, name);
    return cl_file_destroy(path) ? 0 : output_fail(&context->output, CL_E_IO, "%s: %s", path, strerror(errno));
}

/* Parts of deliveries that are not complete: whose they are only opening them says. */
static int incoming_destroy(struct context *context, const struct cl_object_id *agreement, struct destroyed *destroyed)
{
    char folder[3200], path[3600];
    struct dirent **names = NULL;
    struct opening opening = {.context = context, .opened = {.secret = true}};
    int result = 0;
    beside(context, folder, ".incoming");
    int count = scandir(folder, &names, is_part, NULL);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%.255s", folder, names[i]->d_name);
        opening.sealed.length = 0;
        bool its = result == 0 && cl_file_read(&opening.sealed, path, CL_DELIVERY_SEALED_MAX) == CL_OK && opening_open(&opening) == CL_OK &&
                   memcmp(opening.part.delivery.agreement.bytes, agreement->bytes, 32) == 0;
        if (its)
            result = path_destroy(context, folder, names[i]->d_name);
        destroyed->incoming += its ? 1 : 0;
        free(names[i]);
    }
    free(names);
    cl_buffer_deinit(&opening.sealed);
    cl_buffer_wipe(&opening.opened);
    if (result == 0 && destroyed->incoming > 0 && !cl_directory_sync(folder))
        result = output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    return result;
}

static bool was_received(struct cl_exchange *exchange, const uint8_t id16[16])
{
    bool found = cl_exchange_find(exchange, id16, true) != NULL;
    for (size_t i = 0; i < exchange->opened.count && !found; i++)
        found = memcmp(exchange->opened.entries[i].id16, id16, 16) == 0;
    return found;
}

/* Two agreements may have deliveries of one id: then the later one's file has its agreement behind that (cmd_inbox.c). */
static bool is_of_agreement(const char *folder, const char *name, const struct cl_object_id *agreement)
{
    char other[3600];
    if (name[32] == '-')
        return strncmp(name + 33, id_text(agreement->bytes), 8) == 0;
    (void)snprintf(other, sizeof other, "%s/%.32s-%.8s", folder, name, id_text(agreement->bytes));
    return access(other, F_OK) != 0;
}

/* A code that was delivered, by which this agreement was offered (in_return.c): its text and salts are in it. */
static bool is_code_of(const char *name, const struct cl_object_id *agreement)
{
    char ending[64];
    size_t length = strlen(name), wanted = (size_t)snprintf(ending, sizeof ending, "-%.16s.consent-code", id_text(agreement->bytes));
    return length > wanted && strcmp(name + length - wanted, ending) == 0;
}

/* Files that consent inbox wrote where it writes unless told otherwise; their names begin with the delivery's id. */
static int received_destroy(struct context *context, struct cl_exchange *exchange, const struct cl_object_id *agreement, bool keep, struct destroyed *destroyed)
{
    char folder[3200], hex[33] = "";
    struct dirent **names = NULL;
    int result = 0;
    beside(context, folder, ".received");
    int count = scandir(folder, &names, NULL, alphasort); /* so that ID goes before ID-AGREEMENT, by which it is judged */
    for (int i = 0; i < count; i++) {
        uint8_t id[16];
        (void)snprintf(hex, sizeof hex, "%.32s", names[i]->d_name);
        bool code = is_code_of(names[i]->d_name, agreement), its = code || (cl_hex_decode(id, 16, hex) && was_received(exchange, id) && is_of_agreement(folder, names[i]->d_name, agreement));
        if (its && (!keep || code) && result == 0)
            result = path_destroy(context, folder, names[i]->d_name);
        *(keep && !code ? &destroyed->kept : &destroyed->received) += its ? 1 : 0;
        free(names[i]);
    }
    free(names);
    if (result == 0 && destroyed->received > 0 && !cl_directory_sync(folder))
        result = output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    return result;
}

/* The log says which files arrived: so they go before it. */
static int exchange_destroy(struct context *context, const struct erasure *erasure, struct destroyed *destroyed)
{
    int result = 0;
    struct cl_exchange *exchange = calloc(1, sizeof *exchange);
    enum cl_status status = exchange == NULL ? CL_E_MEMORY : cl_exchange_load(exchange, context->store, &erasure->agreement);
    if (status == CL_OK) {
        destroyed->contact = exchange->contact.length > 0;
        destroyed->deliveries = exchange->delivery_count;
        destroyed->unlogged = exchange->dropped;
        result = received_destroy(context, exchange, &erasure->agreement, erasure->keep_received || erasure->forget, destroyed);
        cl_exchange_deinit(exchange);
    } else if (status == CL_E_LOCKED) {
        output_warn(&context->output, "What was kept of the exchange is damaged, so nobody knows which files arrived under it; look through %s.received.", context->wallet_path);
        status = CL_OK;
    }
    free(exchange);
    if (status == CL_OK && result == 0)
        status = cl_exchange_destroy(context->store, &erasure->agreement);
    return result != 0 ? result : status == CL_OK ? 0 : store_fail(context, status, "The wallet's folder");
}

/* ---- all of it */

static int destroy(struct context *context, const struct erasure *erasure, struct destroyed *destroyed)
{
    enum cl_status status = entry_destroy(context, erasure, destroyed);
    mailboxes_mark(context, &erasure->agreement);
    int result = status == CL_OK ? wallet_save(context) : output_fail(&context->output, status, NULL);
    if (result == 0)
        result = exchange_destroy(context, erasure, destroyed);
    if (result == 0)
        result = source_forget(context, &erasure->agreement, &destroyed->releases);
    if (result == 0)
        result = outbox_destroy(context, &erasure->agreement, &destroyed->outgoing);
    if (result == 0)
        result = incoming_destroy(context, &erasure->agreement, destroyed);
    if (result == 0 && !erasure->keep_proof && !acceptances_destroy(context, &erasure->agreement, &destroyed->acceptances))
        result = output_fail(&context->output, CL_E_IO, "A node's signed acceptance: %s", strerror(errno));
    if (result == 0) /* which held it too */
        result = wallet_backup(context, NULL);
    return result == 0 ? note_remove(context) : result;
}

static bool own_node(const struct context *context) { return strcmp(context->node_url, context->wallet->network.url) == 0; }

/* Those that are to be closed; what a failing node says is left to the caller to tell. That a node has no such mailbox says
   much only where it is the wallet's own. */
static int mailboxes_close(struct context *context, struct destroyed *destroyed)
{
    bool changed = false;
    for (size_t i = context->wallet->key_count; i-- > 0;) {
        const struct cl_wallet_key *key = &context->wallet->keys[i];
        bool gone = false;
        uint64_t deleted = 0;
        if (!mailbox_closing(key))
            continue;
        context->output.hushed = true;
        int result = http_interrupted ? 130 : mailbox_close(context, key, &gone, &deleted);
        context->output.hushed = false;
        if (result != 0 || (gone && !own_node(context))) {
            destroyed->waiting_mailboxes++;
            continue;
        }
        *(gone ? &destroyed->absent_mailboxes : &destroyed->mailboxes) += 1;
        destroyed->waited += deleted;
        cl_wallet_key_remove(context->wallet, key);
        changed = true;
    }
    return changed ? wallet_save(context) : 0;
}

static void mailboxes_say(struct context *context, const struct destroyed *destroyed)
{
    if (destroyed->mailboxes > 0 && destroyed->waited == 0)
        output_say(&context->output, "The mailbox of what was erased or forgotten, at %s, is closed; it was empty.", context->node_url);
    else if (destroyed->mailboxes > 0)
        output_say(&context->output, "The mailbox of what was erased or forgotten, at %s, is closed, with %llu sealed part%s that waited there.", context->node_url, (unsigned long long)destroyed->waited, destroyed->waited == 1 ? "" : "s");
    if (destroyed->absent_mailboxes > 0)
        output_say(&context->output, "%s has no mailbox of what was erased or forgotten (any more). If you opened it at another node, that node closes it when nobody has fetched from it for some weeks.", context->node_url);
    if (destroyed->waiting_mailboxes > 0)
        output_warn(&context->output, "Not closed yet: the mailbox of what was erased or forgotten. %s %s; the next command that reaches %s tries again. Until then sealed parts may wait there.", context->node_url,
                    own_node(context) ? "does not answer, or has too much to do" : "did not close it", own_node(context) ? "it" : context->wallet->network.url);
}

/* ", 2 sealed parts" and the like, where there are any. */
static void count_say(char *out, size_t size, uint64_t count, const char *what)
{
    size_t used = strlen(out);
    if (count > 0)
        (void)snprintf(out + used, size - used, ", %llu %s%s", (unsigned long long)count, what, count == 1 ? "" : "s");
}

static void say(struct context *context, const struct destroyed *destroyed)
{
    const struct output *output = &context->output;
    char parts[400] = "";
    (void)snprintf(parts, sizeof parts, "%s%s%s", destroyed->content ? ", text, salt and proofs" : "", destroyed->contact ? ", the other side's contact" : "", destroyed->deliveries > 0 ? ", the log of deliveries" : "");
    count_say(parts, sizeof parts, destroyed->received, "received file");
    count_say(parts, sizeof parts, destroyed->outgoing, "unsent sealed part");
    count_say(parts, sizeof parts, destroyed->incoming, "incoming sealed part");
    count_say(parts, sizeof parts, destroyed->acceptances, "signed acceptance");
    count_say(parts, sizeof parts, destroyed->releases, "release of data at its source");
    output_say(output, "Destroyed here: %s.", parts[0] == '\0' ? "nothing, for nothing of it was here" : parts + 2);
    if (destroyed->kept > 0)
        output_say(output, "%zu file%s that arrived under it stay%s in %s.received.", destroyed->kept, destroyed->kept == 1 ? "" : "s", destroyed->kept == 1 ? "s" : "", context->wallet_path);
    if (destroyed->unlogged > 0)
        output_say(output, "Besides, %llu older deliveries had arrived or were sent, of which no log was kept; look through %s.received.", (unsigned long long)destroyed->unlogged, context->wallet_path);
    mailboxes_say(context, destroyed);
}

int erasure_run(struct context *context, const struct erasure *erasure, json_t *json)
{
    struct destroyed destroyed = {.contact = false};
    int result = note_write(context, erasure);
    if (result == 0)
        result = destroy(context, erasure, &destroyed);
    if (result == 0)
        result = mailboxes_close(context, &destroyed);
    if (result != 0)
        return result;
    say(context, &destroyed);
    if (json != NULL)
        (void)json_object_set_new(json, "destroyed", json_pack("{s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "content", destroyed.content, "contact", destroyed.contact, "logged_deliveries", (json_int_t)destroyed.deliveries,
            "sealed_parts", (json_int_t)(destroyed.outgoing + destroyed.incoming), "received_files", (json_int_t)destroyed.received, "acceptances", (json_int_t)destroyed.acceptances, "releases", (json_int_t)destroyed.releases,
            "mailboxes_closed", (json_int_t)destroyed.mailboxes, "mailbox_parts", (json_int_t)destroyed.waited, "mailboxes_to_close", (json_int_t)destroyed.waiting_mailboxes));
    return 0;
}

int erasure_finish(struct context *context)
{
    struct erasure erasure = {.forget = false};
    struct destroyed destroyed = {.contact = false};
    bool there = false;
    int result = note_read(context, &erasure, &there);
    if (result == 0 && !there)
        result = note_remove(context); /* one that is done, if any */
    if (result != 0 || !there)
        return result;
    output_say(&context->output, "A command that was interrupted had begun to %s %s; that is finished now.", erasure.forget ? "forget" : "erase", id_short(erasure.agreement.bytes));
    return destroy(context, &erasure, &destroyed);
}

void erasure_mailboxes(struct context *context)
{
    struct destroyed destroyed = {.contact = false};
    if (context->mailboxes_tried || !own_node(context))
        return;
    context->mailboxes_tried = true;
    if (mailboxes_close(context, &destroyed) == 0)
        mailboxes_say(context, &destroyed);
}
