/* consent key: the wallet's words and keys. */
#include "workspace.h"

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static void print_words(FILE *file, const char *words)
{
    unsigned number = 1;
    for (const char *at = words; *at != '\0'; number++) {
        int length = (int)strcspn(at, " ");
        (void)fprintf(file, "%2u %-10.*s%s", number, length, at, number % 6 == 0 ? "\n" : "");
        at += length + (at[length] == ' ' ? 1 : 0);
    }
}

static bool word_is(const char *words, unsigned number, const char *answer)
{
    for (unsigned i = 1; i < number; i++)
        words = strchr(words, ' ') + 1;
    size_t length = strcspn(words, " ");
    return strlen(answer) == length && memcmp(words, answer, length) == 0;
}

/* Asks three of the words back, so that they are on paper before they matter. */
static bool ask_back(const char *words)
{
    FILE *terminal = fopen("/dev/tty", "r+");
    uint8_t random[3];
    bool good = terminal != NULL && cl_random_bytes(random, sizeof random) == CL_OK;
    for (unsigned i = 0; good && i < 3; i++) {
        char answer[64];
        unsigned number = 1 + i * 8 + random[i] % 8;
        (void)fprintf(terminal, "Word %u: ", number);
        (void)fflush(terminal);
        good = fgets(answer, sizeof answer, terminal) != NULL;
        if (good) {
            answer[strcspn(answer, "\r\n ")] = '\0';
            good = word_is(words, number, answer);
        }
        cl_wipe_bytes(answer, sizeof answer);
    }
    if (terminal != NULL)
        (void)fclose(terminal);
    return good;
}

static int print_key(struct context *context, const struct cl_wallet_key *key, const char *words)
{
    char did[CL_DID_KEY_SIZE], hex[67];
    cl_did_key_encode(did, &key->key);
    cl_hex_encode(hex, key->key.bytes, 33);
    output_line(&context->output, "%s", did);
    json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", key->name, "did", did, "public_key", hex, "uri", key->uri, "index", (int)key->index);
    if (words != NULL)
        (void)json_object_set_new(json, "words", json_string(words));
    output_json(&context->output, json);
    return 0;
}

static int make_wallet(struct context *context, char words[CL_WORDS_SIZE])
{
    uint8_t entropy[32];
    enum cl_status status = cl_random_bytes(entropy, sizeof entropy);
    if (status != CL_OK)
        return output_fail(&context->output, status, NULL);
    int result = wallet_create(context, entropy);
    cl_words_encode(words, entropy);
    cl_wipe_bytes(entropy, sizeof entropy);
    if (result != 0 || context->output.json)
        return result;
    (void)fprintf(stderr, "\nThese 24 words are your wallet. Write them down now; they are shown this once.\n\n");
    print_words(stderr, words);
    (void)fprintf(stderr, "\n");
    if (!flag(context, "--no-ask") && isatty(STDIN_FILENO) == 1) {
        while (!ask_back(words)) {
            if (http_interrupted)
                return output_fail(&context->output, CL_E_CANCELLED, NULL);
            (void)fprintf(stderr, "That is another word. Look at what you wrote down, and once more.\n");
        }
        (void)fprintf(stderr, "Good.\n");
    }
    return 0;
}

int run_key_new(struct context *context)
{
    char words[CL_WORDS_SIZE] = "", uri[CL_URI_BYTES_MAX + 1];
    const char *name = option(context, "--name"), *given = option(context, "--uri");
    size_t position = 0;
    if (name == NULL || !cl_wallet_name_usable(name))
        return output_usage(&context->output, "Give the key a name of letters, digits, - _ . with --name.");
    (void)snprintf(uri, sizeof uri, "%s%s", given == NULL ? "consent:key/" : given, given == NULL ? name : "");
    bool fresh = access(wallet_path_of(context), F_OK) != 0;
    int result = fresh ? make_wallet(context, words) : wallet_open(context);
    if (result == 0) {
        enum cl_status status = cl_wallet_key_add(context->wallet, &position, name, uri);
        result = status == CL_OK ? wallet_save(context) : output_fail(&context->output, status, "'%s'", name);
    }
    if (result == 0 && fresh)
        output_say(&context->output, "The wallet is %s.", context->wallet_path);
    if (result == 0)
        result = print_key(context, &context->wallet->keys[position], fresh ? words : NULL);
    cl_wipe_bytes(words, sizeof words);
    return result;
}

