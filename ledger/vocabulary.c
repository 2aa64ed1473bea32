/* Which identifiers exist in the vocabularies that terms are written in, so that a slip of the pen is found when terms
   are written and not when they are read. */
#include "vocabulary.h"
#include "consent/record.h"

#include <assert.h>

static const struct cl_vocabulary_term table[] = {
#define X(kind, term, label) {CL_VOCABULARY_##kind, term, label},
#include "vocabulary.inc"
#undef X
};
#define TABLE_COUNT (sizeof table / sizeof table[0])

size_t cl_vocabulary_count(void) { return TABLE_COUNT; }

const struct cl_vocabulary_term *cl_vocabulary_at(size_t position)
{
    assert(position < TABLE_COUNT);
    return &table[position];
}

const char *cl_vocabulary_prefix(enum cl_vocabulary_kind kind)
{
    switch (kind) {
    case CL_VOCABULARY_PERSONAL_DATA: return "pd:";
    case CL_VOCABULARY_AGREEMENT: return "ieee7012:";
    case CL_VOCABULARY_PURPOSE:
    case CL_VOCABULARY_CONSENT_STATUS:
    case CL_VOCABULARY_CONTRACT_STATUS: return "dpv:";
    }
    assert(false);
    return "";
}

const char *cl_vocabulary_namespace(enum cl_vocabulary_kind kind)
{
    switch (kind) {
    case CL_VOCABULARY_PERSONAL_DATA: return "https://w3id.org/dpv/pd#";
    case CL_VOCABULARY_AGREEMENT: return "https://w3id.org/dpv/standards/ieee/7012#";
    case CL_VOCABULARY_PURPOSE:
    case CL_VOCABULARY_CONSENT_STATUS:
    case CL_VOCABULARY_CONTRACT_STATUS: return "https://w3id.org/dpv#";
    }
    assert(false);
    return "";
}

/* Returns: what follows the prefix or the namespace of the kind; NULL where text has neither. */
static const char *bare_term(enum cl_vocabulary_kind kind, const char *text)
{
    const char *prefix = cl_vocabulary_prefix(kind), *space = cl_vocabulary_namespace(kind);
    if (strncmp(text, prefix, strlen(prefix)) == 0)
        return text + strlen(prefix);
    if (strncmp(text, space, strlen(space)) == 0)
        return text + strlen(space);
    return NULL;
}

const struct cl_vocabulary_term *cl_vocabulary_find(enum cl_vocabulary_kind kind, const char *text)
{
    const char *term = bare_term(kind, text);
    for (size_t i = 0; term != NULL && i < TABLE_COUNT; i++)
        if (table[i].kind == kind && strcmp(table[i].term, term) == 0)
            return &table[i];
    return NULL;
}

#define SPELLING_MAX 64u

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_letters(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == *b;
}

/* Levenshtein distance, letters' case ignored. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[SPELLING_MAX + 1];
    size_t length = strnlen(b, SPELLING_MAX);
    for (size_t k = 0; k <= length; k++)
        row[k] = (unsigned)k;
    for (size_t i = 0; i < SPELLING_MAX && a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t k = 1; k <= length; k++) {
            unsigned best = diagonal + (lower(a[i]) == lower(b[k - 1]) ? 0 : 1);
            diagonal = row[k];
            if (row[k] + 1 < best)
                best = row[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            row[k] = best;
        }
    }
    return row[length];
}

const struct cl_vocabulary_term *cl_vocabulary_nearest(enum cl_vocabulary_kind kind, const char *text)
{
    const char *term = bare_term(kind, text);
    if (term == NULL)
        term = text;
    const struct cl_vocabulary_term *nearest = NULL;
    unsigned smallest = 4;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        unsigned apart = table[i].kind == kind ? distance(term, table[i].term) : smallest;
        if (apart < smallest) {
            smallest = apart;
            nearest = &table[i];
        }
    }
    return nearest;
}

const struct cl_vocabulary_term *cl_vocabulary_named(enum cl_vocabulary_kind kind, const char *name)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (table[i].kind == kind && (same_letters(table[i].term, name) || same_letters(table[i].label, name)))
            return &table[i];
    return NULL;
}

/* Terms of pd: whose broader terms lead to dpv:SpecialCategoryPersonalData or dpv:SensitivePersonalData; in bytewise order. */
static const char *const special_terms[] = {
    "Biometric", "BloodType", "DNACode", "Disability", "DrugTestResult", "EthnicOrigin", "FacialExpression", "FacialPrint",
    "FamilyHealthHistory", "Fetish", "Fingerprint", "Genetic", "Health", "HealthHistory", "HealthRecord", "IndividualHealthHistory",
    "MedicalHealth", "MentalHealth", "PhilosophicalBelief", "PhysicalHealth", "PoliticalAffiliation", "PoliticalOpinion",
    "Prescription", "Proclivity", "Race", "Religion", "ReligiousBelief", "Retina", "Sexual", "SexualHistory", "SexualPreference",
    "TradeUnionMembership", "Vulnerability",
};

