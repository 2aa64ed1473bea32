/* Reads the command line against the table, helps, suggests, and runs what was asked for. */
#include "command.h"
#include "code.h"
#include "http_client.h"
#include "workspace.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

const char *option(const struct context *context, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < context->option_count; i++)
        if (strcmp(context->options[i].name, name) == 0)
            found = context->options[i].value;
    return found;
}

bool flag(const struct context *context, const char *name)
{
    for (size_t i = 0; i < context->option_count; i++)
        if (strcmp(context->options[i].name, name) == 0)
            return true;
    return false;
}

const char *positional(const struct context *context, size_t position)
{
    return position < context->positional_count ? context->positionals[position] : NULL;
}

/* Looks name up in a list as "--to= --anyone". Returns: 0 not there, 1 a flag, 2 takes a value. */
static int option_in(const char *list, const char *name, size_t length)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        at += strspn(at, " ");
        size_t item = strcspn(at, " ");
        bool value = item > 0 && at[item - 1] == '=';
        if (item - (value ? 1 : 0) == length && length > 0 && memcmp(at, name, length) == 0)
            return value ? 2 : 1;
        at += item;
    }
    return 0;
}

static unsigned spelling_distance(const char *a, const char *b)
{
    unsigned row[40];
    size_t length = strnlen(b, 39);
    for (size_t k = 0; k <= length; k++)
        row[k] = (unsigned)k;
    for (size_t i = 0; i < 39 && a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t k = 1; k <= length; k++) {
            unsigned best = diagonal + (a[i] == b[k - 1] ? 0 : 1);
            diagonal = row[k];
            best = row[k] + 1 < best ? row[k] + 1 : best;
            row[k] = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
        }
    }
    return row[length];
}

static const char *nearest_command(const char *first, const char *second)
{
    const char *nearest = NULL;
    unsigned smallest = 4;
    char both[80];
    (void)snprintf(both, sizeof both, "%.38s %.38s", first, second == NULL ? "" : second);
    for (size_t i = 0; i < command_count; i++) {
        const char *name = command_table[i].name;
        unsigned apart = spelling_distance(strchr(name, ' ') != NULL ? both : first, name);
        if (apart < smallest) {
            smallest = apart;
            nearest = name;
        }
    }
    return nearest;
}

/* The second words of the commands that start with this one. False: there is none. */
static bool group_members(char *members, size_t size, const char *first)
{
    size_t length = strlen(first), used = 0;
    members[0] = '\0';
    for (size_t i = 0; i < command_count; i++) {
        const char *name = command_table[i].name;
        if (length == 0 || strncmp(name, first, length) != 0 || name[length] != ' ' || used + strlen(name) >= size)
            continue;
        used += (size_t)snprintf(members + used, size - used, "%s%s", used == 0 ? " " : ", ", name + length + 1);
    }
    return used > 0;
}

/* Two words before one. *used: how many of argv's words were the name. */
static const struct command *find_command(const char *first, const char *second, int *used)
{
    char both[80];
    (void)snprintf(both, sizeof both, "%.38s %.38s", first, second == NULL ? "" : second);
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, both) == 0) {
            *used = 2;
            return &command_table[i];
        }
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(command_table[i].name, first) == 0) {
            *used = 1;
            return &command_table[i];
        }
    return NULL;
}

static void print_options(const struct command *command, const char *list)
{
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " ");
        size_t item = strcspn(at, " ");
        size_t length = item > 0 && at[item - 1] == '=' ? item - 1 : item;
        char name[40], shown[80];
        const char *value = NULL;
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        const char *help = item == 0 ? NULL : option_help(command->name, name, &value);
        if (help != NULL && strcmp(name, "-o") != 0 && strcmp(name, "-q") != 0 && strcmp(name, "-h") != 0) {
            (void)snprintf(shown, sizeof shown, "%s%s%s", name, value != NULL && at[item - 1] == '=' ? " " : "", value != NULL && at[item - 1] == '=' ? value : "");
            (void)printf("  %-28s %s\n", shown, help);
        }
        at += item;
    }
}

