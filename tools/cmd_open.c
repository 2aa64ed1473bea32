/* consent open: sealed parts in, what they hold out. The parts stay as they are, so that one which comes late completes a
   delivery; what was opened is remembered beside the wallet, so that nobody makes it arrive twice. */
#include "deliveries.h"
#include "discover.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 4096u
#define OTHERS_MAX 8u

struct opening {
    struct context *context;
    struct cl_buffer sealed, opened; /* of the part at hand */
    struct cl_delivery_part part;
    size_t key;                      /* of the wallet: opened the last part, and is tried first */
    uint8_t wanted16[16];
    bool one_wanted;
    bool known;                      /* subject and other are of the delivery that is assembled */
    struct subject subject;
    struct delivery_party other;
    struct cl_delivery_assembly *assembly;
    char journal[4096];
    size_t other_count;              /* deliveries that the folder has besides */
    char others[OTHERS_MAX][33];
    enum cl_status first_refusal;
};

/* A sealed box does not say whose it is: every key of the wallet may be the one, the last that fitted first. */
static enum cl_status part_open(struct opening *opening)
{
    struct cl_wallet *wallet = opening->context->wallet;
    enum cl_status status = CL_E_DELIVERY_KEY;
    uint8_t secret[32], delivery[32];
    for (size_t i = 0; i < wallet->key_count && status == CL_E_DELIVERY_KEY; i++) {
        size_t at = (opening->key + i) % wallet->key_count;
        status = cl_wallet_key_secret(secret, wallet, &wallet->keys[at]);
        if (status != CL_OK)
            break;
        cl_delivery_secret_of(delivery, secret);
        status = cl_delivery_open(&opening->opened, &opening->part, opening->sealed.data, opening->sealed.length, delivery);
        if (status != CL_E_DELIVERY_KEY)
            opening->key = at;
    }
    cl_wipe_bytes(secret, sizeof secret);
    cl_wipe_bytes(delivery, sizeof delivery);
    return status;
}

/* The file's name tells nothing: it follows from the key that opened the part and from the agreement. */
static enum cl_status journal_name(struct opening *opening)
{
    struct context *context = opening->context;
    uint8_t both[64];
    struct cl_hash hash;
    char hex[65];
    enum cl_status status = cl_wallet_key_secret(both, context->wallet, &context->wallet->keys[opening->key]);
    memcpy(both + 32, opening->subject.object.id.bytes, 32);
    cl_hash_bytes(&hash, both, sizeof both);
    cl_wipe_bytes(both, sizeof both);
    cl_hex_encode(hex, hash.bytes, 32);
    (void)snprintf(opening->journal, sizeof opening->journal, "%s.opened-%.16s", context->wallet_path, hex);
    return status;
}

static void subject_forget(struct opening *opening)
{
    if (opening->known) {
        subject_close(&opening->subject);
        delivery_party_close(&opening->other);
        opening->known = false;
    }
}

/* The agreement that the part names, as the node has it now. Returns: the exit status where the node did not answer; *status:
   that it is no agreement of ours. */
static int subject_learn(struct opening *opening, enum cl_status *status)
{
    struct context *context = opening->context;
    const struct cl_object_id *id = &opening->part.delivery.agreement;
    if (opening->known && memcmp(opening->subject.object.id.bytes, id->bytes, 32) == 0)
        return 0;
    subject_forget(opening);
    opening->subject = (struct subject){.side = CL_SIDE_NONE};
    int result = object_fetch(context, &opening->subject.object, id, false);
    if (result != 0) {
        *status = CL_E_NO_OBJECT;
        return result == 3 ? 0 : result;
    }
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    if (item != NULL)
        (void)snprintf(opening->subject.item_name, sizeof opening->subject.item_name, "%s", item->name);
    opening->subject.side = item != NULL && item->role != CL_SIDE_NONE ? item->role : side_by_keys(context, &opening->subject.object);
    *status = opening->subject.object.kind != CL_STATE_AGREEMENT ? CL_E_OBJECT_KIND : opening->subject.side == CL_SIDE_NONE ? CL_E_PARTY : CL_OK;
    if (*status == CL_OK)
        result = delivery_party_open(context, &opening->other, subject_party(&opening->subject, other_of(opening->subject.side)));
    if (*status != CL_OK || result != 0)
        subject_close(&opening->subject);
    opening->known = *status == CL_OK && result == 0;
    return result;
}

