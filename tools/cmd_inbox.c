/* consent inbox: fetches from the wallet's mailboxes, judges each part, keeps what is not complete, and writes to a folder
   what is. A part is deleted at the node only when it is on disk here or was refused; so a command that is killed at any
   moment loses nothing: what it had taken in twice is known by its name. */
#include "connect.h"
#include "sharing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PARTS_MAX 4096u      /* files of what is not complete */
#define WAIT_S 50u           /* a long poll, where there is one mailbox; several are looked at each second */
#define TELL_EVERY_MS 60000u /* those who could not be told of a change are tried again */
#define EARLY_MS 600000u     /* our node may hear of an agreement later than the sender's */

struct inbox {
    struct opening opening;
    const char *folder;      /* where what arrived goes */
    char received[3200], incoming[3200];
    size_t arrived, refused;
    bool connected;          /* a contact came, so there may be somebody to tell */
    uint64_t tell_ms;        /* when the next look for somebody is due */
};

static int is_part(const struct dirent *entry) { return strstr(entry->d_name, DELIVERY_FILE_END) != NULL; }

/* Half of a file, by a command that was killed; this one has the wallet to itself. */
static int is_left_over(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789abcdef") == 32 && (strncmp(entry->d_name + 32, ".new-", 5) == 0 || strstr(entry->d_name, DELIVERY_FILE_END ".new-") != NULL);
}

static void sweep(const char *folder)
{
    char path[4500];
    struct dirent **names = NULL;
    int count = scandir(folder, &names, is_left_over, NULL);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%.4000s/%.255s", folder, names[i]->d_name);
        (void)unlink(path);
        free(names[i]);
    }
    free(names);
}

/* Of a delivery's parts: the same whenever it arrives, and another for the same id under another agreement. */
static void part_path(const struct inbox *inbox, char out[3400], const struct cl_delivery *delivery, uint32_t number)
{
    uint8_t all[49];
    char hex[33];
    struct cl_hash hash;
    memcpy(all, delivery->agreement.bytes, 32);
    memcpy(all + 32, delivery->id16, 16);
    all[48] = (uint8_t)delivery->from;
    cl_hash_bytes(&hash, all, sizeof all);
    cl_hex_encode(hex, hash.bytes, 16);
    (void)snprintf(out, 3400, "%s/%s-%02u" DELIVERY_FILE_END, inbox->incoming, hex, number + 1);
}

static void parts_remove(const struct inbox *inbox, const struct cl_delivery *delivery)
{
    char path[3400];
    for (uint32_t i = 0; i < delivery->part_count; i++) {
        part_path(inbox, path, delivery, i);
        (void)unlink(path);
    }
}

/* What may be taken a little later: the node does not know the agreement yet, or a side has suspended it. */
static bool may_wait(const struct cl_delivery *delivery, enum cl_status status)
{
    uint64_t now = time_now_ms(), age = now > delivery->sent_ms ? now - delivery->sent_ms : delivery->sent_ms - now;
    return status == CL_E_SUSPENDED || ((status == CL_E_NO_OBJECT || status == CL_E_STATUS || status == CL_E_NOT_ACTIVE) && age < EARLY_MS);
}

static void refuse(struct inbox *inbox, enum cl_status status)
{
    inbox->refused++;
    output_warn(&inbox->opening.context->output, "A delivery is refused and deleted: %s (%s)", cl_status_sentence(status), cl_status_code(status));
}

/* *status: not CL_OK where the part at hand may not be taken. */
static int judge(struct inbox *inbox, enum cl_status *status)
{
    int result = opening_check(&inbox->opening, status);
    return result == 0 && *status == CL_OK ? opening_opened_check(&inbox->opening, &inbox->opening.part.delivery, status) : result;
}

/* What connects the two sides is taken here, and is no file for the user. *taken: false where it is refused. */
static int connect_take(struct inbox *inbox, struct cl_view content, bool *taken)
{
    enum cl_status status = CL_OK;
    int result = connect_contact(&inbox->opening, content, &status);
    *taken = status == CL_OK;
    inbox->connected = inbox->connected || *taken;
    if (result == 0 && status != CL_OK)
        refuse(inbox, status);
    return result;
}

