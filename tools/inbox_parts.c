/* Sealed parts on their way into the inbox: judged, kept until all of a delivery are there, handed over. What is not complete is
   bounded, for each agreement too: no side takes the room of another. */
#include "inbox.h"
#include "proposals.h"
#include "source.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PARTS_MAX 4096u                             /* files of what is not complete */
#define SHARE_PARTS_MAX (2u * CL_DELIVERY_PARTS_MAX) /* of one agreement: two of the largest deliveries */
#define EARLY_MS 600000u                            /* our node may hear of an agreement later than the sender's */
#define ROTATED_MS 60000u                           /* or that a side has a new key */
/* PREFIX-HASH-NN.consent-delivery: the prefix is the agreement's, and tells nobody without the words whose it is; zeros, one for all,
   where it is not known to be ours yet: then the last digits of the hash say by which mailbox the part came */
#define PREFIX_LENGTH 16u
#define DELIVERY_LENGTH (PREFIX_LENGTH + 1u + 32u)
#define STRANGERS "0000000000000000"

static bool name_shaped(const char *name)
{
    return strspn(name, "0123456789abcdef-") == DELIVERY_LENGTH + 3 && name[PREFIX_LENGTH] == '-' && name[DELIVERY_LENGTH] == '-';
}

static int is_part(const struct dirent *entry)
{
    return name_shaped(entry->d_name) && strcmp(entry->d_name + DELIVERY_LENGTH + 3, DELIVERY_FILE_END) == 0;
}