int run_key_list(struct context *context)
{
    int result = wallet_open(context);
    if (result != 0)
        return result;
    json_t *list = json_array();
    for (size_t i = 0; i < context->wallet->key_count; i++) {
        const struct cl_wallet_key *key = &context->wallet->keys[i];
        char did[CL_DID_KEY_SIZE], hex[67];
        cl_did_key_encode(did, &key->key);
        cl_hex_encode(hex, key->key.bytes, 33);
        output_line(&context->output, "%-20s %s  %s", key->name, did, key->uri);
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", key->name, "did", did, "public_key", hex, "uri", key->uri, "index", (int)key->index));
    }
    output_json(&context->output, json_pack("{s:o}", "keys", list));
    return 0;
}

/* One name or URI a line; a bare name stands for the key and for the relationship of that name. */
static int add_listed(struct context *context, const char *path)
{
    struct cl_buffer text = {0};
    int result = file_read(context, &text, path, 16u << 20);
    for (size_t at = 0; result == 0 && at < text.length;) {
        char line[CL_URI_BYTES_MAX + 2], uri[CL_URI_BYTES_MAX + 32], name[CL_NAME_BYTES_MAX + 1];
        size_t length = 0;
        while (at + length < text.length && text.data[at + length] != '\n')
            length++;
        (void)snprintf(line, sizeof line, "%.*s", (int)(length < CL_URI_BYTES_MAX ? length : CL_URI_BYTES_MAX), (const char *)text.data + at);
        line[strcspn(line, "\r# ")] = '\0';
        at += length + 1;
        if (line[0] == '\0')
            continue;
        bool is_uri = strchr(line, ':') != NULL;
        const char *slash = strrchr(line, '/');
        (void)snprintf(name, sizeof name, "%.64s", is_uri && slash != NULL ? slash + 1 : line);
        (void)snprintf(uri, sizeof uri, "%s%s", is_uri ? "" : "consent:key/", line);
        enum cl_status status = cl_wallet_key_add(context->wallet, NULL, name, uri);
        if (status == CL_OK && !is_uri) {
            char second[CL_NAME_BYTES_MAX + 1];
            (void)snprintf(uri, sizeof uri, "consent:relationship/%s", line);
            (void)snprintf(second, sizeof second, "%.60s.2", name);
            status = cl_wallet_key_add(context->wallet, NULL, second, uri);
        }
        if (status != CL_OK)
            result = output_fail(&context->output, status, "'%s'", output_printable(line, strlen(line)));
    }
    cl_buffer_deinit(&text);
    return result;
}

/* The trust file stands beside the wallet; the backup has what it was. */
static int policy_back(struct context *context)
{
    char path[3200];
    const struct cl_wallet_network *network = &context->wallet->network;
    (void)snprintf(path, sizeof path, "%s.policy", context->wallet_path);
    return network->known ? file_write(context, path, network->policy.data, network->policy.length, false) : 0;
}

