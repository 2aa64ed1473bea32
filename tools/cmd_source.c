/* consent source release, withdraw, list: a customer lets the organisation of one agreement fetch a slot of what that of
   another holds, and takes it back. Both are told under their own agreement, sealed; neither under the other's. */
#include "delivery_log.h"
#include "source.h"

#include <stdlib.h>
#include <unistd.h>

#define DEFAULT_DAYS 7u

/* ---- what the three files of these commands share */

int source_forget(struct context *context, const struct cl_object_id *agreement, size_t *count)
{
    enum cl_status status = cl_source_sweep(count, context->store, agreement, time_now_ms());
    return status == CL_OK ? 0 : output_fail(&context->output, status, "The register of releases, in the folder beside the wallet.");
}

int source_tidy(struct context *context)
{
    size_t over = 0;
    return source_forget(context, NULL, &over);
}

const char *source_name(struct context *context, const struct cl_object_id *id)
{
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, id);
    return item != NULL ? item->name : id_short(id->bytes);
}

const char *source_slot_text(struct context *context, const struct cl_object_id *agreement, uint8_t slot)
{
    static char out[2][160];
    static unsigned turn;
    const struct cl_wallet_item *item = cl_wallet_item_of(context->wallet, agreement);
    struct object object = {0};
    char *text = out[turn++ % 2];
    bool known = item != NULL && item->state.length > 0 && object_decode(context, &object, item->state.data, item->state.length) == 0;
    if (known && object.kind == CL_STATE_AGREEMENT)
        (void)snprintf(text, sizeof out[0], "%s", delivery_slot_text(item, &object.as.agreement, true, slot));
    else
        (void)snprintf(text, sizeof out[0], "slot %u", slot);
    if (known)
        object_deinit(&object);
    return text;
}

const char *source_reference(const uint8_t reference16[16])
{
    static char out[33];
    cl_hex_encode(out, reference16, 16);
    return out;
}

const char *source_times(unsigned uses)
{
    static char out[24];
    (void)snprintf(out, sizeof out, uses == 1 ? "once" : "%u times", uses);
    return out;
}

int source_agreement(struct context *context, struct subject *out, struct cl_public_key *customer, const struct cl_object_id *id, enum cl_side own)
{
    struct delivery_party party;
    int result = agreement_open(context, out, id_text(id->bytes));
    if (result != 0)
        return result;
    if (out->side != own)
        result = output_fail(&context->output, CL_E_PARTY, own == CL_SIDE_CUSTOMER ? "You are not the customer of '%s'." : "You are not the organisation of '%s'.", source_name(context, id));
    if (result == 0)
        result = delivery_party_open(context, &party, subject_party(out, CL_SIDE_CUSTOMER));
    if (result == 0) {
        *customer = party.signers.key;
        delivery_party_close(&party);
    } else {
        subject_close(out);
    }
    return result;
}

/* ---- handing it over, sealed, under the agreement that it belongs to */

struct recipient { uint8_t delivery32[32]; char address[MAILBOX_ADDRESS_SIZE]; char folder[4096]; }; /* folder "": the mailbox */

/* The other side's delivery key, and where what is for it goes: the folder DIR/who of --out DIR, else its mailbox. */
static int recipient_of(struct context *context, struct recipient *out, const struct subject *subject, const char *who)
{
    const char *folder = option(context, "--out");
    struct cl_buffer file = {0};
    struct cl_contact contact;
    struct delivery_party other;
    int result = delivery_party_open(context, &other, subject_party(subject, CL_SIDE_ORGANISATION));
    if (result != 0)
        return result;
    delivery_party_close(&other); /* its keys stay */
    *out = (struct recipient){.address = ""};
    memcpy(out->delivery32, other.delivery32, 32);
    result = contact_kept(context, &file, &subject->object.id);
    if (result == 0 && file.length > 0 && cl_contact_decode(&contact, file.data, file.length) == CL_OK && cl_contact_check(&contact, &context->wallet->network.id, &subject->object.id, CL_SIDE_CUSTOMER, &other.signers.key) == CL_OK) {
        memcpy(out->delivery32, contact.delivery32, 32);
        other.has_delivery = true;
        if (!contact_address(&contact, out->address))
            out->address[0] = '\0';
    }
    cl_buffer_deinit(&file);
    if (result == 0 && !other.has_delivery)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "'%s' is a key, and only its owner can tell where deliveries are sealed to: its contact comes to 'consent inbox' by itself where you connected by a code or an offer; else ask for what 'consent contact' writes there, and take it in with 'consent import'.", subject->item_name);
    else if (result == 0 && folder == NULL && out->address[0] == '\0')
        result = output_usage(&context->output, "No mailbox of '%s' is known yet ('consent inbox' takes its contact in where you connected by a code or an offer); give a folder for what is to be handed over with --out DIR.", subject->item_name);
    else if (result == 0 && folder != NULL && snprintf(out->folder, sizeof out->folder, "%s/%s", folder, who) >= 4000)
        result = output_usage(&context->output, "The folder's name is too long.");
    return result;
}