static void print_help(const struct command *command)
{
    (void)printf("consent %s: %s\n\nusage: consent %s%s%s [options]\n", command->name, command->summary, command->name, command->arguments[0] == '\0' ? "" : " ", command->arguments);
    if (command->options[0] != '\0') {
        (void)puts("\noptions:");
        print_options(command, command->options);
    }
    (void)puts("\nfor every command:");
    print_options(command, global_options);
    (void)printf("\nexample: %s\n", command->example);
}

static void print_overview(void)
{
    (void)puts("consent: agreements on a shared, provable ledger, from the person's or the organisation's side\n\nusage: consent COMMAND [arguments] [options]\n");
    for (size_t i = 0; i < command_count; i++)
        (void)printf("  %-16s %s\n", command_table[i].name, command_table[i].summary);
    (void)puts("\n'consent help COMMAND' explains one, with an example. 'consent --version' says which version this is.");
}

int run_help(struct context *context)
{
    int used = 0;
    const char *first = positional(context, 0), *second = positional(context, 1);
    if (first == NULL) {
        print_overview();
        return 0;
    }
    const struct command *command = find_command(first, second, &used);
    if (command == NULL)
        return output_usage(&context->output, "There is no command '%.40s'.", first);
    print_help(command);
    return 0;
}

static int read_option(struct context *context, int argc, char **argv, int *at)
{
    const char *text = argv[*at];
    size_t length = strcspn(text, "=");
    int kind = option_in(context->command->options, text, length);
    if (kind == 0)
        kind = option_in(global_options, text, length);
    if (kind == 0)
        return output_usage(&context->output, "'consent %s' has no option '%.60s'; see 'consent help %s'.", context->command->name, text, context->command->name);
    if (context->option_count == OPTIONS_MAX)
        return output_usage(&context->output, "There are too many options.");
    struct option_value *option_value = &context->options[context->option_count++];
    if (kind == 1 && text[length] == '=')
        return output_usage(&context->output, "'%.*s' takes no value.", (int)length, text);
    option_value->value = kind == 1 ? NULL : text[length] == '=' ? text + length + 1 : *at + 1 < argc ? argv[++*at] : NULL;
    if (kind == 2 && option_value->value == NULL)
        return output_usage(&context->output, "'%s' needs a value.", text);
    static char names[OPTIONS_MAX][40];
    char *name = names[context->option_count - 1];
    (void)snprintf(name, sizeof names[0], "%.*s", (int)(length < 39 ? length : 39), text);
    option_value->name = strcmp(name, "-o") == 0 ? "--output" : strcmp(name, "-q") == 0 ? "--quiet" : strcmp(name, "-h") == 0 ? "--help" : name;
    return 0;
}

/* How many the usage line names; with "..." at its end, as many as there is room for. */
static size_t arguments_max(const struct command *command)
{
    size_t count = 0, length = strlen(command->arguments);
    if (length > 3 && strcmp(command->arguments + length - 3, "...") == 0)
        return POSITIONALS_MAX;
    for (const char *at = command->arguments; *at != '\0'; count++) {
        at += strcspn(at, " ");
        at += strspn(at, " ");
    }
    assert(count <= POSITIONALS_MAX);
    return count;
}

/* What a command does not know it refuses: whoever writes `revoke bank shop` means both. */
static int read_arguments(struct context *context, int argc, char **argv)
{
    const char *name = context->command->name;
    bool only_positionals = false;
    for (int i = 0; i < argc; i++) {
        int bad = 0;
        if (!only_positionals && strcmp(argv[i], "--") == 0)
            only_positionals = true;
        else if (!only_positionals && argv[i][0] == '-' && argv[i][1] != '\0')
            bad = read_option(context, argc, argv, &i);
        else if (context->positional_count == arguments_max(context->command))
            bad = output_usage(&context->output, "'consent %s' has no place for '%.60s'; see 'consent help %s'.", name, argv[i], name);
        else
            context->positionals[context->positional_count++] = argv[i];
        if (bad != 0)
            return bad;
    }
    return 0;
}

static void on_interrupt(int number)
{
    (void)number;
    http_interrupted = 1;
}

static bool wants_json(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0)
            return true;
    return false;
}

