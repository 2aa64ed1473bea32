/* States in DPV's words, rows of CSV, times in ISO 8601: what every export has in common. */
#include "consent/export.h"
#include "consent/record.h"

#include <stdio.h>

const char *cl_dpv_consent_status(const struct cl_agreement *agreement, uint64_t now_ms)
{
    switch ((enum cl_agreement_status)agreement->status) {
    case CL_OFFERED:
    case CL_REQUESTED:
    case CL_SUBSCRIBED:
    case CL_COUNTERED: return "dpv:ConsentRequested";
    case CL_REFUSED: return "dpv:ConsentRefused";
    case CL_WITHDRAWN: return "dpv:ConsentWithdrawn";
    case CL_TERMINATED: return "dpv:ConsentRevoked";
    case CL_ACTIVE: break;
    }
    enum cl_status status = cl_agreement_check(agreement, 0, now_ms);
    if (status == CL_E_EXPIRED)
        return "dpv:ConsentExpired";
    return status == CL_E_SUSPENDED ? "dpv:ConsentStatusInvalidForProcessing" : "dpv:ConsentGiven";
}

const char *cl_dpv_contract_status(const struct cl_agreement *agreement, uint64_t now_ms)
{
    if ((agreement->flags & CL_FLAG_DISPUTED) != 0)
        return "dpv:ContractDisputed";
    switch ((enum cl_agreement_status)agreement->status) {
    case CL_OFFERED:
    case CL_REQUESTED:
    case CL_SUBSCRIBED: return "dpv:ContractOffered";
    case CL_COUNTERED: return "dpv:ContractUnderNegotiation";
    case CL_REFUSED: return "dpv:ContractRejected";
    case CL_WITHDRAWN:
    case CL_TERMINATED: return "dpv:ContractTerminated";
    case CL_ACTIVE: break;
    }
    enum cl_status status = cl_agreement_check(agreement, 0, now_ms);
    if (status == CL_E_EXPIRED)
        return "dpv:ContractExpired";
    return status == CL_E_SUSPENDED ? "dpv:ContractTemporarilySuspended" : "dpv:ContractFullyExecuted";
}

/* What a spreadsheet would run: the signs, and the same in full width (U+FF0B, U+FF0D, U+FF1D, U+FF20), which some take for them. */
static bool begins_as_formula(const char *text)
{
    bool wide = text[0] == '\xef' && text[1] == '\xbc' && text[2] != '\0' && strchr("\x8b\x8d\x9d\xa0", text[2]) != NULL;
    return wide || (text[0] != '\0' && strchr("=+-@\t\r\n", text[0]) != NULL);
}

static enum cl_status csv_field(struct cl_buffer *out, const char *text)
{
    bool formula = begins_as_formula(text);
    if (!formula && strpbrk(text, ",\"\r\n") == NULL)
        return text[0] == '\0' ? CL_OK : cl_buffer_append(out, text, strlen(text));
    enum cl_status status = cl_buffer_append(out, "\"'", formula ? 2 : 1);
    while (status == CL_OK && *text != '\0') {
        size_t plain = strcspn(text, "\"");
        if (plain > 0)
            status = cl_buffer_append(out, text, plain);
        text += plain;
        if (status == CL_OK && *text == '"') {
            status = cl_buffer_append(out, "\"\"", 2);
            text++;
        }
    }
    return status == CL_OK ? cl_buffer_append(out, "\"", 1) : status;
}

enum cl_status cl_csv_row(struct cl_buffer *out, const char *const *fields, size_t count)
{
    enum cl_status status = CL_OK;
    for (size_t i = 0; i < count && status == CL_OK; i++) {
        if (i > 0)
            status = cl_buffer_append(out, ",", 1);
        if (status == CL_OK && fields[i] != NULL)
            status = csv_field(out, fields[i]);
    }
    return status == CL_OK ? cl_buffer_append(out, "\r\n", 2) : status;
}

bool cl_iso8601_utc(char out[CL_ISO8601_SIZE], uint64_t seconds)
{
    out[0] = '\0';
    if (seconds > 253402300799ull)
        return false;
    /* days to a date of the proleptic Gregorian calendar, counted from 1 March of the year 0 */
    uint64_t days = seconds / 86400 + 719468, rest = seconds % 86400;
    uint64_t era = days / 146097, day_of_era = days % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t shifted = (5 * day_of_year + 2) / 153; /* 0: March */
    unsigned day = (unsigned)(day_of_year - (153 * shifted + 2) / 5 + 1);
    unsigned month = (unsigned)(shifted < 10 ? shifted + 3 : shifted - 9);
    unsigned year = (unsigned)(year_of_era + 400 * era + (month <= 2 ? 1 : 0));
    (void)snprintf(out, CL_ISO8601_SIZE, "%04u-%02u-%02uT%02u:%02u:%02uZ", year % 10000u, month % 100u, day % 100u,
                   (unsigned)(rest / 3600) % 100u, (unsigned)(rest / 60 % 60) % 100u, (unsigned)(rest % 60) % 100u);
    return true;
}