/* Into a file of the folder, or through the outbox into the mailbox; logged as any delivery is. */
static int hand_over(struct context *context, const struct subject *subject, const struct act_signer *signer, struct cl_delivery *delivery, const struct cl_buffer *content, struct recipient *to)
{
    bool mailbox = to->folder[0] == '\0';
    delivery->network = context->wallet->network.id;
    delivery->agreement = subject->object.id;
    delivery->from = CL_SIDE_CUSTOMER;
    delivery->sent_ms = time_now_ms();
    enum cl_status status = cl_delivery_check(&subject->object.as.agreement, CL_SIDE_CUSTOMER, delivery->has_slot, delivery->slot, delivery->sent_ms);
    if (status == CL_OK)
        status = cl_random_bytes(delivery->id16, 16);
    if (status == CL_OK)
        status = cl_delivery_measure(delivery, content->data, content->length);
    int result = status == CL_OK ? 0 : output_fail(&context->output, status, "Nothing is handed over under '%s'.", subject->item_name);
    if (result == 0)
        result = mailbox ? outbox_folder(context, to->folder, delivery->id16) : folder_make(context, option(context, "--out"));
    if (result == 0)
        result = delivery_log_begin(context, delivery);
    if (result == 0)
        result = delivery_parts_write(context, delivery, (struct cl_view){content->data, content->length}, signer, to->delivery32, to->folder, NULL);
    if (result == 0)
        result = mailbox ? outbox_begin(context, to->folder, to->address, delivery) : delivery_log_handed_over(context, &delivery->agreement, delivery->id16);
    return result;
}

/* A notice, of no slot: what it tells of is within, and no schedule of deliveries counts it. */
static int notice_send(struct context *context, const struct subject *subject, const struct act_signer *signer, const char *media_type, const struct cl_buffer *file, struct recipient *to)
{
    struct cl_delivery delivery = {.kind = CL_DELIVERY_NOTICE};
    (void)snprintf(delivery.media_type, sizeof delivery.media_type, "%s", media_type);
    return hand_over(context, subject, signer, &delivery, file, to);
}

/* ---- release */

static int slot_of(struct context *context, uint8_t *out, const struct subject *subject, const char *option_name)
{
    const char *name = option(context, option_name);
    const struct cl_agreement *agreement = &subject->object.as.agreement;
    const struct cl_wallet_item *item = subject_item(context, subject);
    int slot = -1;
    if (name == NULL)
        return output_usage(&context->output, "Which slot? --slot SLOT is what the holder has, --for SLOT what the reader asks for it.");
    struct cl_terms_text *text = item == NULL ? NULL : body_text_of(item, agreement->commitment);
    int result = slot_named(context, &slot, text, name);
    cl_terms_text_free(text);
    enum cl_status status = result == 0 ? cl_agreement_check(agreement, 1ull << slot, time_now_ms()) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, "'%s', slot %d.", subject->item_name, slot);
    *out = (uint8_t)(slot < 0 ? 0 : slot);
    return result;
}

