/* Whose a pipe is (pipes.h). */
#include "pipes.h"

void pipes_init(struct pipes *pipes, const struct pipes_config *config)
{
    assert(config->member_count <= CL_MEMBERS_MAX && config->own < config->member_count);
    memset(pipes, 0, sizeof *pipes);
    pipes->config = config;
}

static struct pipes_entry *find(struct pipes *pipes, uint32_t id)
{
    for (size_t i = 0; i < pipes->count; i++)
        if (pipes->entries[i].id == id) return &pipes->entries[i];
    return NULL;
}

bool pipes_add(struct pipes *pipes, uint32_t id, uint64_t now_ms)
{
    if (pipes->count == PIPES_MAX) return false;
    pipes->entries[pipes->count++] = (struct pipes_entry){ .id = id, .certified = PIPES_NOBODY, .member = PIPES_NOBODY, .since_ms = now_ms };
    return true;
}

void pipes_certified(struct pipes *pipes, uint32_t id, size_t member)
{
    struct pipes_entry *entry = find(pipes, id);
    if (entry != NULL) entry->certified = member;
}

bool pipes_remove(struct pipes *pipes, uint32_t id)
{
    struct pipes_entry *entry = find(pipes, id);
    if (entry != NULL) *entry = pipes->entries[--pipes->count];
    return entry != NULL;
}

size_t pipes_member(const struct pipes *pipes, uint32_t id)
{
    for (size_t i = 0; i < pipes->count; i++)
        if (pipes->entries[i].id == id) return pipes->entries[i].member;
    return PIPES_NOBODY;
}

static enum pipes_verdict count_malformed(struct pipes_entry *entry)
{
    entry->malformed++;
    return entry->malformed > PIPES_MALFORMED_MAX ? PIPES_CLOSE : PIPES_DROP;
}

enum pipes_verdict pipes_judge(struct pipes *pipes, uint32_t id, enum cl_status status)
{
    struct pipes_entry *entry = find(pipes, id);
    if (entry == NULL) return PIPES_CLOSE; /* refused, or closed already */
    /* A kind that we do not know is a newer version's, and memory is our own affair: neither is the peer's fault. */
    if (status != CL_OK && status != CL_E_UNSUPPORTED && status != CL_E_MEMORY) return count_malformed(entry);
    if (entry->member == PIPES_NOBODY) {
        entry->early++;
        return entry->early > PIPES_EARLY_MAX ? PIPES_CLOSE : PIPES_DROP;
    }
    return status == CL_OK ? PIPES_DELIVER : PIPES_DROP;
}

size_t pipes_hello_sender(const struct pipes_config *config, const struct frame_hello *hello, uint64_t wall_ms)
{
    uint64_t apart_ms = hello->time_ms > wall_ms ? hello->time_ms - wall_ms : wall_ms - hello->time_ms;
    if (apart_ms > PIPES_HELLO_CLOCK_MS) return PIPES_NOBODY;
    if (memcmp(&hello->network, &config->network, sizeof hello->network) != 0) return PIPES_NOBODY;
    if (strcmp(hello->receiver, config->members[config->own].name) != 0) return PIPES_NOBODY;
    for (size_t member = 0; member < config->member_count; member++) {
        if (member == config->own || strcmp(hello->sender, config->members[member].name) != 0) continue;
        return frame_hello_check(hello, config->members[member].vote) == CL_OK ? member : PIPES_NOBODY;
    }
    return PIPES_NOBODY;
}

enum pipes_verdict pipes_hello(struct pipes *pipes, uint32_t id, const struct frame_hello *hello, uint64_t wall_ms, uint32_t *replaced)
{
    struct pipes_entry *entry = find(pipes, id);
    *replaced = 0;
    if (entry == NULL) return PIPES_CLOSE;
    size_t member = pipes_hello_sender(pipes->config, hello, wall_ms);
    if (member == PIPES_NOBODY) return count_malformed(entry);
    if (hello->time_ms <= pipes->last_hello_ms[member]) return count_malformed(entry);
    if (entry->certified != member) return count_malformed(entry);
    pipes->last_hello_ms[member] = hello->time_ms;
    for (size_t i = 0; i < pipes->count; i++)
        if (pipes->entries[i].member == member && pipes->entries[i].id != id) {
            /* The member has dialled anew: of two pipes the later is the one that it still uses. */
            *replaced = pipes->entries[i].id;
            pipes->entries[i].member = PIPES_NOBODY;
            pipes->entries[i].early = PIPES_EARLY_MAX;
        }
    entry->member = member;
    return PIPES_DELIVER;
}

uint32_t pipes_oldest_stranger(const struct pipes *pipes)
{
    const struct pipes_entry *oldest = NULL;
    for (size_t i = 0; i < pipes->count; i++) {
        const struct pipes_entry *entry = &pipes->entries[i];
        if (entry->member == PIPES_NOBODY && (oldest == NULL || entry->since_ms < oldest->since_ms)) oldest = entry;
    }
    return oldest != NULL ? oldest->id : 0;
}

uint32_t pipes_overdue(const struct pipes *pipes, uint64_t now_ms)
{
    uint32_t oldest = pipes_oldest_stranger(pipes);
    for (size_t i = 0; i < pipes->count; i++) {
        uint64_t since_ms = pipes->entries[i].since_ms; /* perhaps a little later than now: another thread noted it */
        if (pipes->entries[i].id == oldest && now_ms > since_ms && now_ms - since_ms > PIPES_HELLO_WAIT_MS) return oldest;
    }
    return 0;
}
