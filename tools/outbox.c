/* Sealed parts on their way to a mailbox. They stay in a folder beside the wallet until the node has taken them, so a node
   that is away, a full mailbox or a killed command loses nothing. The rule is asked again before any is sent. */
#include "delivery_log.h"
#include "mailbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TO_FILE "to"          /* "ADDRESS AGREEMENT SIDE SLOT\n", slot -1: none, -2: it connects the sides; written when all parts are there */
#define CONNECTS (-2)
#define ANSWER_WAIT_S (7u * 86400u) /* what connects waits so long for the answer that it belongs to */
#define TO_BYTES_MAX 512u
#define WAITS "Nothing is lost: the sealed parts wait here, and 'consent deliver --resume' goes on."
#define GONE_FILE "gone"      /* the same while its delivery is removed */

struct letter { char address[MAILBOX_ADDRESS_SIZE]; struct cl_object_id agreement; int side, slot; };

static void outbox_path(const struct context *context, char out[4096]) { (void)snprintf(out, 4096, "%s.outbox", context->wallet_path); }

int outbox_folder(struct context *context, char folder[4096], const uint8_t id16[16])
{
    char hex[33];
    outbox_path(context, folder);
    int result = folder_make(context, folder);
    if (result != 0)
        return result;
    cl_hex_encode(hex, id16, 16);
    (void)snprintf(folder, 4096, "%s.outbox/%s", context->wallet_path, hex);
    return 0;
}

static int is_part(const struct dirent *entry) { return strstr(entry->d_name, DELIVERY_FILE_END) != NULL; }
static int is_delivery(const struct dirent *entry) { return strlen(entry->d_name) == 32; }

static void names_free(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Parts are overwritten: whoever has the words could open them. */
static void folder_remove(const char *folder)
{
    char path[4500], gone[4500];
    struct dirent **names = NULL;
    (void)snprintf(path, sizeof path, "%s/" TO_FILE, folder);
    (void)snprintf(gone, sizeof gone, "%s/" GONE_FILE, folder);
    (void)rename(path, gone); /* from here on it is a delivery that was never sealed, whoever interrupts this */
    (void)cl_file_destroy(gone);
    int count = scandir(folder, &names, is_part, alphasort);
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%.255s", folder, names[i]->d_name);
        (void)cl_file_destroy(path);
    }
    names_free(names, count);
    (void)rmdir(folder);
}

static int letter_read(struct context *context, const char *folder, struct letter *letter)
{
    char path[4500], agreement[65];
    struct cl_buffer file = {0};
    (void)snprintf(path, sizeof path, "%s/" TO_FILE, folder);
    int result = file_read(context, &file, path, TO_BYTES_MAX);
    if (result != 0)
        return result;
    if (cl_buffer_append(&file, "", 1) != CL_OK || sscanf((const char *)file.data, "%97s %64s %d %d", letter->address, agreement, &letter->side, &letter->slot) != 4 ||
        !id_parse(&letter->agreement, agreement) || strchr(letter->address, '/') == NULL || letter->side < 1 || letter->side > 2 || letter->slot < CONNECTS || letter->slot > 63)
        result = output_fail(&context->output, CL_E_FORMAT, "%s is damaged; remove its folder, and deliver again.", path);
    cl_buffer_deinit(&file);
    return result;
}

/* One part, until the node took it, or said what waiting does not help against, or the time is over. */
static int part_send(struct context *context, const char *path, const char *target, uint64_t until_ms)
{
    static const char *const headers[] = {"Content-Type: application/octet-stream", "Accept: application/json", NULL};
    struct cl_buffer sealed = {0};
    int result = file_read(context, &sealed, path, CL_DELIVERY_SEALED_MAX + 1024u);
    while (result == 0) {
        struct http_answer answer;
        result = node_send(context, &answer, "POST", target, headers, sealed.data, sealed.length);
        if (result != 0)
            break;
        if (answer.status == 200 || answer.status == 201) {
            http_answer_deinit(&answer);
            break;
        }
        long again_s = answer.retry_after_s > 0 ? answer.retry_after_s : 1;
        bool busy = answer.status == 429 || answer.status == 503;
        if (!busy || time_now_ms() + (uint64_t)again_s * 1000u > until_ms || http_interrupted)
            result = http_interrupted ? output_fail(&context->output, CL_E_CANCELLED, NULL)
                : answer.status == 404 ? output_fail(&context->output, CL_E_NOT_FOUND, "The other side's mailbox is gone; ask for a fresh contact, give it with --contact, and deliver again.")
                : answer.status == 503 ? output_fail(&context->output, CL_E_IO, "The node that keeps the other side's mailbox cannot be reached now, or has too much to do.") : node_problem(context, &answer);
        http_answer_deinit(&answer);
        if (result == 0)
            (void)nanosleep(&(struct timespec){.tv_sec = again_s}, NULL);
    }
    cl_buffer_deinit(&sealed);
    return result;
}