static void others_add(struct opening *opening, const uint8_t id16[16])
{
    char hex[33];
    cl_hex_encode(hex, id16, 16);
    for (size_t i = 0; i < opening->other_count; i++)
        if (strcmp(opening->others[i], hex) == 0)
            return;
    if (opening->other_count < OTHERS_MAX)
        memcpy(opening->others[opening->other_count++], hex, sizeof hex);
}

/* One file. Returns: an exit status that ends all; *status: why this part is not taken. */
static int part_take(struct opening *opening, const char *path, enum cl_status *status)
{
    struct context *context = opening->context;
    const struct cl_delivery *delivery = &opening->part.delivery, *begun = cl_delivery_assembly_of(opening->assembly);
    opening->sealed.length = 0;
    *status = cl_file_read(&opening->sealed, path, CL_DELIVERY_SEALED_MAX);
    if (*status == CL_E_BOUND)
        *status = CL_E_FORMAT;
    if (*status == CL_OK)
        *status = part_open(opening);
    if (*status != CL_OK)
        return 0;
    if ((opening->one_wanted && memcmp(delivery->id16, opening->wanted16, 16) != 0) || (begun != NULL && memcmp(delivery->id16, begun->id16, 16) != 0)) {
        others_add(opening, delivery->id16);
        return 0;
    }
    if (memcmp(delivery->network.bytes, context->wallet->network.id.bytes, 32) != 0) {
        *status = CL_E_NETWORK;
        return 0;
    }
    if (begun != NULL && memcmp(delivery->agreement.bytes, begun->agreement.bytes, 32) != 0) {
        *status = CL_E_DELIVERY_PARTS;
        return 0;
    }
    int result = subject_learn(opening, status);
    if (result != 0 || *status != CL_OK)
        return result;
    *status = cl_delivery_part_check(&opening->part, &context->wallet->network.id, &opening->subject.object.id, &opening->subject.object.as.agreement, opening->subject.side, &opening->other.signers, time_now_ms());
    if (*status == CL_OK && begun == NULL)
        *status = journal_name(opening);
    if (*status == CL_OK)
        *status = cl_delivery_assembly_add(opening->assembly, &opening->part);
    return 0;
}

static int wanted(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name), end = sizeof DELIVERY_FILE_END - 1;
    return entry->d_name[0] != '.' && length > end && strcmp(entry->d_name + length - end, DELIVERY_FILE_END) == 0;
}

/* A part that is refused does not keep the others from being opened. */
static int part_of_folder(struct opening *opening, const char *folder, const char *name)
{
    char path[4096];
    enum cl_status status = CL_OK;
    (void)snprintf(path, sizeof path, "%.3500s/%.500s", folder, name);
    int result = part_take(opening, path, &status);
    if (result == 0 && status != CL_OK) {
        output_warn(&opening->context->output, "%s is left out: %s (%s)", output_printable(name, strlen(name)), cl_status_sentence(status), cl_status_code(status));
        if (opening->first_refusal == CL_OK)
            opening->first_refusal = status;
    }
    return result;
}