/* --until, --uses, both slots; the holder is a PROFILE, for uses are stated under one. */
static int release_asked(struct context *context, struct cl_source_release *release, const struct subject *holder, const struct subject *reader)
{
    const char *until = option(context, "--until"), *uses = option(context, "--uses");
    uint64_t number = 1;
    *release = (struct cl_source_release){.network = context->wallet->network.id, .agreement = holder->object.id, .reader = reader->object.id, .made_ms = time_now_ms()};
    release->until_s = release->made_ms / 1000u + DEFAULT_DAYS * 86400u;
    if (holder->side != CL_SIDE_CUSTOMER || reader->side != CL_SIDE_CUSTOMER)
        return output_fail(&context->output, CL_E_PARTY, "You have to be the customer of both agreements.");
    if (memcmp(holder->object.id.bytes, reader->object.id.bytes, 32) == 0)
        return output_usage(&context->output, "Two agreements are needed: one with who holds the data, one with who is to read it.");
    if (holder->object.as.agreement.organisation.length != 32)
        return output_fail(&context->output, CL_E_OBJECT_KIND, "The other side of '%s' has no profile; only an organisation with one can serve what it holds.", holder->item_name);
    if (until != NULL && (!time_parse(&release->until_s, until, true) || release->until_s <= release->made_ms / 1000u))
        return output_usage(&context->output, "--until takes a date or a time that is still to come, as 2027-06-30 or 2027-06-30T12:00:00Z.");
    if (uses != NULL && (!number_parse(&number, uses, CL_SOURCE_USES_MAX) || number == 0))
        return output_usage(&context->output, "--uses takes a number from 1 to %u.", CL_SOURCE_USES_MAX);
    release->uses = (uint8_t)number;
    int result = slot_of(context, &release->slot, holder, "--slot");
    if (result == 0)
        result = slot_of(context, &release->reader_slot, reader, "--for");
    if (result == 0 && cl_random_bytes(release->reference16, 16) != CL_OK)
        result = output_fail(&context->output, CL_E_IO, NULL);
    return result;
}

static int given_save(struct context *context, const struct cl_buffer *file)
{
    struct cl_source_entry entry = {.way = CL_SOURCE_GIVEN, .document = *file};
    enum cl_status status = cl_source_save(&entry, context->store);
    return status == CL_OK ? 0 : output_fail(&context->output, status, "What you release could not be written down, so nothing was handed over.");
}

static void release_say(struct context *context, const struct cl_source_release *release)
{
    char until[TIME_TEXT_SIZE], holder[CL_NAME_BYTES_MAX + 1], reader[CL_NAME_BYTES_MAX + 1];
    time_until_text(until, release->until_s);
    (void)snprintf(holder, sizeof holder, "%s", source_name(context, &release->agreement));
    (void)snprintf(reader, sizeof reader, "%s", source_name(context, &release->reader));
    output_say(&context->output, "You let '%s' fetch %s from '%s', %s, until %s, as long as %s of '%s' is in force.", reader, source_slot_text(context, &release->agreement, release->slot), holder, source_times(release->uses), until, source_slot_text(context, &release->reader, release->reader_slot), reader);
    output_say(&context->output, "'%s' learns which agreement you have with '%s', and '%s' learns who holds it. Nobody else learns anything.", holder, reader, reader);
}

static int release(struct context *context, const struct subject *holder, const struct subject *reader)
{
    struct act_signer to_holder, to_reader;
    struct recipient at_holder, at_reader;
    struct cl_source_release released;
    struct cl_source_pointer pointer;
    struct cl_buffer release_file = {.secret = true}, pointer_file = {.secret = true};
    const char *where = option(context, "--where");
    int result = release_asked(context, &released, holder, reader);
    if (result == 0)
        result = subject_signer(context, &to_holder, holder);
    if (result == 0)
        result = subject_signer(context, &to_reader, reader);
    if (result == 0)
        result = recipient_of(context, &at_holder, holder, "holder");
    if (result == 0)
        result = recipient_of(context, &at_reader, reader, "reader");
    if (result != 0)
        return result;
    pointer = (struct cl_source_pointer){.network = released.network, .agreement = released.reader, .slot = released.reader_slot, .until_s = released.until_s, .uses = released.uses, .made_ms = released.made_ms, .where = {(const uint8_t *)(where == NULL ? "" : where), where == NULL ? 0 : strlen(where)}};
    memcpy(pointer.reference16, released.reference16, 16);
    memcpy(pointer.holder.bytes, holder->object.as.agreement.organisation.bytes, 32);
    release_say(context, &released);
    enum cl_status status = cl_source_release_sign(&release_file, &released, &to_holder.signer);
    if (status == CL_OK)
        status = cl_source_pointer_sign(&pointer_file, &pointer, &to_reader.signer);
    if (status != CL_OK)
        result = output_fail(&context->output, status, status == CL_E_VALUE ? "--where takes at most %u bytes of text." : NULL, CL_SOURCE_WHERE_BYTES_MAX);
    if (result == 0)
        result = given_save(context, &release_file);
    if (result == 0)
        result = notice_send(context, holder, &to_holder, RELEASE_MEDIA_TYPE, &release_file, &at_holder);
    if (result == 0)
        result = notice_send(context, reader, &to_reader, POINTER_MEDIA_TYPE, &pointer_file, &at_reader);
    if (result == 0) {
        const char *out = option(context, "--out");
        output_line(&context->output, "release %s", source_reference(released.reference16));
        if (out != NULL)
            output_say(&context->output, "Hand the file in %s/holder to '%s', and the one in %s/reader to '%s', by any way; they open them with 'consent open'.", out, holder->item_name, out, reader->item_name);
        output_json(&context->output, json_pack("{s:s, s:s, s:s, s:i, s:i, s:I, s:i}", "reference", source_reference(released.reference16), "agreement", id_text(released.agreement.bytes), "reader", id_text(released.reader.bytes), "slot", (int)released.slot,
                                                "reader_slot", (int)released.reader_slot, "until", (json_int_t)released.until_s, "uses", (int)released.uses));
    }
    cl_buffer_wipe(&release_file);
    cl_buffer_wipe(&pointer_file);
    return result;
}