/* In order; what was taken goes from the folder. */
static int parts_send(struct context *context, const char *folder, const char *address)
{
    char target[400], path[4500];
    struct dirent **names = NULL;
    const char *slash = strchr(address, '/');
    uint64_t until_ms = time_now_ms() + context->timeout_s * 1000u;
    (void)snprintf(target, sizeof target, "/v1/mailboxes/%s/deliveries?node=%.*s", slash + 1, (int)(slash - address), address);
    int count = scandir(folder, &names, is_part, alphasort), result = 0;
    if (count < 0)
        return output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count && result == 0; i++) {
        (void)snprintf(path, sizeof path, "%s/%.255s", folder, names[i]->d_name);
        result = part_send(context, path, target, until_ms);
        if (result == 0)
            (void)unlink(path);
        if (count > 1)
            output_progress(&context->output, "sent", (uint64_t)i + 1, (uint64_t)count);
    }
    output_progress_end(&context->output);
    names_free(names, count);
    return result;
}

/* What connects the sides may be sealed before the answer that it belongs to is on the ledger. */
static bool awaits_answer(const struct letter *letter, const char *folder, enum cl_status status)
{
    char path[4500];
    struct stat about;
    (void)snprintf(path, sizeof path, "%s/" TO_FILE, folder);
    return letter->slot == CONNECTS && (status == CL_E_NO_OBJECT || status == CL_E_PARTY) && stat(path, &about) == 0 && time_now_ms() / 1000 < (uint64_t)about.st_mtime + ANSWER_WAIT_S;
}

/* What may be sent at another time, if not now. */
static bool only_now(enum cl_status status) { return status == CL_E_SUSPENDED || status == CL_E_NOT_YET; }

static enum cl_status may_go(const struct letter *letter, const struct object *object)
{
    enum cl_side side = letter->side == 1 ? CL_SIDE_CUSTOMER : CL_SIDE_ORGANISATION;
    if (object->kind != CL_STATE_AGREEMENT)
        return CL_E_OBJECT_KIND;
    if (letter->slot == CONNECTS)
        return cl_delivery_connecting_check(&object->as.agreement, side, time_now_ms());
    return cl_delivery_check(&object->as.agreement, side, letter->slot >= 0, letter->slot < 0 ? 0 : (uint8_t)letter->slot, time_now_ms());
}

int outbox_send(struct context *context, const char *folder)
{
    struct letter letter = {.side = 0};
    struct object object = {0};
    uint8_t id16[16];
    int result = letter_read(context, folder, &letter);
    if (result != 0)
        return result;
    result = object_fetch(context, &object, &letter.agreement, letter.slot != CONNECTS);
    if (result != 0 && (result != 3 || letter.slot != CONNECTS)) {
        output_warn(&context->output, WAITS);
        return result;
    }
    enum cl_status status = result == 3 ? CL_E_NO_OBJECT : may_go(&letter, &object);
    object_deinit(&object);
    if (status != CL_OK && awaits_answer(&letter, folder, status))
        return output_fail(&context->output, status, "It is sent once the answer under %s is on the ledger: 'consent deliver --resume', or the next 'consent inbox'.", id_short(letter.agreement.bytes));
    if (only_now(status))
        return output_fail(&context->output, status, "What waits to be sent under %s may not be sent now. It stays here, sealed, and is sent once it may be: by 'consent deliver --resume', or the next 'consent inbox'.", id_short(letter.agreement.bytes));
    if (status != CL_OK) {
        folder_remove(folder);
        return output_fail(&context->output, status, "What waited to be sent under %s is not sent any more, and removed here: no active slot, no delivery.", id_short(letter.agreement.bytes));
    }
    result = parts_send(context, folder, letter.address);
    if (result == 0 && cl_hex_decode(id16, sizeof id16, folder + strlen(folder) - 32))
        result = delivery_log_handed_over(context, &letter.agreement, id16);
    if (result == 0 || result == 3)
        folder_remove(folder);
    else
        output_warn(&context->output, WAITS);
    return result;
}