static int folder_take(struct opening *opening, const char *folder)
{
    struct context *context = opening->context;
    struct dirent **names = NULL;
    int count = scandir(folder, &names, wanted, alphasort), result = 0;
    if (count < 0)
        return output_fail(&context->output, CL_E_IO, "%s: %s", folder, strerror(errno));
    if ((unsigned)count > FILES_MAX)
        result = output_fail(&context->output, CL_E_BOUND, "%s has more than %u parts; move those of one delivery to a folder of their own.", folder, FILES_MAX);
    else if (count == 0)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "%s has no files *" DELIVERY_FILE_END ".", folder);
    for (int i = 0; i < count; i++) {
        if (result == 0)
            result = part_of_folder(opening, folder, names[i]->d_name);
        if (result == 0 && count > 1)
            output_progress(&context->output, "opened", (uint64_t)i + 1, (uint64_t)count);
        free(names[i]);
    }
    free(names);
    output_progress_end(&context->output);
    if (result == 0 && cl_delivery_assembly_of(opening->assembly) == NULL)
        result = opening->first_refusal != CL_OK ? output_fail(&context->output, opening->first_refusal, "Nothing was opened.") : output_fail(&context->output, CL_E_NOT_FOUND, "There are no parts of that delivery.");
    if (result == 0 && opening->other_count > 0 && !opening->one_wanted) {
        char id[33];
        cl_hex_encode(id, cl_delivery_assembly_of(opening->assembly)->id16, 16);
        result = output_usage(&context->output, "The folder has parts of several deliveries; say which with --delivery: %s, %s%s", id, opening->others[0], opening->other_count > 1 ? ", …" : "");
    }
    return result;
}

static int file_take(struct opening *opening, const char *path)
{
    enum cl_status status = CL_OK;
    int result = part_take(opening, path, &status);
    if (result == 0 && status != CL_OK)
        result = output_fail(&opening->context->output, status, "%s: nothing was opened.%s", path, status == CL_E_IO ? strerror(errno) : "");
    if (result == 0 && cl_delivery_assembly_of(opening->assembly) == NULL)
        result = output_fail(&opening->context->output, CL_E_NOT_FOUND, "It is a part of delivery %s.", opening->others[0]);
    return result;
}

/* ---- handing it over */

static int journal_read(struct opening *opening, struct cl_opened *opened)
{
    struct cl_buffer file = {0};
    struct context *context = opening->context;
    memset(opened, 0, sizeof *opened);
    if (access(opening->journal, F_OK) != 0 && errno == ENOENT)
        return 0;
    int result = file_read(context, &file, opening->journal, CL_OPENED_BYTES_MAX);
    if (result == 0) {
        enum cl_status status = cl_opened_decode(opened, file.data, file.length);
        if (status != CL_OK)
            result = output_fail(&context->output, status, "%s, where it is kept what was opened, is damaged; without it a delivery could arrive twice. Put it back from a backup, or remove it if you take that upon you.", opening->journal);
    }
    cl_buffer_deinit(&file);
    return result;
}

static int journal_write(struct opening *opening, struct cl_opened *opened, const struct cl_delivery *delivery)
{
    struct cl_buffer file = {0};
    cl_opened_add(opened, delivery);
    enum cl_status status = cl_opened_encode(&file, opened);
    int result = status == CL_OK ? file_write(opening->context, opening->journal, file.data, file.length, true) : output_fail(&opening->context->output, status, NULL);
    cl_buffer_deinit(&file);
    return result;
}