/* All parts are on disk, so that it has arrived: acknowledged (in the outbox), into the folder, remembered, and only then removed. */
static int hand_over(struct inbox *inbox, struct cl_delivery_assembly *assembly)
{
    struct context *context = inbox->opening.context;
    struct cl_delivery delivery = *cl_delivery_assembly_of(assembly);
    struct cl_view content;
    char path[4096], hex[33];
    int result = 0;
    enum cl_status status = cl_delivery_assembly_content(&content, assembly);
    if (status != CL_OK) {
        refuse(inbox, status);
    } else {
        cl_hex_encode(hex, delivery.id16, 16);
        bool connects = cl_delivery_connects(&delivery), file = delivery.kind != CL_DELIVERY_ACKNOWLEDGEMENT && !connects, taken = true;
        if (connects)
            result = connect_take(inbox, content, &taken);
        if ((size_t)snprintf(path, sizeof path, "%s/%s", inbox->folder, hex) >= sizeof path)
            result = output_usage(&context->output, "The folder's name is too long.");
        if (result == 0)
            acknowledge(&inbox->opening, &delivery);
        if (result == 0 && file)
            result = file_write(context, path, content.data, content.length, true);
        if (result == 0)
            result = opening_opened_add(&inbox->opening, &delivery);
        if (result == 0 && taken)
            inbox->arrived++;
        if (result == 0 && !connects) {
            delivery_show(&inbox->opening, &delivery, &content);
            opening_say(&inbox->opening, &delivery, file ? path : NULL);
        }
        (void)fflush(stdout);
    }
    if (result == 0)
        parts_remove(inbox, &delivery);
    if (result == 0 && status == CL_OK)
        acknowledge_send(&inbox->opening);
    return result;
}

/* The part at hand is on disk: are all the others? */
static int complete(struct inbox *inbox)
{
    struct context *context = inbox->opening.context;
    struct cl_delivery delivery = inbox->opening.part.delivery;
    struct cl_delivery_assembly *assembly = NULL;
    char path[3400];
    int result = 0;
    for (uint32_t i = 0; i < delivery.part_count; i++) {
        part_path(inbox, path, &delivery, i);
        if (access(path, F_OK) != 0)
            return 0;
    }
    enum cl_status status = cl_delivery_assembly_new(&assembly);
    for (uint32_t i = 0; i < delivery.part_count && status == CL_OK && result == 0; i++) {
        part_path(inbox, path, &delivery, i);
        inbox->opening.sealed.length = 0;
        result = file_read(context, &inbox->opening.sealed, path, CL_DELIVERY_SEALED_MAX);
        if (result == 0)
            status = opening_open(&inbox->opening);
        if (result == 0 && status == CL_OK)
            result = judge(inbox, &status);
        if (result == 0 && status == CL_OK)
            status = cl_delivery_assembly_add(assembly, &inbox->opening.part);
    }
    if (result == 0 && status == CL_OK) {
        result = hand_over(inbox, assembly);
    } else if (result == 0 && !may_wait(&delivery, status)) {
        refuse(inbox, status);
        parts_remove(inbox, &delivery);
    }
    cl_delivery_assembly_free(assembly);
    return result;
}

static int room_check(struct inbox *inbox)
{
    struct dirent **names = NULL;
    int count = scandir(inbox->incoming, &names, is_part, NULL);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return count < (int)PARTS_MAX ? 0 : output_fail(&inbox->opening.context->output, CL_E_BOUND, "%s holds %u parts of deliveries that are not complete; remove those that you do not expect any more.", inbox->incoming, PARTS_MAX);
}

/* opening.sealed is a part that came, or (path) that was kept before. With 0 it is on disk, handed over, or refused. */
static int take(struct inbox *inbox, const char *path)
{
    struct opening *opening = &inbox->opening;
    char kept[3400];
    int result = 0;
    enum cl_status status = opening_open(opening);
    if (status == CL_OK)
        result = judge(inbox, &status);
    if (result != 0)
        return result;
    bool opened = status == CL_OK || (status != CL_E_DELIVERY_KEY && opening->part.delivery.part_count > 0 && may_wait(&opening->part.delivery, status));
    if (!opened) {
        refuse(inbox, status);
        if (path != NULL)
            (void)unlink(path);
        return 0;
    }
    if (path == NULL) {
        part_path(inbox, kept, &opening->part.delivery, opening->part.number);
        result = room_check(inbox);
        if (result == 0)
            result = file_write(opening->context, kept, opening->sealed.data, opening->sealed.length, true);
    }
    return result == 0 && status == CL_OK ? complete(inbox) : result;
}

/* What was kept before: a suspension may have ended, or the command that fetched the last part was killed. */
static int take_kept(struct inbox *inbox)
{
    struct dirent **names = NULL;
    char path[3600];
    int count = scandir(inbox->incoming, &names, is_part, alphasort), result = 0;
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%.255s", inbox->incoming, names[i]->d_name);
        inbox->opening.sealed.length = 0;
        if (result == 0 && access(path, F_OK) == 0) { /* else it went with its delivery */
            result = file_read(inbox->opening.context, &inbox->opening.sealed, path, CL_DELIVERY_SEALED_MAX);
            if (result == 0)
                result = take(inbox, path);
        }
        free(names[i]);
    }
    free(names);
    return result;
}