int run_source_release(struct context *context)
{
    struct subject holder, reader;
    if (positional(context, 0) == NULL || positional(context, 1) == NULL)
        return output_usage(&context->output, "Who holds it, and who may fetch it? 'consent source release HOLDER READER --slot SLOT --for SLOT', both names of agreements of yours.");
    int result = agreement_open(context, &holder, positional(context, 0));
    if (result != 0)
        return result;
    result = agreement_open(context, &reader, positional(context, 1));
    if (result == 0)
        result = source_tidy(context);
    if (result == 0)
        result = release(context, &holder, &reader);
    subject_close(&reader);
    subject_close(&holder);
    return result;
}

/* ---- withdraw */

struct search { struct context *context; const char *one, *other; struct cl_buffer found; }; /* found: struct cl_source_release each */

static bool fits(struct context *context, const struct cl_source_release *release, const char *text)
{
    const char *reference = source_reference(release->reference16);
    return text == NULL || strcmp(source_name(context, &release->agreement), text) == 0 || strcmp(source_name(context, &release->reader), text) == 0 || (strlen(text) >= 6 && strncmp(reference, text, strlen(text)) == 0);
}

static enum cl_status look_at(void *opaque, const struct cl_source_entry *entry)
{
    struct search *search = opaque;
    struct cl_source_release release;
    if (entry->way != CL_SOURCE_GIVEN || cl_source_release_decode(&release, entry->document.data, entry->document.length) != CL_OK)
        return CL_OK;
    if (release.uses == 0 || release.until_s <= time_now_ms() / 1000u || !fits(search->context, &release, search->one) || !fits(search->context, &release, search->other))
        return CL_OK;
    return cl_buffer_append(&search->found, &release, sizeof release);
}

static int withdraw(struct context *context, struct cl_source_release *back, json_t *references)
{
    struct subject holder;
    struct act_signer signer;
    struct recipient to;
    struct cl_buffer file = {.secret = true};
    back->uses = 0;
    back->made_ms = time_now_ms() > back->made_ms ? time_now_ms() : back->made_ms + 1;
    int result = agreement_open(context, &holder, id_text(back->agreement.bytes));
    if (result != 0)
        return result;
    result = subject_signer(context, &signer, &holder);
    if (result == 0)
        result = recipient_of(context, &to, &holder, "holder");
    enum cl_status status = result == 0 ? cl_source_release_sign(&file, back, &signer.signer) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0)
        result = notice_send(context, &holder, &signer, RELEASE_MEDIA_TYPE, &file, &to);
    if (result == 0)
        result = given_save(context, &file);
    if (result == 0) {
        output_line(&context->output, "release %s, of '%s' to '%s', is taken back", source_reference(back->reference16), holder.item_name, source_name(context, &back->reader));
        (void)json_array_append_new(references, json_string(source_reference(back->reference16)));
    }
    cl_buffer_wipe(&file);
    subject_close(&holder);
    return result;
}

int run_source_withdraw(struct context *context)
{
    struct search search = {.context = context, .one = positional(context, 0), .other = positional(context, 1)};
    const char *out = option(context, "--out");
    json_t *references = json_array();
    if (search.one == NULL)
        return output_usage(&context->output, "Which release? Give the holder's or the reader's name, both, or the reference; 'consent source list' shows them.");
    int result = network_open(context);
    enum cl_status status = result == 0 ? cl_source_each(context->store, look_at, &search) : CL_OK;
    struct cl_source_release *found = (struct cl_source_release *)(void *)search.found.data;
    size_t count = search.found.length / sizeof *found;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    else if (result == 0 && count == 0)
        result = output_fail(&context->output, CL_E_NOT_FOUND, "No release in force fits; 'consent source list' shows them.");
    for (size_t i = 0; i < count && result == 0; i++)
        result = withdraw(context, &found[i], references);
    if (result == 0) {
        output_say(&context->output, "It holds from when the holder has the word%s%s%s; what was fetched before stays fetched.", out == NULL ? "" : ", so hand over what is in ", out == NULL ? "" : out, out == NULL ? "" : "/holder");
        output_json(&context->output, json_pack("{s:O}", "references", references));
    }
    json_decref(references);
    cl_buffer_deinit(&search.found);
    return result;
}