static void say(struct opening *opening, const struct cl_delivery *delivery, const char *path)
{
    struct context *context = opening->context;
    const struct subject *subject = &opening->subject;
    const char *name = subject->item_name[0] != '\0' ? subject->item_name : id_short(subject->object.id.bytes);
    char id[33], about[33], when[TIME_TEXT_SIZE];
    bool acknowledges = delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT;
    cl_hex_encode(id, delivery->id16, 16);
    cl_hex_encode(about, delivery->acknowledges16, 16);
    time_text(when, delivery->sent_ms / 1000u);
    void (*line)(const struct output *, const char *, ...) = path != NULL || acknowledges ? output_line : output_say;
    if (acknowledges)
        line(&context->output, "The other side of '%s' has delivery %s, it says (%s)", name, about, when);
    else
        line(&context->output, "%s under '%s', %s: %llu bytes of %s, sent %s", cl_delivery_kind_name(delivery->kind), name, delivery_slot_text(subject_item(context, subject), &subject->object.as.agreement, delivery->has_slot, delivery->slot), (unsigned long long)delivery->length, delivery->media_type, when);
    line(&context->output, "delivery %s%s%s", id, path != NULL ? " is in " : "", path != NULL ? path : "");
    output_json(&context->output, json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:i, s:o, s:o, s:o}", "delivery", id, "agreement", id_text(subject->object.id.bytes), "kind", cl_delivery_kind_name(delivery->kind), "media_type", delivery->media_type, "bytes", (json_int_t)delivery->length, "sent_ms", (json_int_t)delivery->sent_ms,
        "parts", (int)delivery->part_count, "slot", delivery->has_slot ? json_integer(delivery->slot) : json_null(), "acknowledges", acknowledges ? json_string(about) : json_null(), "file", path != NULL ? json_string(path) : json_null()));
}

static int hand_over(struct opening *opening, const char *path)
{
    struct context *context = opening->context;
    const struct cl_delivery *delivery = cl_delivery_assembly_of(opening->assembly);
    struct cl_opened *opened = malloc(sizeof *opened);
    struct cl_view content;
    uint32_t first = 0, missing = cl_delivery_assembly_missing(opening->assembly, &first);
    bool acknowledges = delivery->kind == CL_DELIVERY_ACKNOWLEDGEMENT, to_file = path != NULL && strcmp(path, "-") != 0;
    if (opened == NULL)
        return output_fail(&context->output, CL_E_MEMORY, NULL);
    int result = journal_read(opening, opened);
    enum cl_status status = cl_opened_check(opened, delivery);
    if (result == 0 && status != CL_OK && !flag(context, "--again"))
        result = output_fail(&context->output, status, "If it was you, and you want it once more, say --again.");
    if (result == 0 && missing > 0)
        result = output_fail(&context->output, CL_E_PENDING, "%u of %u parts are missing (part %u first). Put them beside the others, then open the folder again.", missing, delivery->part_count, first + 1);
    status = result == 0 ? cl_delivery_assembly_content(&content, opening->assembly) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0 && !acknowledges && !to_file && (context->output.json || isatty(STDOUT_FILENO) == 1))
        result = output_usage(&context->output, "Where to? Give a file with -o; what others send is not shown on a terminal.");
    if (result == 0 && !acknowledges)
        result = file_write(context, to_file ? path : "-", content.data, content.length, true);
    if (result == 0)
        result = journal_write(opening, opened, delivery);
    if (result == 0)
        say(opening, delivery, to_file && !acknowledges ? path : NULL);
    free(opened);
    return result;
}

int run_open(struct context *context)
{
    struct opening opening = {.context = context, .opened = {.secret = true}};
    const char *path = positional(context, 0), *id = option(context, "--delivery");
    struct stat about;
    if (path == NULL)
        return output_usage(&context->output, "Which file or folder?");
    opening.one_wanted = id != NULL;
    if (id != NULL && !cl_hex_decode(opening.wanted16, 16, id))
        return output_usage(&context->output, "A delivery's id has 32 digits.");
    int result = network_open(context);
    if (result != 0)
        return result;
    enum cl_status status = cl_delivery_assembly_new(&opening.assembly);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    result = stat(path, &about) == 0 && S_ISDIR(about.st_mode) ? folder_take(&opening, path) : file_take(&opening, path);
    if (result == 0)
        result = hand_over(&opening, option(context, "--output"));
    subject_forget(&opening);
    cl_delivery_assembly_free(opening.assembly);
    cl_buffer_deinit(&opening.sealed);
    cl_buffer_wipe(&opening.opened);
    return result;
}