static void recovered_say(struct context *context, bool backup)
{
    const struct output *output = &context->output;
    const struct cl_wallet *wallet = context->wallet;
    output_line(output, "%zu key%s, %zu entr%s and %zu vault item%s are back in %s", wallet->key_count, wallet->key_count == 1 ? "" : "s", wallet->item_count, wallet->item_count == 1 ? "y" : "ies", cl_vault_count(context->store), cl_vault_count(context->store) == 1 ? "" : "s", context->wallet_path);
    if (backup) {
        output_say(output, "Next: 'consent list --refresh' asks %s how everything stands now, and 'consent inbox' fetches what waits for you. If somebody else may have the old wallet, 'consent rotate NAME' gives an agreement another key.", wallet->network.known ? wallet->network.url : "a node");
        output_say(output, "What was agreed after this backup was written is found once its key is there: consent key new --name NAME --uri consent:relationship/NAME, with the name that you gave it, then 'consent list --refresh'.");
    } else if (wallet->key_count == 0) {
        output_say(output, "The words alone do not know what your relationships were called, and each has a key that follows from its name: give the names, as far as you remember them, one a line, with --list FILE; or add them one by one: consent key new --name NAME --uri consent:relationship/NAME.");
    } else {
        output_say(output, "Next: 'consent list --refresh' (with --node URL) finds what stands on the ledger under these keys, and what was made under your terms and profiles. Texts and salts were in the backup only: ask the other sides for them ('consent import'). 'consent contact NAME -o FILE' opens the mailbox of an agreement again, the same one, and 'consent inbox' fetches what waits there.");
    }
    output_say(output, "Not in any backup: the log of uses, what arrived, nodes' signed acceptances, and what waited to be sent. Copy WALLET.uses, .received and .accepted-* from the old machine if you still have it.");
}

int run_key_recover(struct context *context)
{
    const char *words_file = option(context, "--words-file"), *backup = option(context, "--backup"), *list = option(context, "--list");
    struct cl_buffer words = {.secret = true}, sealed = {0};
    uint8_t entropy[32] = {0};
    unsigned bad_word = 0;
    if (words_file == NULL)
        return output_usage(&context->output, "Give the 24 words with --words-file FILE (- for standard input).");
    if (access(wallet_path_of(context), F_OK) == 0)
        return output_fail(&context->output, CL_E_EXISTS, "There is a wallet at %s; move it away first.", context->wallet_path);
    int result = file_read(context, &words, words_file, 4096);
    if (result == 0 && (cl_buffer_append(&words, "", 1) != CL_OK || cl_words_decode(entropy, &bad_word, (const char *)words.data) != CL_OK))
        result = bad_word > 0 ? output_fail(&context->output, CL_E_SECRET, "Word %u is not in the list.", bad_word) : output_fail(&context->output, CL_E_SECRET, "The words do not fit together: one is wrong or in the wrong place.");
    if (result == 0 && backup != NULL)
        result = file_read(context, &sealed, backup, CL_WALLET_FILE_BYTES_MAX);
    if (result == 0 && backup != NULL) {
        enum cl_status status = cl_wallet_backup_open(&context->wallet, sealed.data, sealed.length, entropy);
        if (status != CL_OK)
            result = output_fail(&context->output, status, status == CL_E_LOCKED ? "%s is not of these words, or is damaged." : "%s", backup);
    }
    if (result == 0 && backup != NULL)
        result = wallet_store_recover(context, backup);
    if (result == 0)
        result = wallet_create(context, entropy);
    if (result == 0 && list != NULL)
        result = add_listed(context, list);
    if (result == 0)
        result = wallet_save(context);
    if (result == 0)
        result = policy_back(context);
    if (result == 0) {
        recovered_say(context, backup != NULL);
        output_json(&context->output, json_pack("{s:i, s:i, s:i, s:i}", "keys", (int)context->wallet->key_count, "entries", (int)context->wallet->item_count, "vault_items", (int)cl_vault_count(context->store), "without_content", (int)wallet_locked_count(context)));
    }
    cl_buffer_wipe(&words);
    cl_buffer_deinit(&sealed);
    cl_wipe_bytes(entropy, sizeof entropy);
    return result;
}

int run_key_backup(struct context *context)
{
    const char *path = option(context, "--output");
    if (path != NULL && strcmp(path, "-") == 0)
        return output_usage(&context->output, "A backup is a file and a folder beside it: give -o FILE.");
    int result = wallet_open(context);
    if (result == 0)
        result = wallet_backup(context, path);
    if (result == 0)
        output_json(&context->output, json_object());
    return result;
}