bool cl_vocabulary_special(const char *category)
{
    const struct cl_vocabulary_term *term = cl_vocabulary_find(CL_VOCABULARY_PERSONAL_DATA, category);
    for (size_t i = 0; term != NULL && i < sizeof special_terms / sizeof special_terms[0]; i++)
        if (strcmp(special_terms[i], term->term) == 0)
            return true;
    return false;
}

bool cl_iri_usable(const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL || colon - text < 2 || colon[1] == '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || *at == '<' || *at == '>' || *at == '"' || *at == 0x7f)
            return false;
    for (const char *at = text; at < colon; at++)
        if (!((lower(*at) >= 'a' && lower(*at) <= 'z') || (at > text && ((*at >= '0' && *at <= '9') || *at == '+' || *at == '-' || *at == '.'))))
            return false;
    return true;
}

bool cl_prefixed_name_usable(const char *text, enum cl_vocabulary_kind kind)
{
    const char *term = bare_term(kind, text);
    if (term == NULL || *term == '\0')
        return false;
    for (; *term != '\0'; term++)
        if (!((lower(*term) >= 'a' && lower(*term) <= 'z') || (*term >= '0' && *term <= '9') || *term == '-'))
            return false;
    return true;
}

static const enum cl_vocabulary_kind one_of_each_prefix[] = {CL_VOCABULARY_PURPOSE, CL_VOCABULARY_PERSONAL_DATA, CL_VOCABULARY_AGREEMENT};

enum cl_status cl_vocabulary_expand(struct cl_buffer *out, const char *text)
{
    for (size_t i = 0; i < 3; i++) {
        const char *prefix = cl_vocabulary_prefix(one_of_each_prefix[i]), *space = cl_vocabulary_namespace(one_of_each_prefix[i]);
        if (strncmp(text, prefix, strlen(prefix)) != 0)
            continue;
        enum cl_status status = cl_buffer_append(out, space, strlen(space));
        return status != CL_OK ? status : cl_buffer_append(out, text + strlen(prefix), strlen(text) - strlen(prefix));
    }
    return cl_iri_usable(text) ? cl_buffer_append(out, text, strlen(text)) : CL_E_ARGUMENT;
}

enum cl_status cl_vocabulary_shorten(struct cl_buffer *out, const char *iri, size_t length)
{
    for (size_t i = 0; i < 3; i++) {
        const char *prefix = cl_vocabulary_prefix(one_of_each_prefix[i]), *space = cl_vocabulary_namespace(one_of_each_prefix[i]);
        if (length < strlen(space) || memcmp(iri, space, strlen(space)) != 0)
            continue;
        enum cl_status status = cl_buffer_append(out, prefix, strlen(prefix));
        return status != CL_OK || length == strlen(space) ? status : cl_buffer_append(out, iri + strlen(space), length - strlen(space));
    }
    return length == 0 ? CL_OK : cl_buffer_append(out, iri, length);
}