int command_main(int argc, char **argv)
{
    struct context context = {.wallet_lock = -1};
    output_init(&context.output, wants_json(argc, argv), false);
    for (int i = 1; i < argc; i++)
        if (code_in_argument(argv[i]) || (strchr(argv[i], '=') != NULL && code_in_argument(strchr(argv[i], '=') + 1)))
            return output_usage(&context.output, "A code is a secret: as an argument it stays in the shell's history, and others on this machine can see it. Put it into a file (--code FILE), or give --code - and paste it.");
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_overview();
        return argc < 2 ? 2 : 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        output_line(&context.output, "consent %s", CL_VERSION);
        output_json(&context.output, json_pack("{s:s}", "software", "consent " CL_VERSION));
        return 0;
    }
    int first = 1, used = 0;
    /* Options that every command takes may stand before it. */
    while (first < argc && option_in(global_options, argv[first], strcspn(argv[first], "=")) != 0)
        first += option_in(global_options, argv[first], strcspn(argv[first], "=")) == 2 && strchr(argv[first], '=') == NULL ? 2 : 1;
    const char *word = first < argc ? argv[first] : "", *second = first + 1 < argc ? argv[first + 1] : NULL;
    const struct command *command = find_command(word, second, &used);
    if (word[0] == '\0')
        return output_usage(&context.output, "Which command? 'consent help' lists them.");
    if (command == NULL) {
        char members[256];
        if (group_members(members, sizeof members, word))
            return output_usage(&context.output, "'consent %.40s' what? One of:%s; each explains itself with --help.", word, members);
        const char *nearest = nearest_command(word, second);
        return output_usage(&context.output, "There is no command '%.40s'.%s%s%s 'consent help' lists them.", word, nearest == NULL ? "" : " Did you mean '", nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    }
    context.command = command;
    char name[64];
    (void)snprintf(name, sizeof name, "consent %s", command->name);
    context.output.command = name;
    int result = read_arguments(&context, first - 1 < argc - 1 ? first - 1 : argc - 1, argv + 1);
    if (result == 0)
        result = read_arguments(&context, argc - first - used, argv + first + used);
    if (result == 0 && flag(&context, "--help")) {
        print_help(command);
        return 0;
    }
    if (result == 0) {
        context.output.quiet = flag(&context, "--quiet");
        struct sigaction action = {.sa_handler = on_interrupt};
        (void)sigemptyset(&action.sa_mask);
        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        action.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &action, NULL);
        result = command->run(&context);
        workspace_close(&context);
    }
    if (fflush(stdout) != 0 && result == 0)
        result = 1;
    return result;
}

/* ---- completions: names and options of the table, nothing else */

static void print_words(const char *separator, const char *list)
{
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " ");
        size_t item = strcspn(at, " "), length = item > 0 && at[item - 1] == '=' ? item - 1 : item;
        if (item > 0)
            (void)printf("%.*s%s", (int)length, at, separator);
        at += item;
    }
}

static void print_first_words(void)
{
    const char *last = "";
    for (size_t i = 0; i < command_count; i++) {
        size_t length = strcspn(command_table[i].name, " ");
        if (strncmp(last, command_table[i].name, length) != 0 || last[length] != ' ')
            (void)printf("%.*s ", (int)length, command_table[i].name);
        last = command_table[i].name;
    }
    (void)printf("--help --version");
}

/* The second words of the commands that begin as the one at position does. Returns: the position behind them. */
static size_t print_second_words(size_t position)
{
    const char *name = command_table[position].name;
    size_t length = strcspn(name, " ") + 1;
    for (; position < command_count && strncmp(command_table[position].name, name, length) == 0; position++)
        (void)printf("%s ", command_table[position].name + length);
    return position;
}

/* The branches of a shell's case over the words before the present one, a space after each: open, what may follow, close. */
static void print_cases(const char *open, const char *close)
{
    (void)printf("  \" \") %s", open);
    print_first_words();
    (void)puts(close);
    for (size_t i = 0; i < command_count; i++) {
        (void)printf("  \"%s \"*) %s", command_table[i].name, open);
        print_words(" ", command_table[i].options);
        print_words(" ", global_options);
        (void)puts(close);
    }
    for (size_t i = 0; i < command_count;) {
        const char *name = command_table[i].name;
        size_t length = strcspn(name, " ");
        if (name[length] == '\0') {
            i++;
            continue;
        }
        (void)fputs("  \"", stdout);
        (void)fwrite(name, 1, length, stdout);
        (void)printf(" \"*) %s", open);
        i = print_second_words(i);
        (void)puts(close);
    }
}