/* Half of a file, by a command that was killed; this one has the wallet to itself. */
static int is_left_over(const struct dirent *entry)
{
    const char *name = entry->d_name;
    bool of_part = name_shaped(name) && strncmp(name + DELIVERY_LENGTH + 3, DELIVERY_FILE_END ".new-", sizeof DELIVERY_FILE_END + 4) == 0;
    return of_part || (strspn(name, "0123456789abcdef") == 32 && strncmp(name + 32, ".new-", 5) == 0);
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

int inbox_folders(struct inbox *inbox)
{
    struct context *context = inbox->opening.context;
    (void)snprintf(inbox->received, sizeof inbox->received, "%s.received", context->wallet_path);
    (void)snprintf(inbox->incoming, sizeof inbox->incoming, "%s.incoming", context->wallet_path);
    if (inbox->folder == NULL)
        inbox->folder = inbox->received;
    int result = folder_make(context, inbox->folder);
    if (result == 0)
        result = folder_make(context, inbox->incoming);
    if (result == 0) {
        sweep(inbox->folder);
        sweep(inbox->incoming);
    }
    return result;
}

static void prefix_of(const struct inbox *inbox, char out[PREFIX_LENGTH + 1], const struct cl_object_id *agreement)
{
    uint8_t name16[16];
    cl_store_name(name16, inbox->opening.context->store, "incoming", agreement);
    cl_hex_encode(out, name16, PREFIX_LENGTH / 2);
}

static void digits_of(char out[sizeof ((struct inbox *)0)->came_by], const struct cl_wallet_key *mailbox)
{
    struct cl_hash hash;
    cl_hash_bytes(&hash, mailbox->key.bytes, 33);
    cl_hex_encode(out, hash.bytes, 4);
}

/* Whether the part at hand, whose agreement is known, came by a mailbox of that: else whoever is the other side of two agreements
   could try whether both are one wallet's. */
static bool came_right(const struct inbox *inbox)
{
    const struct cl_wallet *wallet = inbox->opening.context->wallet;
    char digits[sizeof inbox->came_by];
    for (size_t i = 0; i < wallet->key_count; i++) {
        digits_of(digits, &wallet->keys[i]);
        if (mailbox_key(&wallet->keys[i]) && strcmp(digits, inbox->came_by) == 0 && opening_key_fits(&inbox->opening, &wallet->keys[i]))
            return true;
    }
    return false;
}

/* Of a delivery's parts: the same whenever it arrives, and another for the same id under another agreement. */
static void part_path(const struct inbox *inbox, char out[3400], const struct cl_delivery *delivery, uint32_t number, bool ours)
{
    uint8_t all[49];
    char hex[33], prefix[PREFIX_LENGTH + 1] = STRANGERS;
    struct cl_hash hash;
    memcpy(all, delivery->agreement.bytes, 32);
    memcpy(all + 32, delivery->id16, 16);
    all[48] = (uint8_t)delivery->from;
    cl_hash_bytes(&hash, all, sizeof all);
    cl_hex_encode(hex, hash.bytes, 16);
    if (ours)
        prefix_of(inbox, prefix, &delivery->agreement);
    else
        memcpy(hex + 32 - strlen(inbox->came_by), inbox->came_by, strlen(inbox->came_by));
    (void)snprintf(out, 3400, "%s/%s-%s-%02u" DELIVERY_FILE_END, inbox->incoming, prefix, hex, number + 1);
}

static void parts_remove(const struct inbox *inbox, const struct cl_delivery *delivery)
{
    char path[3400];
    for (uint32_t i = 0; i < delivery->part_count; i++) {
        part_path(inbox, path, delivery, i, true);
        (void)unlink(path);
    }
}

/* What may be taken a little later: the node does not know the agreement or the sender's new key yet, the sender's clock is ahead,
   or a side has suspended it. */
static bool may_wait(const struct cl_delivery *delivery, enum cl_status status)
{
    uint64_t now = time_now_ms(), age = now > delivery->sent_ms ? now - delivery->sent_ms : delivery->sent_ms - now;
    if (status == CL_E_DELIVERY_SENDER)
        return age < ROTATED_MS;
    return status == CL_E_SUSPENDED || ((status == CL_E_TIME_AHEAD || status == CL_E_NO_OBJECT || status == CL_E_STATUS || status == CL_E_NOT_ACTIVE || status == CL_E_PENDING) && age < EARLY_MS);
}

void inbox_refusals_say(struct inbox *inbox)
{
    if (inbox->same_refusals > 0)
        output_warn(&inbox->opening.context->output, "And %zu more for the same reason.", inbox->same_refusals);
    inbox->last_refusal = CL_OK;
    inbox->same_refusals = 0;
}

static void refuse(struct inbox *inbox, enum cl_status status)
{
    inbox->refused++;
    if (status == inbox->last_refusal) { /* whoever floods a mailbox does not flood the terminal */
        inbox->same_refusals++;
        return;
    }
    inbox_refusals_say(inbox);
    inbox->last_refusal = status;
    output_warn(&inbox->opening.context->output, "A delivery is refused and deleted: %s (%s)", cl_status_sentence(status), cl_status_code(status));
}

/* *status: not CL_OK where the part at hand may not be taken. */
static int judge(struct inbox *inbox, enum cl_status *status)
{
    int result = opening_check(&inbox->opening, status);
    return result == 0 && *status == CL_OK ? opening_opened_check(&inbox->opening, &inbox->opening.part.delivery, status) : result;
}

/* What connects the two sides is taken here, and is no file for the user. *status: why it is not taken. */
static int connect_take(struct inbox *inbox, const struct cl_delivery *delivery, struct cl_view content, enum cl_status *status)
{
    if (strcmp(delivery->media_type, CL_MEDIA_TYPE_CONTACT) == 0) {
        inbox->connected = true;
        return connect_contact(&inbox->opening, content, status);
    }
    if (strcmp(delivery->media_type, CL_MEDIA_TYPE_BODY) == 0)
        return proposal_take(&inbox->opening, content, status);
    return in_return_take(&inbox->opening, content, inbox->folder, status);
}

/* The file of what arrived: its id, which is the sender's to choose; where that names something else already, with the
   agreement behind it. What was written before a command was killed is written again. */
static bool arrived_path(const struct inbox *inbox, char *out, size_t size, const struct cl_delivery *delivery, struct cl_view content)
{
    char hex[33];
    struct cl_buffer there = {.secret = true};
    cl_hex_encode(hex, delivery->id16, 16);
    bool fits = (size_t)snprintf(out, size, "%s/%s", inbox->folder, hex) < size;
    enum cl_status status = fits ? cl_file_read(&there, out, CL_DELIVERY_BYTES_MAX) : CL_E_NOT_FOUND;
    if (status != CL_E_NOT_FOUND && (status != CL_OK || there.length != content.length || (content.length > 0 && memcmp(there.data, content.data, content.length) != 0)))
        fits = (size_t)snprintf(out, size, "%s/%s-%.8s", inbox->folder, hex, id_text(delivery->agreement.bytes)) < size;
    cl_buffer_wipe(&there);
    return fits;
}

/* All parts are on disk, so that it has arrived: acknowledged (in the outbox), into the folder, remembered, and only then removed. */
static int hand_over(struct inbox *inbox, struct cl_delivery_assembly *assembly)
{
    struct context *context = inbox->opening.context;
    struct cl_delivery delivery = *cl_delivery_assembly_of(assembly);
    struct cl_view content;
    char path[4096];
    int result = 0;
    enum cl_status status = cl_delivery_assembly_content(&content, assembly);
    if (status != CL_OK) {
        refuse(inbox, status);
    } else {
        bool connects = cl_delivery_connects(&delivery), releases = source_release_is(&delivery), file = delivery.kind != CL_DELIVERY_ACKNOWLEDGEMENT && !connects && !releases;
        if (connects)
            result = connect_take(inbox, &delivery, content, &status);
        else if (releases)
            result = source_release_arrived(&inbox->opening, content, &status);
        if (result == 0 && may_wait(&delivery, status))
            return 0; /* the parts stay */
        if (result == 0 && status != CL_OK)
            refuse(inbox, status);
        if (result == 0 && file && !arrived_path(inbox, path, sizeof path, &delivery, content))
            result = output_usage(&context->output, "The folder's name is too long.");
        if (result == 0 && status == CL_OK) /* but for what connects: the answer to a contact is a contact */
            acknowledge(&inbox->opening, &delivery);
        if (result == 0 && file)
            result = file_write(context, path, content.data, content.length, true);
        if (result == 0)
            result = opening_opened_add(&inbox->opening, &delivery);
        if (result == 0 && status == CL_OK)
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
        part_path(inbox, path, &delivery, i, true);
        if (access(path, F_OK) != 0)
            return 0;
    }
    enum cl_status status = cl_delivery_assembly_new(&assembly);
    for (uint32_t i = 0; i < delivery.part_count && status == CL_OK && result == 0; i++) {
        part_path(inbox, path, &delivery, i, true);
        inbox->opening.sealed.length = 0;
        result = file_read(context, &inbox->opening.sealed, path, CL_DELIVERY_SEALED_MAX);
        if (result == 0)
            status = opening_open(&inbox->opening);
        if (result == 0 && status == CL_OK)
            result = judge(inbox, &status);
        if (result == 0 && status == CL_OK)
            status = cl_delivery_assembly_add(assembly, &inbox->opening.part);
    }
    if (result == 0 && status == CL_E_MEMORY) { /* says nothing of the parts, which stay */
        result = output_fail(&context->output, status, NULL);
    } else if (result == 0 && status == CL_OK) {
        result = hand_over(inbox, assembly);
    } else if (result == 0 && !may_wait(&delivery, status)) {
        refuse(inbox, status);
        parts_remove(inbox, &delivery);
    }
    cl_delivery_assembly_free(assembly);
    return result;
}

/* ---- room */

static bool same_delivery(const char *a, const char *b) { return strncmp(a, b, DELIVERY_LENGTH) == 0; }
static bool same_agreement(const char *a, const char *b) { return strncmp(a, b, PREFIX_LENGTH) == 0; }

/* Of names, sorted, the agreement with the most parts, `kept` not counted. NULL: none. */
static const char *largest(struct dirent **names, int count, const char *kept)
{
    const char *found = NULL;
    size_t most = 0;
    for (int i = 0; i < count;) {
        const char *first = names[i]->d_name;
        size_t parts = 0;
        for (; i < count && same_agreement(names[i]->d_name, first); i++)
            parts += same_delivery(names[i]->d_name, kept) ? 0 : 1;
        if (parts > most) {
            most = parts;
            found = first;
        }
    }
    return found;
}

/* The one to go, of the agreement that `name` is of: that which grew last the longest ago, and not `kept` itself. NULL: none. */
static const char *stalest(const struct inbox *inbox, struct dirent **names, int count, const char *name, const char *kept)
{
    char path[3600];
    const char *found = NULL;
    uint64_t found_ns = UINT64_MAX;
    for (int i = 0; i < count;) { /* sorted: the parts of one delivery follow each other */
        const char *first = names[i]->d_name;
        uint64_t grew_ns = 0;
        for (; i < count && same_delivery(names[i]->d_name, first); i++) {
            struct stat about = {0};
            (void)snprintf(path, sizeof path, "%s/%.255s", inbox->incoming, names[i]->d_name);
            if (stat(path, &about) == 0 && (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec > grew_ns)
                grew_ns = (uint64_t)about.st_mtim.tv_sec * 1000000000u + (uint64_t)about.st_mtim.tv_nsec;
        }
        if (same_agreement(first, name) && !same_delivery(first, kept) && grew_ns < found_ns) {
            found = first;
            found_ns = grew_ns;
        }
    }
    return found;
}

/* For one more part, called name. At the bound of its agreement the delivery of that agreement that did not grow for longest
   goes; at the bound of all, one of the agreement that has the most. */
static void make_room(struct inbox *inbox, const char *name)
{
    struct dirent **names = NULL;
    char path[3600];
    int count = scandir(inbox->incoming, &names, is_part, alphasort);
    unsigned own = 0;
    for (int i = 0; i < count; i++)
        own += same_agreement(names[i]->d_name, name) ? 1 : 0;
    const char *of = own >= SHARE_PARTS_MAX ? name : count >= (int)PARTS_MAX ? largest(names, count, name) : NULL;
    const char *gone = of == NULL ? NULL : stalest(inbox, names, count, of, name);
    for (int i = 0; gone != NULL && i < count; i++)
        if (same_delivery(names[i]->d_name, gone)) {
            (void)snprintf(path, sizeof path, "%s/%.255s", inbox->incoming, names[i]->d_name);
            (void)unlink(path);
        }
    if (gone != NULL)
        output_warn(&inbox->opening.context->output, "A delivery that never became complete is dropped, to make room for another one%s: at most %u parts of one agreement wait here. Its sender has to deliver it again.", of == name ? " of the same agreement" : "", SHARE_PARTS_MAX);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* path: where the part at hand lies; NULL: it came just now. came_by: "" where it is known to be right. */
static int part_take(struct inbox *inbox, const char *path)
{
    struct opening *opening = &inbox->opening;
    char kept[3400];
    int result = 0;
    enum cl_status status = opening_open(opening);
    if (status == CL_OK)
        result = judge(inbox, &status);
    if (result == 0 && status == CL_E_MEMORY)
        result = output_fail(&opening->context->output, status, NULL);
    if (result != 0)
        return result;
    if ((status == CL_OK || status == CL_E_SUSPENDED) && inbox->came_by[0] != '\0' && !came_right(inbox))
        status = CL_E_DELIVERY_AGREEMENT;
    bool opened = status == CL_OK || (status != CL_E_DELIVERY_KEY && opening->part.delivery.part_count > 0 && may_wait(&opening->part.delivery, status));
    if (!opened) {
        refuse(inbox, status);
        if (path != NULL)
            (void)unlink(path);
        return 0;
    }
    part_path(inbox, kept, &opening->part.delivery, opening->part.number, status == CL_OK || status == CL_E_SUSPENDED || inbox->came_by[0] == '\0');
    if (path == NULL || strcmp(path, kept) != 0) { /* new, or known to be ours by now */
        make_room(inbox, strrchr(kept, '/') + 1);
        result = file_write(opening->context, kept, opening->sealed.data, opening->sealed.length, true);
    }
    if (result == 0 && path != NULL && strcmp(path, kept) != 0)
        (void)unlink(path);
    return result == 0 && status == CL_OK ? complete(inbox) : result;
}

int inbox_take(struct inbox *inbox, const struct cl_wallet_key *mailbox)
{
    digits_of(inbox->came_by, mailbox);
    return part_take(inbox, NULL);
}

static bool wanted(const struct inbox *inbox, const char *name)
{
    char prefix[PREFIX_LENGTH + 1];
    bool found = inbox->only_count == 0;
    for (size_t i = 0; i < inbox->only_count && !found; i++) {
        prefix_of(inbox, prefix, &inbox->only[i]);
        found = same_agreement(name, prefix);
    }
    return found;
}

int inbox_take_kept(struct inbox *inbox)
{
    struct dirent **names = NULL;
    char path[3600];
    int count = scandir(inbox->incoming, &names, is_part, alphasort), result = 0;
    for (int i = 0; i < count; i++) {
        (void)snprintf(path, sizeof path, "%s/%.255s", inbox->incoming, names[i]->d_name);
        inbox->opening.sealed.length = 0;
        if (result == 0 && wanted(inbox, names[i]->d_name) && access(path, F_OK) == 0) { /* else it went with its delivery */
            result = file_read(inbox->opening.context, &inbox->opening.sealed, path, CL_DELIVERY_SEALED_MAX);
            bool stranger = same_agreement(names[i]->d_name, STRANGERS);
            (void)snprintf(inbox->came_by, sizeof inbox->came_by, "%.8s", stranger ? names[i]->d_name + DELIVERY_LENGTH + 1 - sizeof inbox->came_by : "");
            if (result == 0)
                result = part_take(inbox, path);
        }
        free(names[i]);
    }
    free(names);
    return result;
}