int outbox_keep(struct context *context, const char *folder, const char *address, const struct cl_delivery *delivery)
{
    char path[4500], text[TO_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/" TO_FILE, folder);
    (void)snprintf(text, sizeof text, "%s %s %d %d\n", address, id_text(delivery->agreement.bytes), delivery->from == CL_SIDE_CUSTOMER ? 1 : 2, delivery->has_slot ? delivery->slot : cl_delivery_connects(delivery) ? CONNECTS : -1);
    return file_write(context, path, text, strlen(text), true);
}

int outbox_begin(struct context *context, const char *folder, const char *address, const struct cl_delivery *delivery)
{
    int result = outbox_keep(context, folder, address, delivery);
    return result == 0 ? outbox_send(context, folder) : result;
}

/* Returns: the first failure's exit status. */
static int send_all(struct context *context, int *waited, int *sent)
{
    char outbox[4096], folder[4400], to[4500];
    struct dirent **names = NULL;
    int first = 0;
    outbox_path(context, outbox);
    int count = scandir(outbox, &names, is_delivery, alphasort);
    if (count < 0)
        count = 0;
    for (int i = 0; i < count && !http_interrupted; i++) {
        (void)snprintf(folder, sizeof folder, "%s/%.32s", outbox, names[i]->d_name);
        (void)snprintf(to, sizeof to, "%s/" TO_FILE, folder);
        if (access(to, F_OK) != 0) { /* its sealing did not end, and nothing of it was sent */
            folder_remove(folder);
            output_warn(&context->output, "A delivery was interrupted before it was sealed; deliver it again.");
            continue;
        }
        int result = outbox_send(context, folder);
        *sent += result == 0 ? 1 : 0;
        first = first == 0 ? result : first;
    }
    names_free(names, count);
    *waited = count;
    return first;
}

int outbox_resume(struct context *context)
{
    int count = 0, sent = 0, first = send_all(context, &count, &sent);
    if (first == 0)
        output_line(&context->output, count == 0 ? "nothing waits to be sent" : "sent: %d", sent);
    output_json(&context->output, json_pack("{s:i, s:i}", "sent", sent, "waited", count));
    return first;
}

void outbox_flush(struct context *context)
{
    int count = 0, sent = 0;
    bool soft = context->output.soft;
    context->output.soft = true;
    (void)send_all(context, &count, &sent);
    context->output.soft = soft;
    if (sent > 0)
        output_say(&context->output, "Sent what had waited here: %d %s.", sent, sent == 1 ? "delivery" : "deliveries");
}

int outbox_destroy(struct context *context, const struct cl_object_id *agreement, size_t *parts)
{
    char outbox[4096], folder[4400], to[4500];
    struct dirent **names = NULL;
    int result = 0;
    outbox_path(context, outbox);
    int count = scandir(outbox, &names, is_delivery, NULL);
    for (int i = 0; i < count && result == 0; i++) {
        struct letter letter = {.side = 0};
        struct dirent **inside = NULL;
        (void)snprintf(folder, sizeof folder, "%s/%.32s", outbox, names[i]->d_name);
        (void)snprintf(to, sizeof to, "%s/" TO_FILE, folder);
        bool sealed = access(to, F_OK) == 0; /* else nobody knows any more whose it was, and nobody sends it */
        if (sealed)
            result = letter_read(context, folder, &letter);
        if (result != 0 || (sealed && memcmp(letter.agreement.bytes, agreement->bytes, 32) != 0))
            continue;
        int waiting = scandir(folder, &inside, is_part, NULL);
        names_free(inside, waiting);
        *parts += waiting > 0 ? (size_t)waiting : 0;
        folder_remove(folder);
    }
    names_free(names, count);
    if (result == 0 && count > 0 && !cl_directory_sync(outbox))
        result = output_fail(&context->output, CL_E_IO, "%s: %s", outbox, strerror(errno));
    return result;
}