static int page_take(struct inbox *inbox, const struct cl_wallet_key *key, const json_t *page)
{
    const json_t *entry, *list = json_object_get(page, "deliveries");
    uint64_t through = 0;
    size_t position;
    int result = 0;
    opening_forget(&inbox->opening); /* the agreements as they are now */
    json_array_foreach(list, position, entry) {
        const char *bytes = json_string_value(json_object_get(entry, "bytes"));
        inbox->opening.sealed.length = 0;
        if (bytes == NULL || cl_base64_get(&inbox->opening.sealed, bytes, strlen(bytes)) != CL_OK)
            result = output_fail(&inbox->opening.context->output, CL_E_FORMAT, "The node's answer has a delivery without bytes.");
        if (result == 0)
            result = take(inbox, NULL);
        if (result != 0)
            break;
        through = (uint64_t)json_integer_value(json_object_get(entry, "number"));
    }
    if (through > 0) {
        int deleted = mailbox_acknowledge(inbox->opening.context, key, through);
        result = result != 0 ? result : deleted;
    }
    return result;
}

/* Everything that one mailbox has now. *more: something came, or the node has more. */
static int mailbox_take(struct inbox *inbox, const struct cl_wallet_key *key, unsigned wait_s)
{
    struct context *context = inbox->opening.context;
    char address[MAILBOX_ADDRESS_SIZE];
    bool gone = false, opened = false, kept = true, more = true;
    int result = 0;
    while (more && result == 0 && !http_interrupted) {
        json_t *page = NULL;
        long again_s = 0;
        if (wait_s > 0)
            wallet_yield(context);
        result = mailbox_fetch(context, key, wait_s, &page, &gone, &again_s);
        if (wait_s > 0 && result == 0)
            result = wallet_resume(context);
        if (result == 0 && page != NULL)
            result = page_take(inbox, key, page);
        more = json_is_true(json_object_get(page, "more"));
        json_decref(page);
        if (result == 0 && gone) {
            result = mailbox_open(context, key, address, &opened, &kept);
            if (result == 0)
                output_warn(&context->output, "The mailbox of '%s' was not at %s%s", key->name, context->node_url, kept ? " and is opened again; if your contact named another node, write a fresh one with 'consent contact'." : ", which keeps none; --node URL names another.");
        }
        if (again_s > 0 && wait_s > 0)
            (void)nanosleep(&(struct timespec){.tv_sec = again_s > 30 ? 30 : again_s}, NULL);
    }
    return result;
}

static int fetch_all(struct inbox *inbox, bool follow)
{
    struct context *context = inbox->opening.context;
    size_t mailboxes = 0;
    for (size_t i = 0; i < context->wallet->key_count; i++)
        mailboxes += mailbox_key(&context->wallet->keys[i]) ? 1 : 0;
    if (mailboxes == 0)
        return output_fail(&context->output, CL_E_NOT_FOUND, "This wallet has no mailbox; 'consent contact AGREEMENT -o FILE' opens one and writes down where it is, for the other side.");
    outbox_flush(context);
    int result = take_kept(inbox);
    for (bool first = true; result == 0 && (first || follow) && !http_interrupted; first = false) {
        for (size_t i = 0; i < context->wallet->key_count && result == 0; i++) {
            struct cl_wallet_key key = context->wallet->keys[i]; /* they move when one is added */
            if (mailbox_key(&key))
                result = mailbox_take(inbox, &key, !first && mailboxes == 1 ? WAIT_S : 0);
        }
        if (result == 0 && (inbox->connected || time_now_ms() >= inbox->tell_ms)) {
            tell_aside(context);
            inbox->connected = false;
            inbox->tell_ms = time_now_ms() + TELL_EVERY_MS;
        }
        if (result == 0 && follow && mailboxes > 1) {
            wallet_yield(context);
            (void)nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
            result = wallet_resume(context);
        }
    }
    if (result == 0 && inbox->arrived == 0 && inbox->refused == 0 && !follow)
        output_say(&context->output, "Nothing has arrived.");
    return result;
}

int run_inbox(struct context *context)
{
    struct inbox inbox = {.opening = {.context = context, .many = true, .opened = {.secret = true}}};
    int result = network_open(context);
    if (result != 0)
        return result;
    inbox.folder = option(context, "--to");
    (void)snprintf(inbox.received, sizeof inbox.received, "%s.received", context->wallet_path);
    (void)snprintf(inbox.incoming, sizeof inbox.incoming, "%s.incoming", context->wallet_path);
    if (inbox.folder == NULL)
        inbox.folder = inbox.received;
    result = folder_make(context, inbox.folder);
    if (result == 0)
        result = folder_make(context, inbox.incoming);
    if (result == 0) {
        sweep(inbox.folder);
        sweep(inbox.incoming);
    }
    if (result == 0)
        result = fetch_all(&inbox, flag(context, "--follow"));
    if (result == 0 && http_interrupted)
        result = output_fail(&context->output, CL_E_CANCELLED, NULL);
    opening_forget(&inbox.opening);
    cl_buffer_deinit(&inbox.opening.sealed);
    cl_buffer_wipe(&inbox.opening.opened);
    return result;
}