static void completions_bash(void)
{
    (void)puts("# bash completion for consent\n_consent() {\n  local current=${COMP_WORDS[COMP_CWORD]} choices=\"\"\n  case \"${COMP_WORDS[*]:1:COMP_CWORD-1} \" in");
    print_cases("choices=\"", "\" ;;");
    (void)puts("  esac\n  COMPREPLY=($(compgen -W \"$choices\" -- \"$current\"))\n  case $current in -*) ;; *) [ \"$COMP_CWORD\" -gt 1 ] && COMPREPLY+=($(compgen -f -- \"$current\")) ;; esac\n}\ncomplete -o filenames -F _consent consent");
}

/* Loaded by zsh at the first use (then it is the function itself), or read with source. */
static void completions_zsh(void)
{
    (void)puts("#compdef consent\n# zsh completion for consent\n_consent() {\n  local -a choices\n  case \"${words[2,CURRENT-1]} \" in");
    print_cases("choices=(", ") ;;");
    (void)puts("  esac\n  compadd -- $choices\n  (( CURRENT == 2 )) || _files\n}\nif [[ $funcstack[1] == _consent ]]; then _consent \"$@\"; else compdef _consent consent; fi");
}

/* Within single quotes fish reads a backslash before a quote. */
static const char *fish_quoted(const char *text)
{
    static char out[512];
    size_t used = 0;
    for (; *text != '\0' && used + 3 < sizeof out; text++) {
        if (*text == '\'' || *text == '\\')
            out[used++] = '\\';
        out[used++] = *text;
    }
    out[used] = '\0';
    return out;
}

/* The options of list, for a command; or with NULL those that every command takes. */
static void fish_options(const struct command *command, const char *list)
{
    for (const char *at = list; *at != '\0';) {
        at += strspn(at, " ");
        size_t item = strcspn(at, " ");
        bool takes_value = item > 0 && at[item - 1] == '=';
        char name[40];
        const char *value = NULL;
        (void)snprintf(name, sizeof name, "%.*s", (int)(item - (takes_value ? 1 : 0)), at);
        const char *help = option_help(command == NULL ? "" : command->name, name, &value);
        if (help != NULL) {
            (void)printf("complete -c consent");
            if (command != NULL)
                (void)printf(" -n '__consent_is %s'", command->name);
            (void)printf(" %s %s%s -d '%s'\n", name[1] == '-' ? "-l" : "-s", name + strspn(name, "-"), takes_value ? " -r" : "", fish_quoted(help));
        }
        at += item;
    }
}

static void completions_fish(void)
{
    (void)puts("# fish completion for consent\nfunction __consent_is\n  set -l words (commandline -opc)\n  string match -q -- \"$argv *\" \"$words[2..-1] \"\nend\ncomplete -c consent -n __fish_use_subcommand -l version -d 'which version this is'");
    fish_options(NULL, global_options);
    for (size_t i = 0; i < command_count; i++) {
        const struct command *command = &command_table[i];
        const char *space = strchr(command->name, ' ');
        if (space == NULL)
            (void)printf("complete -c consent -n __fish_use_subcommand -a %s -d '%s'\n", command->name, fish_quoted(command->summary));
        else
            (void)printf("complete -c consent -n __fish_use_subcommand -a %.*s\ncomplete -c consent -n 'test (count (commandline -opc)) -eq 2; and __consent_is %.*s' -a %s -d '%s'\n",
                (int)(space - command->name), command->name, (int)(space - command->name), command->name, space + 1, fish_quoted(command->summary));
        fish_options(command, command->options);
    }
}

int run_completions(struct context *context)
{
    const char *shell = positional(context, 0);
    if (shell != NULL && strcmp(shell, "bash") == 0)
        completions_bash();
    else if (shell != NULL && strcmp(shell, "zsh") == 0)
        completions_zsh();
    else if (shell != NULL && strcmp(shell, "fish") == 0)
        completions_fish();
    else
        return output_usage(&context->output, "Which shell? bash, zsh or fish.");
    return 0;
}
