/* The one table of commands: dispatch, help, suggestions and completions all come from it. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "consent/vault.h"
#include "output.h"

#define POSITIONALS_MAX 17u
#define OPTIONS_MAX 48u

struct context;
struct command {
    const char *name;        /* one or two words */
    const char *arguments;   /* as in the usage line; as many words as it takes */
    const char *options;     /* names with spaces between; "=" behind those that take a value */
    const char *summary;
    const char *example;
    int (*run)(struct context *context);
};
struct option_value { const char *name, *value; };
struct http_client;
struct cl_code;
struct context {
    struct output output;
    const struct command *command;
    const char *positionals[POSITIONALS_MAX];
    size_t positional_count;
    struct option_value options[OPTIONS_MAX];
    size_t option_count;
    /* what workspace.c opens when it is needed */
    struct cl_wallet *wallet;
    struct cl_store *store;  /* the folder beside it: open while the wallet is */
    char wallet_path[3072];
    int wallet_lock;         /* file descriptor, -1: none */
    uint64_t wallet_changed_ns[2]; /* the file and its folder, as they were when others were let to them; 0: they are not */
    struct http_client *http;
    char node_url[CL_URL_BYTES_MAX + 1];
    uint64_t timeout_s;      /* --timeout: until a record is final */
    bool has_token;          /* of the connect code that this command makes or answers */
    uint8_t token32[32];
    struct cl_code *code;    /* that was given to this command; NULL: none */
    struct cl_reception reception; /* of the code or offer that was given to it: where its maker takes our contact */
    bool node_of_code;       /* only the code named the node in use */
    bool backup_said;        /* where the backup is has been told */
    bool mailboxes_tried;    /* this command has tried to close those that wait for it */
    /* What is to be done once the record of this command is final, before its result is told; into: the result. NULL: nothing. */
    int (*once_final)(struct context *context, const struct cl_object_id *object, json_t *into);
};

extern const struct command command_table[];
extern const size_t command_count;

int command_main(int argc, char **argv);
/* Returns: NULL where the option was not given (or takes no value). */
const char *option(const struct context *context, const char *name);
bool flag(const struct context *context, const char *name);
const char *positional(const struct context *context, size_t position); /* NULL: not given */
/* Help of one option, as the command means it: its value's name and meaning; NULL where the table has no such option. */
const char *option_help(const char *command_name, const char *name, const char **value_name);
extern const char global_options[];

/* cmd_*.c */
int run_vault_put(struct context *context);
int run_vault_list(struct context *context);
int run_vault_show(struct context *context);
int run_vault_change(struct context *context);
int run_vault_remove(struct context *context);
int run_vault_share(struct context *context);
int run_vault_unshare(struct context *context);
int run_vault_tell(struct context *context);
int run_help(struct context *context);
int run_completions(struct context *context);
int run_key_new(struct context *context);
int run_key_list(struct context *context);
int run_key_recover(struct context *context);
int run_key_backup(struct context *context);
int run_terms_new(struct context *context);
int run_terms_import(struct context *context);
int run_terms_check(struct context *context);
int run_terms_publish(struct context *context);
int run_terms_show(struct context *context);
int run_terms_diff(struct context *context);
int run_terms_find(struct context *context);
int run_public_put(struct context *context);
int run_public_list(struct context *context);
int run_public_remove(struct context *context);
int run_code_show(struct context *context);
int run_import(struct context *context);
int run_export(struct context *context);
int run_forget(struct context *context);
int run_grant(struct context *context);
int run_request(struct context *context);
int run_subscribe(struct context *context);
int run_counter(struct context *context);
int run_refuse(struct context *context);
int run_amend(struct context *context);
int run_suspend(struct context *context);
int run_resume(struct context *context);
int run_revoke(struct context *context);
int run_renew(struct context *context);
int run_ack(struct context *context);
int run_erase(struct context *context);
int run_dispute(struct context *context);
int run_profile(struct context *context);
int run_profile_new(struct context *context);
int run_profile_publish(struct context *context);
int run_disclose(struct context *context);
int run_delegate(struct context *context);
int run_undelegate(struct context *context);
int run_rotate(struct context *context);
int run_vouch(struct context *context);
int run_statement(struct context *context);
int run_uses_add(struct context *context);
int run_uses_list(struct context *context);
int run_uses_prove(struct context *context);
int run_uses_verify(struct context *context);
int run_list(struct context *context);
int run_show(struct context *context);
int run_history(struct context *context);
int run_verify(struct context *context);
int run_check(struct context *context);
int run_joint(struct context *context);
int run_deliver(struct context *context);
int run_due(struct context *context);
int run_inbox(struct context *context);
int run_open(struct context *context);
int run_contact(struct context *context);
int run_source_release(struct context *context);
int run_source_withdraw(struct context *context);
int run_source_list(struct context *context);
int run_source_take(struct context *context);
int run_source_serve(struct context *context);
int run_source_ask(struct context *context);
int run_source_open(struct context *context);
int run_proof(struct context *context);
int run_sign(struct context *context);
int run_submit(struct context *context);
int run_inspect(struct context *context);
int run_audit(struct context *context);
int run_feed(struct context *context);
int run_webhooks_run(struct context *context);
int run_webhooks_failed(struct context *context);
int run_webhooks_replay(struct context *context);
int run_webhooks_secret(struct context *context);
int run_node_status(struct context *context);
int run_node_peers(struct context *context);
int run_node_doctor(struct context *context);
int run_node_policy(struct context *context);

#endif