/* ---- list */

struct listing { struct context *context; json_t *entries; size_t count; };

static const char *state_of(const struct cl_source_release *release, size_t served, bool held)
{
    return release->uses == 0 ? "taken back" : time_now_ms() / 1000u >= release->until_s ? "over" : held && served >= release->uses ? "used up" : "in force";
}

static enum cl_status list_release(struct listing *listing, const struct cl_source_entry *entry)
{
    struct context *context = listing->context;
    struct cl_source_release release;
    char until[TIME_TEXT_SIZE], holder[CL_NAME_BYTES_MAX + 1];
    bool held = entry->way == CL_SOURCE_HELD;
    enum cl_status status = cl_source_release_decode(&release, entry->document.data, entry->document.length);
    if (status != CL_OK)
        return status;
    const char *state = state_of(&release, entry->served_count, held);
    time_until_text(until, release.until_s);
    (void)snprintf(holder, sizeof holder, "%s", source_name(context, &release.agreement));
    if (held)
        output_line(&context->output, "held   %.8s  %s of '%s', for the organisation of %s, until %s: %s, served %zu of %u", source_reference(release.reference16), source_slot_text(context, &release.agreement, release.slot), holder, id_short(release.reader.bytes), until, state, entry->served_count, release.uses);
    else
        output_line(&context->output, "given  %.8s  %s from '%s', to '%s', %s, until %s: %s", source_reference(release.reference16), source_slot_text(context, &release.agreement, release.slot), holder, source_name(context, &release.reader), source_times(release.uses), until, state);
    (void)json_array_append_new(listing->entries, json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:i, s:i, s:s}", "way", held ? "held" : "given", "reference", source_reference(release.reference16), "agreement", id_text(release.agreement.bytes), "reader", id_text(release.reader.bytes),
        "slot", (int)release.slot, "reader_slot", (int)release.reader_slot, "until", (json_int_t)release.until_s, "uses", (int)release.uses, "served", (int)entry->served_count, "state", state));
    return CL_OK;
}

static enum cl_status list_one(void *opaque, const struct cl_source_entry *entry)
{
    struct listing *listing = opaque;
    struct context *context = listing->context;
    struct cl_source_pointer pointer;
    char when[TIME_TEXT_SIZE];
    listing->count++;
    if (entry->way != CL_SOURCE_ASKED)
        return list_release(listing, entry);
    enum cl_status status = cl_source_pointer_decode(&pointer, entry->document.data, entry->document.length);
    if (status != CL_OK)
        return status;
    time_text(when, entry->asked_ms / 1000u);
    output_line(&context->output, "asked  %.8s  %s of '%s', from %s, at %s: no answer yet", source_reference(pointer.reference16), source_slot_text(context, &pointer.agreement, pointer.slot), source_name(context, &pointer.agreement), id_short(pointer.holder.bytes), when);
    (void)json_array_append_new(listing->entries, json_pack("{s:s, s:s, s:s, s:s, s:i, s:I}", "way", "asked", "reference", source_reference(pointer.reference16), "agreement", id_text(pointer.agreement.bytes), "holder", id_text(pointer.holder.bytes), "slot", (int)pointer.slot, "asked_ms", (json_int_t)entry->asked_ms));
    return CL_OK;
}

int run_source_list(struct context *context)
{
    struct listing listing = {.context = context, .entries = json_array()};
    int result = wallet_open(context);
    if (result == 0)
        result = source_tidy(context);
    enum cl_status status = result == 0 ? cl_source_each(context->store, list_one, &listing) : CL_OK;
    if (status != CL_OK)
        result = output_fail(&context->output, status, NULL);
    if (result == 0 && listing.count == 0)
        output_say(&context->output, "Nothing is released, held for others, or asked for.");
    if (result == 0)
        output_json(&context->output, json_pack("{s:O}", "entries", listing.entries));
    json_decref(listing.entries);
    return result;
}
